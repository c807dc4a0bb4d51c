import * as tf from "@tensorflow/tfjs";
import { keyedNoise, type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { LoraSet } from "../adapters/lora.js";
import { loadTextualInversion } from "../adapters/textual-inversion.js";
import type { AutoencoderKL } from "../models/autoencoder-kl.js";
import type { CLIPTextModel } from "../models/clip-text-model.js";
import type { LoadModelOptions } from "../models/load-model.js";
import type { UNet2DConditionModel } from "../models/unet-2d-condition.js";
import { loadSingleFile, type SingleFileOptions } from "../layouts/single-file.js";
import { joinPath } from "../platform.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { PipelineOptionError, PipelinePartsError } from "./errors.js";
import { controlResiduals } from "./control.js";
import { guide, guidanceEmbedding, needsGuidance } from "./guidance.js";
import { binaryMask, pasteBack } from "./inpainting.js";
import { LatentSpace } from "./latent-space.js";
import type { PartRequirement } from "./model-index.js";
import { PipelineFolder, writePipelineFolder } from "./pipeline-folder.js";
import { preview, previewMap } from "./preview.js";
import { sample } from "./sampling.js";
import {
  type CheckedOptions,
  checkStableDiffusionOptions,
  type PipelineFacts,
  type StableDiffusionOptions,
} from "./stable-diffusion-options.js";
import { type Start, startFromImage, startFromNoise, startInpainting } from "./stable-diffusion-starts.js";
import { encodePrompts, repeatRows } from "./text-conditioning.js";

/** The parts as `model_index.json` names them; those without a use here are left unread. */
const PARTS = {
  unet: { className: "UNet2DConditionModel" },
  vae: { className: "AutoencoderKL" },
  text_encoder: { className: "CLIPTextModel" },
  tokenizer: { className: "CLIPTokenizer" },
  scheduler: {},
  safety_checker: { optional: true },
  feature_extractor: { optional: true },
  image_encoder: { optional: true },
} satisfies Record<string, PartRequirement>;

/** What Stable Diffusion is made of. */
export interface StableDiffusionParts {
  unet: UNet2DConditionModel;
  vae: AutoencoderKL;
  textEncoder: CLIPTextModel;
  tokenizer: CLIPTokenizer;
  scheduler: Scheduler;
}

/** What a single file does not say. */
export interface StableDiffusionFileOptions extends SingleFileOptions {
  tokenizer?: CLIPTokenizer;
  /** What the network was trained to predict. Default: "epsilon" for Stable Diffusion 1, "v_prediction" for 2 (whose 512 pixel base has "epsilon"). */
  predictionType?: "epsilon" | "v_prediction";
}

/** What `onStep` is told after each step. */
export interface StableDiffusionStep {
  /** Counts from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The latents after this step, [B, h, w, C]; lent until the next step. */
  readonly latents: tf.Tensor4D;
  /** A small picture of them, [B, h, w, 3] in [0, 1], without the autoencoder's work; the caller owns it. */
  preview(): tf.Tensor4D;
}

/**
 * Stable Diffusion (Rombach et al. 2022): a UNet takes the noise out of latents, step by step, told by CLIP's text encoder what they
 * show; an autoencoder makes a picture of them. One class draws from text, from a picture (`image`), and into a picture (`image` and
 * `mask`): see {@link StableDiffusionOptions}.
 */
export class StableDiffusionPipeline {
  readonly parts: StableDiffusionParts;
  /** LoRAs that are mixed into the UNet and the text encoder: `await pipeline.loras.load(file, { scale: 0.8 })`. */
  readonly loras: LoraSet;
  readonly #space: LatentSpace;
  #previewMap: tf.Tensor2D | undefined;

  /** The scheduler's `steps_offset` and `clip_sample` become 1 and false, as the published models need them and diffusers sets them. */
  constructor(parts: StableDiffusionParts) {
    requireFittingParts(parts);
    this.parts = { ...parts, scheduler: forLatents(parts.scheduler) };
    this.loras = new LoraSet({ unet: parts.unet, text_encoder: parts.textEncoder });
    this.#space = new LatentSpace(parts.vae);
  }

  /**
   * Opens a folder in the layout of diffusers (`model_index.json`, `unet/`, `vae/`, `text_encoder/`, `tokenizer/`, `scheduler/`), or what
   * ends in `.safetensors`, or is a Blob or bytes, as a single file: see {@link fromSingleFile}.
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit
   */
  static async fromPretrained(
    from: BytesFrom,
    options: LoadModelOptions & StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionPipeline> {
    if (typeof from !== "string" || /\.(safetensors|ckpt|pt|pth|bin)$/i.test(from))
      return this.fromSingleFile(from, options);
    return PipelineFolder.open(
      from,
      PARTS,
      options,
      async (parts) =>
        new StableDiffusionPipeline({
          scheduler: await parts.scheduler(),
          tokenizer: await parts.tokenizer(),
          textEncoder: await parts.model<CLIPTextModel>("text_encoder"),
          vae: await parts.model<AutoencoderKL>("vae"),
          unet: await parts.model<UNet2DConditionModel>("unet"),
        }),
    );
  }

  /**
   * Opens a checkpoint of Stable Diffusion 1.x or 2.x that is one file (see {@link loadSingleFile}). Such files hold no vocabulary: give a
   * `tokenizer`, or a `config` folder that has a `tokenizer/`.
   *
   * @throws PipelineOptionError without a vocabulary, PipelinePartsError for a file of another family; those of loadSingleFile
   */
  static async fromSingleFile(
    from: BytesFrom,
    options: StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionPipeline> {
    const { config } = options;
    if (!options.tokenizer && config === undefined) {
      throw new PipelineOptionError(
        "tokenizer: missing; a single file holds no vocabulary. Give CLIPTokenizer.fromFolder(a folder with vocab.json and merges.txt), " +
          "or as config a folder of diffusers for the same kind of model.",
      );
    }
    const tokenizer = options.tokenizer ?? (await CLIPTokenizer.fromFolder(joinPath(config!, "tokenizer")));
    const { family, unet, vae, textEncoders, schedulerConfig } = await loadSingleFile(from, options);
    const networks = [unet, vae, ...textEncoders.values()];
    try {
      if (family !== "sd1" && family !== "sd2") {
        throw new PipelinePartsError(
          `StableDiffusionPipeline: the file is of the family ${family}; this pipeline draws with sd1 and sd2.`,
        );
      }
      const { predictionType: prediction_type = schedulerConfig.prediction_type } = options;
      const scheduler = schedulerFromConfig({ ...schedulerConfig, prediction_type });
      const textEncoder = textEncoders.get("text_encoder") as CLIPTextModel;
      return new StableDiffusionPipeline({ unet, vae, textEncoder, tokenizer, scheduler });
    } catch (error) {
      for (const network of networks) network.dispose();
      throw error;
    }
  }

  /** Teaches the text encoder a new word from a file, for use in prompts: see {@link loadTextualInversion}. */
  async loadTextualInversion(from: BytesFrom, token?: string): Promise<void> {
    this.parts.tokenizer = await loadTextualInversion(from, { ...this.parts, token });
  }

  /** Writes a folder that {@link fromPretrained} and Python's diffusers open. */
  async savePretrained(folder: string): Promise<void> {
    const { unet, vae, textEncoder, tokenizer, scheduler } = this.parts;
    const parts = { unet, vae, text_encoder: textEncoder, tokenizer, scheduler };
    const absent = [null, null];
    await writePipelineFolder(folder, "StableDiffusionPipeline", parts, {
      ...{ feature_extractor: absent, image_encoder: absent, safety_checker: absent },
      requires_safety_checker: false,
    });
  }

  /** Draws. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and the `latents` they were made from. */
  async generate(options: StableDiffusionOptions): Promise<{ images: tf.Tensor4D; latents: tf.Tensor4D }> {
    let latents: tf.Tensor4D | undefined;
    try {
      for await (const step of this.steps(options)) {
        options.onStep?.(step);
        if (step.index === step.total - 1) latents = step.latents.clone();
      }
      return { images: this.#decode(latents!, options), latents: latents! };
    } catch (error) {
      latents?.dispose();
      throw error;
    }
  }

  /**
   * The same, one step at a time, to look at or to stop early: leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range
   */
  async *steps(options: StableDiffusionOptions): AsyncGenerator<StableDiffusionStep, void, undefined> {
    options.signal?.throwIfAborted();
    const checked = checkStableDiffusionOptions(options, this.#facts());
    const { scheduler = this.parts.scheduler, noise = keyedNoise(checked.seed), signal, eta } = options;
    const held: tf.Tensor[] = [checked.image ?? [], checked.mask ?? []].flat();
    try {
      const plan = scheduler.plan(checked.steps);
      const first = checked.image ? firstCall(scheduler, checked, plan.timesteps.length) : 0;
      const { guided, context, timestepCond } = this.#condition(checked, options.promptWeighting ?? false);
      held.push(context, ...(timestepCond ? [timestepCond] : []));
      const request = { plan, space: this.#space, shape: checked.shape, noise, latents: options.latents };
      const start = this.#start(request, checked, first);
      held.push(...start.tensors);

      const { control } = options;
      const denoise = (x: tf.Tensor4D, timestep: number, index: number) => {
        const batch = guided ? tf.concat([x, x]) : x;
        const shown = start.context && (guided ? tf.concat([start.context, start.context]) : start.context);
        const call = {
          x: batch,
          timestep,
          context,
          isGuided: guided,
          index: index - first,
          total: plan.timesteps.length - first,
        };
        const residuals = control ? controlResiduals(control, call) : {};
        const input = shown ? tf.concat([batch, shown], 3) : batch;
        const output = this.parts.unet.forward(input, timestep, context, { timestepCond, ...residuals });
        if (!guided) return output;
        const [unconditional, conditional] = tf.split(output, 2) as [tf.Tensor4D, tf.Tensor4D];
        return guide(unconditional, conditional, checked.guidanceScale, checked.guidanceRescale);
      };
      const stepOptions = eta === undefined ? undefined : { eta };
      const walk = { plan, start: start.state, first, denoise, mend: start.mend, noise, stepOptions, signal };
      for await (const { x, index, total, timestep } of sample(walk)) {
        const show = () => preview(x, (this.#previewMap ??= tf.keep(previewMap(this.#space))));
        yield { index: index - first, total: total - first, timestep, latents: x, preview: show };
      }
    } finally {
      tf.dispose(held);
    }
  }

  #start(request: Parameters<typeof startFromNoise>[0], checked: CheckedOptions, first: number): Start {
    const { image, mask, strength } = checked;
    if (!image) return startFromNoise(request);
    if (!mask) return startFromImage(request, image, first);
    return startInpainting(request, {
      ...{ image, mask, first },
      fromNoise: strength === 1,
      contextual: this.#facts().needsMask,
    });
  }

  /** What the network is told; guided, it is asked about the batch twice, for the negative prompts first. */
  #condition(checked: CheckedOptions, weighting: boolean) {
    const { prompts, negatives, clipSkip, numImages, guidanceScale, shape } = checked;
    const [batch] = shape;
    const { unet } = this.parts;
    const embeds = (given: string[] | tf.Tensor3D, skip = 0) =>
      Array.isArray(given) ? encodePrompts(given, this.parts, { clipSkip: skip, weighting }).context : given;
    // A network that was distilled with guidance (Meng et al. 2023) is told its scale instead.
    const scaleWidth = unet.config.time_cond_proj_dim;
    const guided = scaleWidth === null && needsGuidance(guidanceScale);
    const context = tf.tidy(() => {
      const positive = repeatRows(embeds(prompts, clipSkip), numImages);
      if (!guided) return positive.clone();
      const negative = embeds(negatives); // As diffusers does, from the last layer whatever clipSkip says.
      return tf.concat([repeatRows(negative, batch / negative.shape[0]), positive]);
    });
    const timestepCond = scaleWidth === null ? undefined : guidanceEmbedding(guidanceScale, scaleWidth, batch);
    return { guided, context, timestepCond };
  }

  #decode(latents: tf.Tensor4D, { image, mask, pasteBack: paste, maskBlur }: StableDiffusionOptions): tf.Tensor4D {
    if (!paste) return this.#space.decode(latents);
    return tf.tidy(() => {
      const painted = this.#space.decode(latents);
      const [, height, width] = painted.shape;
      const kept = image!.reshape<tf.Tensor4D>([-1, height, width, 3]);
      const painting = binaryMask(mask!.reshape<tf.Tensor4D>([-1, height, width, 1]));
      const rows = painted.shape[0];
      const tiled = (x: tf.Tensor4D) => (x.shape[0] === rows ? x : x.tile<tf.Tensor4D>([rows, 1, 1, 1]));
      return pasteBack(tiled(kept), painted, tiled(painting), maskBlur);
    });
  }

  #facts(): PipelineFacts {
    const { unet, textEncoder } = this.parts;
    const { factor, channels } = this.#space;
    const [rows, columns = rows] = [unet.config.sample_size ?? 64].flat() as [number, number?];
    return {
      size: [rows * factor, columns * factor],
      factor,
      latentChannels: channels,
      textWidth: textEncoder.config.hidden_size,
      textLayers: textEncoder.config.num_hidden_layers,
      needsMask: unet.config.in_channels !== channels,
    };
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    const { unet, vae, textEncoder } = this.parts;
    this.loras.fuse(); // Frees what it keeps of the old weights.
    for (const network of [unet, vae, textEncoder]) network.dispose();
    this.#previewMap?.dispose();
    this.#previewMap = undefined;
  }
}

function requireFittingParts({ unet, vae, textEncoder }: StableDiffusionParts): void {
  const { in_channels, out_channels, cross_attention_dim, class_embed_type, addition_embed_type } = unet.config;
  const channels = vae.config.latent_channels;
  require(in_channels === channels ||
    in_channels ===
      2 * channels +
        1, `takes ${in_channels} channels; the autoencoder's latents have ${channels}, and ${2 * channels + 1} are for inpainting.`);
  require(out_channels === channels, `returns ${out_channels} channels; the autoencoder's latents have ${channels}.`);
  const widths = [cross_attention_dim].flat();
  const width = textEncoder.config.hidden_size;
  require(widths.every(
    (wanted) => wanted === width,
  ), `reads text states of ${widths.join(", ")} numbers; the text encoder makes ${width}.`);
  require(class_embed_type === null, `needs class embeddings (${class_embed_type}), which this pipeline has none of.`);
  require(addition_embed_type ===
    null, `needs added embeddings (${addition_embed_type}), as SDXL's does; this pipeline has none of them.`);
}

function require(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new PipelinePartsError(`StableDiffusionPipeline: the UNet ${problem}`);
}

function forLatents(scheduler: Scheduler): Scheduler {
  const { steps_offset = 1, clip_sample = false } = scheduler.config as {
    steps_offset?: number;
    clip_sample?: boolean;
  };
  if (steps_offset === 1 && !clip_sample) return scheduler;
  const needed = {
    ...("steps_offset" in scheduler.config && { steps_offset: 1 }),
    ...("clip_sample" in scheduler.config && { clip_sample: false }),
  };
  return schedulerFromConfig({ ...scheduler.config, ...needed });
}

/** These call the network twice a step. */
const SECOND_ORDER = /Heun|KDPM2|DPMSolverSDE/;

/** Where image-to-image starts: the last `strength` of the steps are done, rounded down. */
function firstCall({ config }: Scheduler, { steps, strength }: CheckedOptions, calls: number): number {
  const skipped = Math.max(steps - Math.trunc(steps * strength), 0);
  const first = skipped * (SECOND_ORDER.test(config._class_name) ? 2 : 1);
  if (first < calls && skipped < steps) return first;
  throw new PipelineOptionError(
    `strength: ${strength} of ${steps} steps is less than one; give at least ${(1 / steps).toFixed(3)}, or more numInferenceSteps.`,
  );
}
