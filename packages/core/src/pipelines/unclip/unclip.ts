import * as tf from "@tensorflow/tfjs";
import type { FolderKind } from "../files/model-index.js";
import { PriorTransformer } from "../../models/clip/prior-transformer.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import type { OptionTable } from "../options/option.js";
import { needsGuidance } from "../drawing/guidance.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { picturesAtOnce } from "../drawing/drawing-memory.js";
import { noiseOf } from "../drawing/noise-of.js";
import { requireFiniteTensors, texts } from "../options/option-checks.js";
import { liveParts } from "../parts/live-parts.js";
import {
  type CheckedUnCLIP,
  checkUnCLIP,
  UNCLIP_OPTIONS,
  type UnCLIPOptions,
  type UnCLIPStep,
} from "./unclip-options.js";
import {
  DRAWING_PARTS,
  drawingFolders,
  readDrawingParts,
  requireDrawingParts,
  requirePrior,
  UNCLIP_KINDS,
  type UnCLIPParts,
} from "./unclip-parts.js";
import { unclipNeeds } from "./unclip-needs.js";
import { UnCLIPDrawingPipeline } from "./unclip-pipeline.js";
import { decoderPlan, drawEmbeddings, runPrior, stagePlan } from "./unclip-stages.js";
import { joinStates, repeatStates, type TextStates } from "./unclip-text.js";
import type { ModelPlace } from "../../platform/model-files.js";

const NAME = "UnCLIPPipeline";
const PARTS = {
  ...DRAWING_PARTS,
  prior: { networks: { PriorTransformer } },
  prior_scheduler: {},
};

/**
 * unCLIP (Ramesh et al. 2022, "DALL·E 2"): a prior makes a CLIP image embedding from a text, a decoder draws a small
 * picture from the embedding and the text, and two more networks enlarge it.
 */
export class UnCLIPPipeline extends UnCLIPDrawingPipeline<UnCLIPParts, UnCLIPOptions> {
  readonly input = "text";
  /** How to recognise a folder of such a pipeline. */
  static readonly folder: FolderKind = { className: NAME, parts: PARTS };
  /** The options of these pipelines, known before one is opened. */
  static readonly options: OptionTable = UNCLIP_OPTIONS;
  readonly options: OptionTable = UNCLIP_OPTIONS;

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
  static async fromPretrained(from: ModelPlace, options: FromPretrainedOptions = {}): Promise<UnCLIPPipeline> {
    return PipelineFolder.open(from, PARTS, options, async (folder) => {
      const priorScheduler = await folder.scheduler("prior_scheduler");
      const prior = await folder.model<PriorTransformer>("prior");
      return new UnCLIPPipeline({ ...(await readDrawingParts(folder)), prior, priorScheduler });
    });
  }

  /** Writes a folder that {@link fromPretrained} reads. `save` can halve the precision and split large files. */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const { prior, priorScheduler } = this.parts;
    const parts = { ...drawingFolders(this.parts), prior, prior_scheduler: priorScheduler };
    await writePipelineFolder(folder, NAME, parts, { save });
  }

  /** Encodes prompts, for example to mix them. The result can be given as an option; the caller owns it. */
  encodePrompts(prompts: string[]): { promptEmbeds: TextStates } {
    return { promptEmbeds: this.textStates(texts("prompts", prompts)) };
  }

  async *steps(options: UnCLIPOptions): AsyncGenerator<UnCLIPStep, void, undefined> {
    // A copy, so that parts assigned meanwhile do not change later stages.
    const [parts, sizes] = [{ ...this.parts }, this.sizes];
    const { prior, priorScheduler, superResScheduler } = parts;
    const checked = checkUnCLIP(options, sizes, prior.config.num_embeddings);
    const { signal, batch, guidanceScale, priorGuidanceScale, priorLatents } = checked;
    signal?.throwIfAborted();
    await requireFiniteTensors(checked);
    const { scheduler = parts.decoderScheduler } = checked;
    // Guidance is on or off for both stages together, as in the published pipeline; each has its own scale.
    const isGuided = needsGuidance(Math.max(priorGuidanceScale, guidanceScale));
    const run = {
      atOnce: picturesAtOnce(unclipNeeds(parts, batch, isGuided), checked.batchSize),
      stages: {
        prior: stagePlan(priorScheduler, checked.priorNumInferenceSteps, "priorNumInferenceSteps"),
        decoder: decoderPlan(scheduler, checked.steps, checked.stepsOption),
        superResolution: stagePlan(superResScheduler, checked.superResNumInferenceSteps, "superResNumInferenceSteps"),
      },
      noise: noiseOf(checked),
      signal,
      watch: new FiniteWatch(parts, checked.debug),
    };
    const states = run.watch.over("Reading the prompts", () => this.#read(checked, isGuided));
    let imageEmbeddings: tf.Tensor2D | undefined;
    try {
      const shape: [number, number] = [batch, sizes.width];
      const request = { states, scale: priorGuidanceScale, shape, latents: priorLatents };
      imageEmbeddings = yield* runPrior(prior, request, run);
      yield* drawEmbeddings(parts, { ...checked, imageEmbeddings, states, ...sizes }, run);
    } finally {
      tf.dispose([states, imageEmbeddings ?? []]);
    }
  }

  #read({ text, negatives, numImages, batch }: CheckedUnCLIP, isGuided: boolean): TextStates {
    return tf.tidy(() => {
      const states = repeatStates(Array.isArray(text) ? this.textStates(text) : text, numImages);
      if (!isGuided) return states;
      return joinStates(repeatStates(this.textStates(negatives), batch / negatives.length), states);
    });
  }
}
