import * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { toUnit } from "../../image/to-unit.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import type { OptionTable } from "../options/option.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { floatBytes, textEncoderBytes } from "../../models/activation-memory.js";
import { draw } from "../drawing/draw.js";
import { picturesAtOnce } from "../drawing/drawing-memory.js";
import { needsGuidance, predictGuided } from "../drawing/guidance.js";
import { noiseOf } from "../drawing/noise-of.js";
import { planDrawing } from "../drawing/plan-steps.js";
import { pixelNeeds } from "./pixel-needs.js";
import { keepPixelRange } from "./pixel-range.js";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { FolderKind, PartRequirements } from "../files/model-index.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import { requireFiniteTensors } from "../options/option-checks.js";
import { disposePipeline, fixParts, liveParts } from "../parts/live-parts.js";
import { sample } from "../drawing/sampling.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import {
  type TextConditioning,
  encodePrompts,
  joinPrompts,
  repeatPrompts,
  tokensOf,
} from "../stable-diffusion/text-conditioning.js";
import type { Pipeline } from "../pipeline.js";
import type { Drawn } from "../pipeline-step.js";
import {
  checkOptions,
  PIXEL_DIFFUSION_OPTIONS,
  type PixelDiffusionOptions,
  type PixelDiffusionStep,
} from "./pixel-diffusion-options.js";
import { type PixelDiffusionParts, PART_KINDS, pictureShape, requireFittingParts } from "./pixel-diffusion-parts.js";
import type { ModelPlace } from "../../platform/model-files.js";

/** The parts as `model_index.json` names them, each in its subfolder. */
const PARTS = {
  unet: { networks: { UNet2DConditionModel } },
  text_encoder: { networks: { CLIPTextModel } },
  text_encoder_2: { networks: { CLIPTextModelWithProjection }, optional: true },
  tokenizer: { className: "CLIPTokenizer" },
  scheduler: {},
} satisfies PartRequirements;

/**
 * Text to image in pixel space: a UNet removes the noise from small pictures, step by step, conditioned on a CLIP text
 * encoder. Unlike Stable Diffusion it has no autoencoder: the samples are the pictures themselves.
 *
 * Start: `const pipeline = await PixelDiffusionPipeline.fromPretrained("packages/examples/weights/faces")`.
 */
export class PixelDiffusionPipeline implements Pipeline<PixelDiffusionOptions, PixelDiffusionStep> {
  readonly input = "text";
  /** How to recognise a folder of such a pipeline. */
  static readonly folder: FolderKind = { className: "PixelDiffusionPipeline", parts: PARTS };
  /** The options of these pipelines, known before one is opened. */
  static readonly options: OptionTable = PIXEL_DIFFUSION_OPTIONS;
  readonly options: OptionTable = PIXEL_DIFFUSION_OPTIONS;
  /** A part that is assigned is used from the next call on; one that does not fit is refused. */
  readonly parts: PixelDiffusionParts;

  /** @throws PipelinePartsError if the parts do not fit */
  constructor(parts: PixelDiffusionParts) {
    this.parts = liveParts("PixelDiffusionPipeline", { ...parts }, PART_KINDS, requireFittingParts);
    fixParts(this);
  }

  get scheduler(): Scheduler {
    return this.parts.scheduler;
  }

