import * as tf from "@tensorflow/tfjs";
import { keyedNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { toUnit } from "../image/to-unit.js";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip-text-model.js";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import type { UNet2DConditionModel } from "../models/unet-2d-condition.js";
import { joinPath, readText, writeText } from "../platform.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import { guide, needsGuidance } from "./guidance.js";
import { keepPixelRange } from "./pixel-range.js";
import { MODEL_INDEX, type PartRequirement, readModelIndex } from "./model-index.js";
import { sample } from "./sampling.js";
import { type TextConditioning, encodePrompts, joinPrompts, repeatPrompts } from "./text-conditioning.js";
import { type TextToImageOptions, checkOptions } from "./text-to-image-options.js";
import { type TextToImageParts, pictureShape, requireFittingParts } from "./text-to-image-parts.js";

/** The parts as `model_index.json` names them, each in its subfolder. */
const PARTS = {
  unet: { className: "UNet2DConditionModel" },
  text_encoder: { className: "CLIPTextModel" },
  text_encoder_2: { className: "CLIPTextModelWithProjection", optional: true },
  tokenizer: { className: "CLIPTokenizer" },
  scheduler: {},
} satisfies Record<string, PartRequirement>;

const SCHEDULER_FILE = "scheduler/scheduler_config.json";

/** What `onStep` is told after each step. */
export interface TextToImageStep {
  /** Counts from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The pictures with the noise that is left in them, [B, H, W, 3] about [-1, 1]; lent until the next step. */
  readonly latents: tf.Tensor4D;
  /** The same to look at, in [0, 1]; the caller owns it. */
  preview(): tf.Tensor4D;
}

/**
 * Text to image in the space of pixels: a UNet takes the noise out of small pictures, step by step, told by a CLIP
 * text encoder what they show. Unlike Stable Diffusion it has no autoencoder: what is sampled is the picture.
 *
 * Start: `const pipeline = await TextToImagePipeline.fromPretrained("packages/examples/weights/faces")`.
 */
export class TextToImagePipeline {
  constructor(readonly parts: TextToImageParts) {
    requireFittingParts(parts);
  }

  /**
   * Opens a folder in the layout of diffusers: `model_index.json` names the parts, each part has its subfolder
   * (`unet/`, `text_encoder/`, `text_encoder_2/`, `tokenizer/`, `scheduler/`).
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit
   */
  static async fromPretrained(folder: string): Promise<TextToImagePipeline> {
    const present = await readModelIndex(folder, PARTS);
    const networks: { dispose(): void }[] = [];
    const load = async <M extends Model>(part: string) => {
      const model = (await loadModel(joinPath(folder, part))) as M;
      networks.push(model);
      return model;
    };
    try {
      return new TextToImagePipeline({
        scheduler: schedulerFromConfig(
          JSON.parse(await readText(joinPath(folder, SCHEDULER_FILE))) as Record<string, unknown>,
        ),
        tokenizer: await CLIPTokenizer.fromFolder(joinPath(folder, "tokenizer")),
        textEncoder: await load<CLIPTextModel>("text_encoder"),
        textEncoder2: present.has("text_encoder_2")
          ? await load<CLIPTextModelWithProjection>("text_encoder_2")
          : undefined,
        unet: await load<UNet2DConditionModel>("unet"),
      });
    } catch (error) {
      for (const network of networks) network.dispose();
      throw error;
    }
  }

  /** Writes what {@link fromPretrained} reads. */
  async savePretrained(folder: string): Promise<void> {
    const { unet, textEncoder, textEncoder2, tokenizer, scheduler } = this.parts;
    await unet.save(joinPath(folder, "unet"));
    await textEncoder.save(joinPath(folder, "text_encoder"));
    await textEncoder2?.save(joinPath(folder, "text_encoder_2"));
    await tokenizer.save(joinPath(folder, "tokenizer"));
    await writeText(joinPath(folder, SCHEDULER_FILE), toJson(scheduler.config));
    // Last, so that a folder with an index is a whole one.
    await writeText(joinPath(folder, MODEL_INDEX), toJson(modelIndex(this.parts)));
  }

  /** Draws the prompts. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and `latents`, the same unclipped. */
  async generate(options: TextToImageOptions): Promise<{ images: tf.Tensor4D; latents: tf.Tensor4D }> {
    let latents: tf.Tensor4D | undefined;
    try {
      for await (const step of this.steps(options)) {
        options.onStep?.(step);
        if (step.index === step.total - 1) latents = step.latents.clone();
      }
      return { images: toUnit(latents!), latents: latents! };
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
  async *steps(options: TextToImageOptions): AsyncGenerator<TextToImageStep, void, undefined> {
    const { latents, signal } = options;
    const { prompts, negativePrompts, steps, seed, numImages, shape, ...guidance } = checkOptions(
      options,
      pictureShape(this.parts.unet),
    );
    signal?.throwIfAborted();
    const guided = needsGuidance(guidance.guidanceScale);
    const scheduler = options.scheduler ?? this.parts.scheduler;
    const plan = scheduler.plan(steps);
    const noise = options.noise ?? keyedNoise(seed);
    const conditioning = this.#read(prompts, guided ? negativePrompts : [], numImages);

    const predict = (x: tf.Tensor4D, t: number) => {
      if (!guided) return this.#predict(x, t, conditioning);
      const both = this.#predict(tf.concat([x, x]), t, conditioning);
      const [unconditional, conditional] = tf.split(both, 2) as [tf.Tensor4D, tf.Tensor4D];
      return guide(unconditional, conditional, guidance.guidanceScale, guidance.guidanceRescale);
    };
    const denoise = (x: tf.Tensor4D, t: number) => keepPixelRange(predict(x, t), x, t, scheduler);
    const start = () => plan.start(latents ?? noise.normal(shape));
    try {
      for await (const { x, ...step } of sample({ plan, start, denoise, noise, signal })) {
        yield { ...step, latents: x, preview: () => toUnit(x) };
      }
    } finally {
      tf.dispose([conditioning.context, conditioning.pooled ?? []]);
    }
  }

  /** What the network needs to know of a batch; with negative prompts, these come first, as an equal half of the batch. */
  #read(prompts: string[], negativePrompts: string[], numImages: number): TextConditioning {
    return tf.tidy(() => {
      const positive = repeatPrompts(encodePrompts(prompts, this.parts), numImages);
      if (negativePrompts.length === 0) return positive;
      const copies = (prompts.length * numImages) / negativePrompts.length;
      return joinPrompts(repeatPrompts(encodePrompts(negativePrompts, this.parts), copies), positive);
    });
  }

  #predict(x: tf.Tensor4D, t: number, { context, pooled }: TextConditioning): tf.Tensor4D {
    return this.parts.unet.forward(x, t, context, { classLabels: pooled });
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    const { unet, textEncoder, textEncoder2 } = this.parts;
    for (const network of [unet, textEncoder, textEncoder2]) network?.dispose();
  }
}

/** `model_index.json`, in the form that diffusers writes. */
function modelIndex({ scheduler, textEncoder2 }: TextToImageParts): object {
  return {
    _class_name: "TextToImagePipeline",
    scheduler: ["diffusers", scheduler.config._class_name],
    text_encoder: ["transformers", PARTS.text_encoder.className],
    ...(textEncoder2 && { text_encoder_2: ["transformers", PARTS.text_encoder_2.className] }),
    tokenizer: ["transformers", PARTS.tokenizer.className],
    unet: ["diffusers", PARTS.unet.className],
  };
}

function toJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
