import {
  type Control,
  loadModel,
  openPipeline,
  PixelDiffusionPipeline,
  StableDiffusionPipeline,
  StableDiffusionXLPipeline,
  UnCLIPPipeline,
} from "@tfjs-diffusion/core";
import type { AnyPipeline } from "@tfjs-diffusion/core/pipelines";
import { ControlNetModel } from "@tfjs-diffusion/core/models";
import { existsSync } from "node:fs";
import { fromCaller } from "../options/from-caller.js";
import type { PictureArguments } from "../options/picture-arguments.js";
import { modelFrom } from "../options/model-from.js";
import { readPicture } from "./read-picture.js";
import { SHIPPED_LORAS, shippedLora } from "../options/shipped.js";
import { UsageError } from "../options/usage-error.js";
import { withDownloadLine } from "../terminal/download-line.js";

/** A pipeline that takes pictures, LoRAs and new words. */
export type LatentModel = StableDiffusionPipeline | StableDiffusionXLPipeline;

/** A pipeline that the commands draw with. */
export type DrawingModel = LatentModel | PixelDiffusionPipeline;

/** Whether it works in an autoencoder's latents. */
export function isLatent(pipeline: object): pipeline is LatentModel {
  return pipeline instanceof StableDiffusionPipeline || pipeline instanceof StableDiffusionXLPipeline;
}

/**
 * As {@link modelFrom}, for a LoRA.
 *
 * @throws UsageError if there is no such path and no shipped LoRA of this name
 */
function loraFrom(text: string): string {
  const path = fromCaller(text);
  const found = existsSync(path) ? path : shippedLora(text);
  if (found !== undefined) return found;
  throw new UsageError(
    `--lora ${text}: there is no such file or folder, and of ours there are ${SHIPPED_LORAS.join(" and ")}.`,
  );
}

/**
 * Opens the model that a command asks for, with its LoRAs and words; frees it if that fails.
 *
 * @throws UsageError for options that this model does not take, and for unCLIP; errors of openPipeline
 */
export async function openModel(args: PictureArguments): Promise<DrawingModel> {
  const pipeline = await openAnyModel(args);
  if (!(pipeline instanceof UnCLIPPipeline)) return pipeline;
  pipeline.dispose();
  throw new UsageError(`${args.model} is unCLIP, which only generate draws with.`);
}

/** {@link openModel}, and unCLIP too. */
export async function openAnyModel(args: PictureArguments): Promise<DrawingModel | UnCLIPPipeline> {
  const { config, tokenizer, predictionType: prediction } = args.open;
  refuseForFolders(args.model, { config, tokenizer, prediction });
  const loras = args.loras.map(({ from, scale }) => ({ from: loraFrom(from), scale }));
  const from = modelFrom(args.model);
  const sources = { config: config && modelFrom(config), tokenizer: tokenizer && modelFrom(tokenizer) };
  const pipeline = await withDownloadLine(from, (onProgress) =>
    openPipeline(from, { ...args.open, ...sources, onProgress }),
  );
  try {
    requirePrompts(args.model, pipeline);
    if (isLatent(pipeline)) {
      await addOns(pipeline, { loras, words: args.words });
      return pipeline;
    }
    if (pipeline instanceof UnCLIPPipeline) {
      refuseForPixels(args, NOT_FOR_UNCLIP);
      return pipeline;
    }
    if (!(pipeline instanceof PixelDiffusionPipeline))
      throw new UsageError(`${args.model} is a ${pipeline.constructor.name}; the commands do not draw with it.`);
    refuseForPixels(args);
    return pipeline;
  } catch (error) {
    pipeline.dispose();
    throw error;
  }
}

/** @throws UsageError for a pipeline that draws from something else, with its class, which can do it in a program */
function requirePrompts(model: string, { input, constructor }: AnyPipeline): void {
  if (input === "text") return;
  const does = {
    image: "is unCLIP that varies pictures without a prompt",
    class: "draws the number of a class, without a prompt",
    nothing: "draws from noise alone, without a prompt",
  }[input];
  throw new UsageError(`${model} ${does}; open it by ${constructor.name}, in a program.`);
}

/** Whether a path is a file of weights, by its name. Pickles count, so that they are refused as pickles. */
export function isWeightsFile(path: string): boolean {
  return /\.(safetensors|ckpt|pt|pth|bin)$/i.test(path);
}

/**
 * Refuses options that a folder's config files answer.
 *
 * @throws UsageError if one of `options` has a value and `model` is no single file
 */
export function refuseForFolders(model: string, options: Record<string, string | boolean | undefined>): void {
  const [option] = Object.keys(options).filter((option) => options[option]);
  if (option === undefined || isWeightsFile(model)) return;
  throw new UsageError(`--${option} is for single .safetensors files; ${model} says that itself, in its config files.`);
}

async function addOns(
  pipeline: LatentModel,
  { loras, words }: Pick<PictureArguments, "loras" | "words">,
): Promise<void> {
  for (const [i, { from, scale }] of loras.entries()) await pipeline.loras.load(from, { scale, name: String(i) });
  for (const { from, token } of words) {
    await pipeline.loadTextualInversion(fromCaller(from), token).catch((error: unknown) => {
      if (!(error instanceof RangeError)) throw error;
      throw new UsageError(`--textual-inversion ${from}: ${error.message} Write it behind the file: ${from}:WORD.`);
    });
  }
}

/** Options that unCLIP does not take: it has one sampler for each stage, and its negative prompt is always empty. */
const NOT_FOR_UNCLIP = ["negative", "rescale", "sampler"] as const;

/** What networks without an autoencoder do not have, and `more`. */
function refuseForPixels(args: PictureArguments, more: readonly (keyof PictureArguments)[] = []): void {
  const { width, height, clipSkip, image, mask, control, loras, words, weighting } = args;
  const asked: Record<string, boolean> = {
    width: width !== undefined,
    height: height !== undefined,
    "clip-skip": clipSkip !== undefined,
    init: image !== undefined,
    mask: mask !== undefined,
    controlnet: control !== undefined,
    lora: loras.length > 0,
    "textual-inversion": words.length > 0,
    "prompt-weights": weighting,
    ...Object.fromEntries(more.map((option) => [option, args[option] !== undefined])),
  };
  const useless = Object.keys(asked).filter((option) => asked[option]);
  if (useless.length === 0) return;
  throw new UsageError(
    `${args.model} draws pixels of one size, without an autoencoder, and has no use for --${useless.join(", --")}.`,
  );
}

/** The ControlNet that a command asks for, with its picture; the caller owns both. */
export async function openControl(args: PictureArguments): Promise<Control | undefined> {
  if (!args.control) return undefined;
  const { model: from, image, scale } = args.control;
  const model = await withDownloadLine(from, (onProgress) => loadModel(modelFrom(from), { onProgress }));
  if (!(model instanceof ControlNetModel)) {
    model.dispose();
    throw new UsageError(`--controlnet ${from}: this is a ${model.constructor.name}, not a ControlNetModel.`);
  }
  try {
    return { model, image: await readPicture(image, args), scale };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
