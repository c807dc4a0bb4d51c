import * as tf from "@tensorflow/tfjs";
import { keyedNoise, type Scheduler } from "@tfjs-diffusion/schedulers";
import type { LoraSet } from "../../adapters/lora.js";
import type { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { ConditionalDenoiser, ConditionalDenoiserInputs } from "../../models/denoiser.js";
import { controlResiduals, controlsOf } from "./control.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { guide, guidanceEmbedding, needsGuidance } from "../drawing/guidance.js";
import { binaryMask, pasteBack } from "./inpainting.js";
import { type OptionNames, requireKnownOptions } from "../options/known-options.js";
import { type LatentSpace, latentSpaces } from "./latent-space.js";
import { requirePictures, texts } from "../options/option-checks.js";
import { planDrawing } from "../drawing/plan-steps.js";
import { disposeParts } from "../parts/dispose-parts.js";
import { sample } from "../drawing/sampling.js";
import {
  type CheckedOptions,
  checkStableDiffusionOptions,
  type PipelineFacts,
  requireClipSkip,
  type StableDiffusionOptions,
  type StableDiffusionStep,
} from "./stable-diffusion-options.js";
import {
  resumeInpainting,
  type Start,
  startFromImage,
  startFromLatents,
  startFromNoise,
  startInpainting,
  type StartRequest,
} from "./stable-diffusion-starts.js";
import { type StepWindow, stepWindow } from "../drawing/step-window.js";
import type { EncodePromptsOptions } from "./text-conditioning.js";

/** What every pipeline in an autoencoder's latents has, besides its text encoders. */
export interface LatentPipelineParts {
  /** Takes the noise out of latents: a UNet, or another network that is a {@link ConditionalDenoiser}. */
  unet: ConditionalDenoiser;
  vae: AutoencoderKL;
  scheduler: Scheduler;
}

/**
 * What the UNet is told besides latents and time; when guided for twice the batch, the negative prompts first. The
 * caller owns it.
 */
export type Condition = {
  context: tf.Tensor3D;
  inputs: ConditionalDenoiserInputs & tf.TensorContainerObject;
};

/** Prompts as networks read them, by the names of the options that take them. */
export type PromptStates = {
  /** [N, L, C] */
  promptEmbeds: tf.Tensor3D;
  /** [N, D], of XL's second text encoder. */
  pooledPromptEmbeds?: tf.Tensor2D;
};

/**
 * Latent diffusion (Rombach et al. 2022): a UNet takes the noise out of latents, step by step; an autoencoder makes a
 * picture of them. What the UNet is told of the prompts is left to the kinds of Stable Diffusion.
 */
export abstract class LatentPipeline<P extends LatentPipelineParts, O extends StableDiffusionOptions> {
  /** LoRAs that are mixed into the UNet and the text encoders: `await pipeline.loras.load(file, { scale: 0.8 })`. */
  abstract readonly loras: LoraSet;
  protected abstract readonly optionNames: OptionNames<O>;
  readonly #spaceOf = latentSpaces();

  /** @param parts those of `liveParts`; what is assigned to them takes effect at the next call */
  constructor(readonly parts: P) {}

  get #space(): LatentSpace {
    return this.#spaceOf(this.parts.vae);
  }

  /** Pixels a latent, along each side. */
  protected get factor(): number {
    return this.#space.factor;
  }

  /** Width and number of the text states, and layers of the text encoder. */
  protected abstract textFacts(): Pick<PipelineFacts, "textWidth" | "textTokens" | "textLayers">;

  /**
   * What the networks are told of prompts, to mix and to give back in the options; the caller owns it.
   *
   * @throws PipelineOptionError before any work
   */
  encodePrompts(prompts: string[], options: EncodePromptsOptions = {}): PromptStates {
    requireClipSkip(options.clipSkip ?? 0, this.textFacts());
    return this.readPrompts(texts("prompts", prompts), options);
  }

  /** {@link encodePrompts} of what was checked. */
  protected abstract readPrompts(prompts: string[], options: EncodePromptsOptions): PromptStates;

  /** Runs in a tidy. */
  protected abstract condition(checked: CheckedOptions, options: O): Condition;

  /** @throws PipelineOptionError before any work */
  protected check(options: O): CheckedOptions {
    return checkStableDiffusionOptions(options, this.#facts());
  }

  /** Draws. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and the `latents` they were made from. */
  async generate(options: O): Promise<{ images: tf.Tensor4D; latents: tf.Tensor4D }> {
    const parts = { ...this.parts }; // As they are now, as the steps have them.
    const space = this.#space;
    const latents = await this.generateLatents(options);
    try {
      const images = this.#watch(options, parts).over("Decoding", () => decodeLatents(space, latents, options));
      return { images, latents };
    } catch (error) {
      latents.dispose();
      throw error;
    }
  }

  /** Draws as far as the latents, to hand them to another pipeline; the caller owns them. */
  async generateLatents(options: O): Promise<tf.Tensor4D> {
    let latents: tf.Tensor4D | undefined;
    try {
      for await (const step of this.steps(options)) {
        options.onStep?.(step);
        if (step.index === step.total - 1) latents = step.latents.clone();
      }
      return latents!;
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
  async *steps(options: O): AsyncGenerator<StableDiffusionStep, void, undefined> {
    requireKnownOptions(options, this.optionNames);
    options.signal?.throwIfAborted();
    const checked = this.check(options);
    const { unet } = this.parts;
    const space = this.#space;
    const { scheduler = this.parts.scheduler, noise = keyedNoise(checked.seed), signal } = options;
    const controls = controlsOf(options.control);
    const held: tf.Tensor[] = [checked.image ?? [], checked.mask ?? []].flat();
    try {
      const controlPictures = [...controls].map(([name, { image }]) => [`${name}.image`, image] as const);
      await requirePictures({ image: checked.image, ...Object.fromEntries(controlPictures) });
      const plan = planDrawing(scheduler, checked.steps);
      const { first, end } = stepWindow(scheduler, plan, checked);
      const total = end - first;
      const isGuided = this.isGuided(checked);
      const watch = this.#watch(options);
      const { context, inputs } = watch.over("Reading the prompts", () =>
        tf.tidy(() => this.condition(checked, options)),
      );
      held.push(...tf.tensor_util.getTensorsInContainer({ context, inputs }));
      const request = { plan, space, shape: checked.shape, noise, latents: options.latents };
      const start = watch.over("Encoding the picture", () =>
        this.#start(request, checked, { first, end, pasteBack: options.pasteBack ?? false }),
      );
      held.push(...start.tensors);

      const denoise = (x: tf.Tensor4D, timestep: number, index: number) => {
        const batch = isGuided ? tf.concat([x, x]) : x;
        const call = { x: batch, timestep, context, inputs, isGuided, index: index - first, total };
        const residuals = controlResiduals(controls.values(), call);
        const shown = start.context && (isGuided ? tf.concat([start.context, start.context]) : start.context);
        const input = shown ? tf.concat([batch, shown], 3) : batch;
        const output = unet.forward(input, timestep, context, { ...inputs, ...residuals });
        if (!isGuided) return output;
        const [unconditional, conditional] = tf.split(output, 2) as [tf.Tensor4D, tf.Tensor4D];
        return guide(unconditional, conditional, checked.guidanceScale, checked.guidanceRescale);
      };
      const walk = {
        plan,
        start: start.state,
        first,
        end,
        denoise,
        mend: start.mend,
        noise,
        stepOptions: { eta: checked.eta },
        signal,
        watch,
      };
      for await (const { x, index, timestep } of sample(walk)) {
        yield { index: index - first, total, timestep, latents: x, preview: () => space.preview(x) };
      }
    } finally {
      tf.dispose(held);
    }
  }

  /** Whether each step also asks about the negative prompts. */
  protected isGuided({ guidanceScale }: CheckedOptions): boolean {
    return this.parts.unet.guidanceWidth === undefined && needsGuidance(guidanceScale);
  }

  /** A network that was distilled with guidance (Meng et al. 2023) is told its scale instead. */
  protected timestepCond({ guidanceScale, shape: [batch] }: CheckedOptions): tf.Tensor2D | undefined {
    const width = this.parts.unet.guidanceWidth;
    return width === undefined ? undefined : guidanceEmbedding(guidanceScale, width, batch);
  }

  #start(
    request: StartRequest,
    checked: CheckedOptions,
    { first, end, pasteBack }: StepWindow & { pasteBack: boolean },
  ): Start {
    const { image, mask, strength, denoisingStart } = checked;
    const contextual = this.#facts().needsMask;
    const painting = mask && { mask, first, end, contextual, keepsLatents: pasteBack || !contextual };
    if (denoisingStart !== undefined) {
      return painting ? resumeInpainting(request, { ...painting, image }) : startFromLatents(request, first);
    }
    if (!image) return startFromNoise(request);
    if (!painting) return startFromImage(request, image, first);
    return startInpainting(request, { ...painting, image, fromNoise: strength === 1 });
  }

  #watch({ debug = false, control }: StableDiffusionOptions, parts: P = this.parts): FiniteWatch {
    const controlNets = [...controlsOf(control)].map(
      ([name, { model }]) => [name.replace("control", "controlNet"), model] as const,
    );
    return new FiniteWatch({ ...parts, ...Object.fromEntries(controlNets) }, debug);
  }

  #facts(): PipelineFacts {
    const { unet } = this.parts;
    const { factor, channels } = this.#space;
    const [rows, columns] = unet.sampleSize ?? SAMPLE_SIZE;
    return {
      ...this.textFacts(),
      size: [rows * factor, columns * factor],
      factor,
      latentChannels: channels,
      needsMask: unet.inChannels !== channels,
      denoiser: unet,
    };
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    this.loras.dispose();
    disposeParts(this.parts);
  }
}

/** Of networks that do not say it: that of Stable Diffusion 1. */
const SAMPLE_SIZE = [64, 64] as const;

function decodeLatents(
  space: LatentSpace,
  latents: tf.Tensor4D,
  { image, mask, pasteBack: paste, maskBlur }: StableDiffusionOptions,
): tf.Tensor4D {
  if (!paste) return space.decode(latents);
  return tf.tidy(() => {
    const painted = space.decode(latents);
    const [, height, width] = painted.shape;
    const kept = image!.reshape<tf.Tensor4D>([-1, height, width, 3]);
    const painting = binaryMask(mask!.reshape<tf.Tensor4D>([-1, height, width, 1]));
    const rows = painted.shape[0];
    const tiled = (x: tf.Tensor4D) => (x.shape[0] === rows ? x : x.tile<tf.Tensor4D>([rows, 1, 1, 1]));
    return pasteBack(tiled(kept), painted, tiled(painting), maskBlur);
  });
}
