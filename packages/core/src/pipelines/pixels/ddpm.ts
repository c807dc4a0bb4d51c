import * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { FolderKind } from "../files/model-index.js";
import { toUnit } from "../../image/to-unit.js";
import type { Denoiser } from "../../models/denoiser.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import type { OptionTable } from "../options/option.js";
import { readsVariance } from "../options/sampler-checks.js";
import { draw } from "../drawing/draw.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { predictGuided, predictionIn } from "../drawing/guidance.js";
import { picturesAtOnce } from "../drawing/drawing-memory.js";
import { noiseOf } from "../drawing/noise-of.js";
import { planDrawing } from "../drawing/plan-steps.js";
import { sample } from "../drawing/sampling.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import { pixelNeeds } from "./pixel-needs.js";
import { UNet2DModel } from "../../models/unet/unet-2d.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import { requireFiniteTensors } from "../options/option-checks.js";
import { DENOISER, disposePipeline, fixParts, liveParts, SCHEDULER } from "../parts/live-parts.js";
import { requireDenoiser, requireSampler } from "../parts/part-checks.js";
import type { Pipeline } from "../pipeline.js";
import type { Drawn } from "../pipeline-step.js";
import { checkDDPM, DDIM_OPTIONS, DDPM_OPTIONS, type DDPMOptions, type DDPMStep } from "./ddpm-options.js";
import type { ModelPlace } from "../../platform/model-files.js";

const PARTS = { unet: { networks: { UNet2DModel } }, scheduler: {} };

/** The parts of DDPM. */
export interface DDPMParts {
  /**
   * Works on pixels: has as many output channels as input channels, or twice as many if it also predicts the variances
   * of the steps (Nichol & Dhariwal 2021), which samplers with a learned `variance_type` read.
   */
  unet: Denoiser;
  scheduler: Scheduler;
}

/**
 * Draws pictures from noise alone, or of a class (Ho et al. 2020, algorithm 2): a network removes the noise from
 * pixels, step by step. It opens folders in the layout of `google/ddpm-*`. A UNet2DModel with `num_class_embeds` gets
 * its class from `classLabels`. (diffusers opens such a folder, too, but can draw only if the network has no classes.)
 */
export class DDPMPipeline implements Pipeline<DDPMOptions, DDPMStep> {
  /** How to recognise a folder of such a pipeline. */
  static readonly folder: FolderKind = { className: "DDPMPipeline", parts: PARTS };
  /** The options of these pipelines, known before one is opened. */
  static readonly options: OptionTable = DDPM_OPTIONS;
  readonly options: OptionTable = DDPM_OPTIONS;
  /** The same as `options`, with the types of the values. */
  protected readonly table: typeof DDPM_OPTIONS = DDPM_OPTIONS;
  /** A part that is assigned is used from the next call on; one that does not fit is refused. */
  readonly parts: DDPMParts;

  /** @throws PipelinePartsError if the parts do not fit */
  constructor(parts: DDPMParts) {
    this.parts = liveParts("DDPMPipeline", { ...parts }, { unet: DENOISER, scheduler: SCHEDULER }, requireFittingParts);
    fixParts(this);
  }

  /** "class" if the network needs one. */
  get input(): "nothing" | "class" {
    return this.parts.unet.classLabels ? "class" : "nothing";
  }

  /** The pipeline's own scheduler. */
  get scheduler(): Scheduler {
    return this.parts.scheduler;
  }

