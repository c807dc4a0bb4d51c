import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import type { PriorTransformer } from "../../models/clip/prior-transformer.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { needsGuidance } from "../drawing/guidance.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import { checkUnCLIP, type UnCLIPOptions, type UnCLIPStep } from "./unclip-options.js";
import { liveParts } from "../parts/live-parts.js";
import {
  DRAWING_PARTS,
  drawingFolders,
  readDrawingParts,
  requireDrawingParts,
  requirePrior,
  UNCLIP_KINDS,
  type UnCLIPParts,
} from "./unclip-parts.js";
import { UnCLIPDrawingPipeline } from "./unclip-pipeline.js";
import { planSteps } from "../drawing/plan-steps.js";
import { drawEmbeddings, runPrior } from "./unclip-stages.js";
import { repeatStates, type TextStates, withUnconditional } from "./unclip-text.js";

const NAME = "UnCLIPPipeline";
const PARTS = {
  ...DRAWING_PARTS,
  prior: { className: "PriorTransformer" },
  prior_scheduler: { className: "UnCLIPScheduler" },
};

/**
 * unCLIP (Ramesh et al. 2022, "DALL·E 2"): a prior makes a CLIP image embedding of a text, a decoder draws a small
 * picture of the embedding and the text, and two more networks enlarge it.
 */
export class UnCLIPPipeline extends UnCLIPDrawingPipeline<UnCLIPParts, UnCLIPOptions> {
  /** @throws PipelinePartsError if the parts do not fit each other */
  constructor(parts: UnCLIPParts) {
    super(
      liveParts(NAME, { ...parts }, UNCLIP_KINDS, (parts) => {
        requireDrawingParts(NAME, parts);
        requirePrior(NAME, parts);
      }),
    );
  }

  /**
   * Opens a folder in the layout of diffusers, or a model of the Hugging Face hub by its name, "owner/name".
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(from: string | URL, options: FromPretrainedOptions = {}): Promise<UnCLIPPipeline> {
    return PipelineFolder.open(from, PARTS, options, async (folder) => {
      const priorScheduler = await folder.scheduler("prior_scheduler");
      const prior = await folder.model<PriorTransformer>("prior");
      return new UnCLIPPipeline({ ...(await readDrawingParts(folder)), prior, priorScheduler });
    });
  }

  /** Writes what {@link fromPretrained} reads; `save` halves the precision, splits large files. */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const { prior, priorScheduler } = this.parts;
    const parts = { ...drawingFolders(this.parts), prior, prior_scheduler: priorScheduler };
    await writePipelineFolder(folder, NAME, parts, { save });
  }

  async *steps(options: UnCLIPOptions): AsyncGenerator<UnCLIPStep, void, undefined> {
    const [parts, facts] = [{ ...this.parts }, this.facts]; // As they are now, also in later stages.
    const { prior, priorScheduler, decoderScheduler, superResScheduler } = parts;
    const checked = checkUnCLIP(options, facts, prior.config.num_embeddings);
    const { signal } = options;
    signal?.throwIfAborted();
    const { text, batch, numImages, priorScale, decoderScale } = checked;
    const plans = {
      prior: planSteps(priorScheduler, checked.priorSteps, "priorNumInferenceSteps"),
      decoder: planSteps(decoderScheduler, checked.decoderSteps, "decoderNumInferenceSteps"),
      superResolution: planSteps(superResScheduler, checked.superResSteps, "superResNumInferenceSteps"),
    };
    const watch = this.watch(options);
    const run = { plans, noise: options.noise ?? keyedNoise(checked.seed), signal, watch };
    // One switch for both stages, as the published pipeline has it: each with its own scale.
    const isGuided = needsGuidance(Math.max(priorScale, decoderScale));
    const states = watch.over("Reading the prompts", () => this.#read(text, numImages, isGuided));
    let imageEmbeddings: tf.Tensor2D | undefined;
    try {
      const shape: [number, number] = [batch, facts.width];
      const request = { states, scale: priorScale, shape, latents: options.priorLatents };
      imageEmbeddings = yield* runPrior(prior, request, run);
      const { decoderLatents, superResLatents } = options;
      const drawing = { imageEmbeddings, states, decoderScale, decoderLatents, superResLatents, ...facts };
      yield* drawEmbeddings(parts, drawing, run);
    } finally {
      tf.dispose([states, imageEmbeddings ?? []]);
    }
  }

  #read(text: string[] | TextStates, numImages: number, isGuided: boolean): TextStates {
    return tf.tidy(() => {
      const states = repeatStates(Array.isArray(text) ? this.textStates(text) : text, numImages);
      return isGuided ? withUnconditional(this.textStates([""]), states) : states;
    });
  }
}