  /**
   * Opens a folder in the layout of diffusers: `model_index.json` names the parts, each part has its subfolder
   * (`unet/`, `text_encoder/`, `text_encoder_2/`, `tokenizer/`, `scheduler/`). Or opens a model of the Hugging Face hub
   * by its name, "owner/name".
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(from: ModelPlace, options: FromPretrainedOptions = {}): Promise<PixelDiffusionPipeline> {
    return PipelineFolder.open(
      from,
      PARTS,
      options,
      async (parts) =>
        new PixelDiffusionPipeline({
          scheduler: await parts.scheduler(),
          tokenizer: await parts.tokenizer(),
          textEncoder: await parts.model<CLIPTextModel>("text_encoder"),
          textEncoder2: await parts.optionalModel<CLIPTextModelWithProjection>("text_encoder_2"),
          unet: await parts.model<ConditionalDenoiser>("unet"),
        }),
    );
  }

  /** Writes a folder that {@link fromPretrained} reads. `save` can halve the precision and split large files. */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const { unet, textEncoder, textEncoder2, tokenizer, scheduler } = this.parts;
    const parts = { unet, text_encoder: textEncoder, text_encoder_2: textEncoder2, tokenizer, scheduler };
    await writePipelineFolder(folder, "PixelDiffusionPipeline", parts, { save });
  }

  /**
   * Draws the prompts. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and `latents`, the same in [-1,
   * 1], not clipped.
   */
  async generate(options: PixelDiffusionOptions): Promise<Drawn> {
    return draw(this.steps(options), options);
  }

  /**
   * Draws one step at a time, to watch it or to stop early. Leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range
   */
  async *steps(options: PixelDiffusionOptions): AsyncGenerator<PixelDiffusionStep, void, undefined> {
    const { unet } = this.parts;
    const checked = checkOptions(options, pictureShape(unet));
    const { latents, signal, guidanceScale, guidanceRescale } = checked;
    const { scheduler = this.scheduler } = checked;
    const noise = noiseOf(checked);
    signal?.throwIfAborted();
    await requireFiniteTensors(checked);
    const isGuided = needsGuidance(guidanceScale);
    const plan = planDrawing(scheduler, checked.steps);
    const atOnce = picturesAtOnce(pixelNeeds(unet, checked.shape, isGuided, this.#textBytes()), checked.batchSize);
    const watch = new FiniteWatch(this.parts, checked.debug);
    const conditioning = watch.over("Reading the prompts", () =>
      this.#read(checked.prompts, isGuided ? checked.negatives : [], checked.numImages),
    );

    const { context, pooled: classLabels } = conditioning;
    const guidance = isGuided ? { scale: guidanceScale, rescale: guidanceRescale } : undefined;
    const predict = (x: tf.Tensor4D, t: number, slice: Slice) => {
      const [states, classes] = [rowsOfSlice(context, slice), classLabels && rowsOfSlice(classLabels, slice)];
      return predictGuided(unet, x, (batch) => unet.forward(batch, t, states, { classLabels: classes }), guidance);
    };
    const denoise = (x: tf.Tensor4D, t: number, _: number, slice: Slice) =>
      keepPixelRange(predict(x, t, slice), x, t, scheduler);
    const start = () => plan.start(latents ?? noise.normal(checked.shape));
    try {
      yield* sample({ scheduler, plan, start, denoise, atOnce, noise, signal, watch, preview: toUnit });
    } finally {
      tf.dispose([conditioning.context, conditioning.pooled ?? []]);
    }
  }

  #textBytes() {
    const { tokenizer, textEncoder, textEncoder2 } = this.parts;
    const encoders = [textEncoder, ...(textEncoder2 ? [textEncoder2] : [])];
    return {
      reading: Math.max(...encoders.map(textEncoderBytes)),
      states: floatBytes(tokensOf(tokenizer, textEncoder), textEncoder.config.hidden_size),
    };
  }

  /** The text conditioning of a batch. With negative prompts, the first half of the batch holds these. */
  #read(prompts: string[], negativePrompts: string[], numImages: number): TextConditioning {
    return tf.tidy(() => {
      const positive = repeatPrompts(encodePrompts(prompts, this.parts), numImages);
      if (negativePrompts.length === 0) return positive;
      const copies = (prompts.length * numImages) / negativePrompts.length;
      return joinPrompts(repeatPrompts(encodePrompts(negativePrompts, this.parts), copies), positive);
    });
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    disposePipeline(this);
  }
}