  /**
   * Opens a folder in the layout of diffusers, or a model of the Hugging Face hub by its name, such as
   * "google/ddpm-cifar10-32".
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(from: ModelPlace, options: FromPretrainedOptions = {}): Promise<DDPMPipeline> {
    return PipelineFolder.open(from, PARTS, options, async (folder) => {
      const scheduler = await folder.scheduler();
      return new this({ unet: await folder.model<Denoiser>("unet"), scheduler });
    });
  }

  /** Writes a folder that {@link fromPretrained} and Python's diffusers open. */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const { className } = (this.constructor as typeof DDPMPipeline).folder;
    await writePipelineFolder(folder, className, { ...this.parts }, { save });
  }

  /**
   * Draws pictures. The caller owns both tensors: `images` [B, H, W, C] in [0, 1], and `latents`, the same in [-1, 1],
   * not clipped.
   */
  async generate(options: DDPMOptions = {}): Promise<Drawn> {
    return draw(this.steps(options), options);
  }

  /**
   * Draws one step at a time, to watch it or to stop early. Leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range or does not fit the network
   */
  async *steps(options: DDPMOptions = {}): AsyncGenerator<DDPMStep, void, undefined> {
    const { unet } = this.parts;
    const network = { picture: pictureShape(unet), classLabels: unet.classLabels };
    const checked = checkDDPM(options, this.table, network);
    const { latents, signal, labels, isGuided, eta, guidanceScale, guidanceRescale } = checked;
    const { scheduler = this.scheduler } = checked;
    const noise = noiseOf(checked);
    signal?.throwIfAborted();
    await requireFiniteTensors(checked);
    const plan = planDrawing(scheduler, checked.steps, { predictsVariance: predictsVariance(unet) });
    const atOnce = picturesAtOnce(pixelNeeds(unet, checked.shape, isGuided), checked.batchSize);
    const watch = new FiniteWatch(this.parts, checked.debug);
    const dtype = unet.classLabels?.kind === "ids" ? "int32" : "float32";
    // With guidance the first half of the batch has no class.
    const told = isGuided ? [...labels!.map(() => checked.nullClass!), ...labels!] : labels;
    const classLabels = told && tf.tensor1d(told, dtype);
    const guidance = isGuided ? { scale: guidanceScale, rescale: guidanceRescale } : undefined;

    const denoise = (x: tf.Tensor4D, t: number, _: number, slice: Slice) => {
      const classes = classLabels && rowsOfSlice(classLabels, slice);
      const output = predictGuided(unet, x, (batch) => unet.forward(batch, t, { classLabels: classes }), guidance);
      return readsVariance(scheduler) ? output : predictionIn(output, x);
    };
    const start = () => plan.start(latents ?? noise.normal(checked.shape));
    const stepOptions = { eta };
    try {
      yield* sample({ scheduler, plan, start, denoise, atOnce, noise, stepOptions, signal, watch, preview: toUnit });
    } finally {
      classLabels?.dispose();
    }
  }

  /** Frees the weights of the network. */
  dispose(): void {
    disposePipeline(this);
  }
}

/** {@link DDPMPipeline} for folders of diffusers' DDIMPipeline: 50 steps by default (Song et al. 2021). */
export class DDIMPipeline extends DDPMPipeline {
  static override readonly options: OptionTable = DDIM_OPTIONS;
  override readonly options: OptionTable = DDIM_OPTIONS;
  protected override readonly table = DDIM_OPTIONS;
  static override readonly folder: FolderKind = { className: "DDIMPipeline", parts: PARTS };
}

function requireFittingParts({ unet, scheduler }: DDPMParts): void {
  const { inChannels, outChannels, sampleSize, classLabels } = unet;
  requireDenoiser(
    "DDPMPipeline",
    inChannels === outChannels || predictsVariance(unet),
    `takes ${inChannels} channels and returns ${outChannels}; expected equal numbers, or twice as many with variances.`,
  );
  requireDenoiser(
    "DDPMPipeline",
    sampleSize !== undefined,
    "has no sampleSize (sample_size in its config); set it to the height of the pictures it was trained on.",
  );
  requireDenoiser(
    "DDPMPipeline",
    classLabels?.kind !== "vectors",
    "takes its class as a vector, but this pipeline has class numbers.",
  );
  requireSampler("DDPMPipeline", "scheduler", scheduler, predictsVariance(unet));
}

function predictsVariance({ inChannels, outChannels }: Denoiser): boolean {
  return outChannels === 2 * inChannels;
}

function pictureShape({ sampleSize, inChannels }: Denoiser): [number, number, number] {
  return [...sampleSize!, inChannels];
}
