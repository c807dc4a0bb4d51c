import { openPipeline, type Pipeline, type StableDiffusionPipeline } from "@tfjs-diffusion/core";
import { type PipelineClass, pipelineClassOf } from "@tfjs-diffusion/core/pipelines";
import { existsSync } from "node:fs";
import { fitToPipeline } from "../options/fit-to-pipeline.js";
import { fromCaller } from "../options/from-caller.js";
import type { PictureArguments } from "../options/picture-arguments.js";
import { modelFrom } from "../options/model-from.js";
import { SHIPPED_LORAS, shippedLora } from "../options/shipped.js";
import { UsageError } from "../options/usage-error.js";
import { withDownloadLine } from "../terminal/download-line.js";

/** A pipeline that takes LoRAs and words that a text encoder has learned. */
type AdaptablePipeline = Pick<StableDiffusionPipeline, "loras" | "loadTextualInversion">;

/** Whether a pipeline is one. */
export function isAdaptable(pipeline: object): pipeline is AdaptablePipeline {
  return "loras" in pipeline && "loadTextualInversion" in pipeline;
}

/**
 * The kind of pipeline that a command's model needs, before its weights are read.
 *
 * @throws UsageError for options that this kind does not take; errors of pipelineClassOf
 */
export async function pipelineKind(args: PictureArguments): Promise<PipelineClass> {
  const { config, tokenizer, predictionType: prediction, revision } = args.open;
  refuseForFolders(args.model, { config, tokenizer, prediction });
  for (const { from } of args.loras) loraFrom(from);
  const kind = await pipelineClassOf(modelFrom(args.model), { revision });
  fitToPipeline(args, kind);
  return kind;
}

/**
 * Opens a command's model with its LoRAs and words; frees it if that fails.
 *
 * @throws UsageError for LoRAs or words that this model does not take; errors of openPipeline
 */
export async function openModel({
  model,
  open,
  loras,
  words,
}: Pick<PictureArguments, "model" | "open" | "loras" | "words">): Promise<Pipeline<object>> {
  const { config, tokenizer } = open;
  const sources = { config: config && modelFrom(config), tokenizer: tokenizer && modelFrom(tokenizer) };
  const from = modelFrom(model);
  const pipeline = await withDownloadLine(from, (onProgress) =>
    openPipeline(from, { ...open, ...sources, onProgress }),
  );
  try {
    if (loras.length + words.length > 0) await addTo(pipeline, { model, loras, words });
    return pipeline;
  } catch (error) {
    pipeline.dispose();
    throw error;
  }
}

async function addTo(
  pipeline: object,
  { model, loras, words }: Pick<PictureArguments, "model" | "loras" | "words">,
): Promise<void> {
  if (!isAdaptable(pipeline)) {
    const option = loras.length > 0 ? "--lora" : "--textual-inversion";
    throw new UsageError(`${model}: a ${pipeline.constructor.name} does not take ${option}.`);
  }
  for (const [i, { from, scale }] of loras.entries())
    await pipeline.loras.load(loraFrom(from), { scale, name: String(i) });
  for (const { from, token } of words) {
    await pipeline.loadTextualInversion(fromCaller(from), token).catch((error: unknown) => {
      if (!(error instanceof RangeError)) throw error;
      throw new UsageError(
        `--textual-inversion ${from}: ${error.message} Write the word after the file: ${from}:WORD.`,
      );
    });
  }
}

/**
 * The path of a LoRA: a path relative to where the command was called, or a LoRA of this repository.
 *
 * @throws UsageError if it is neither
 */
function loraFrom(text: string): string {
  const path = fromCaller(text);
  const found = existsSync(path) ? path : shippedLora(text);
  if (found !== undefined) return found;
  throw new UsageError(
    `--lora ${text}: no such file or folder. Give a path, or a shipped LoRA: ${SHIPPED_LORAS.join(", ")}.`,
  );
}

/** Whether a path is a file of weights, by its name. Pickles count, so that they are refused as pickles. */
export function isWeightsFile(path: string): boolean {
  return /\.(safetensors|ckpt|pt|pth|bin)$/i.test(path);
}

/**
 * Refuses options whose values a folder has in its config files.
 *
 * @throws UsageError if one of `options` has a value and `model` is not a single file
 */
export function refuseForFolders(model: string, options: Record<string, string | boolean | undefined>): void {
  const [option] = Object.keys(options).filter((option) => options[option]);
  if (option === undefined || isWeightsFile(model)) return;
  throw new UsageError(`--${option} is for single .safetensors files only; ${model} has its own config files.`);
}
