import * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { LoraSet } from "../../adapters/lora.js";
import type { Autoencoder } from "../../models/autoencoder/autoencoder.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { draw, lastLatents } from "../drawing/draw.js";
import { picturesAtOnce } from "../drawing/drawing-memory.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { guidanceEmbedding } from "../drawing/guidance.js";
import { mayGuide } from "../drawing/step-guidance.js";
import { noiseOf } from "../drawing/noise-of.js";
import { planDrawing } from "../drawing/plan-steps.js";
import { sample } from "../drawing/sampling.js";
import type { Slice } from "../drawing/slices.js";
import { type StepWindow, stepWindow } from "../drawing/step-window.js";
import { PipelineOptionError } from "../options/errors.js";
import type { OptionTable } from "../options/option.js";
import { namedInputs, requireFiniteTensors, requirePictures, texts } from "../options/option-checks.js";
import { disposePipeline, fixParts } from "../parts/live-parts.js";
import type { Pipeline } from "../pipeline.js";
import type { Drawn } from "../pipeline-step.js";
import { adapterFeatures } from "./adapter.js";
import { type Condition, conditionPerStep, type GivenPrompts, stepCount, stepCounter } from "./conditions.js";
import { latentNeeds } from "./latent-needs.js";
import { type LatentSpace, latentSpaces } from "./latent-space.js";
import { finished, partToDraw } from "./picture-around.js";
import { requireLoraSources, usePromptLoras } from "./prompt-loras.js";
import { type PromptText, requireSameAtEachStep } from "./prompt-plan.js";
import {
  type CheckedOptions,
  fitOptions,
  type FittedOptions,
  type NetworkSizes,
  requireClipSkip,
  type StableDiffusionOptions,
  type StableDiffusionStep,
  withAllAxes,
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
import type { EncodePromptsOptions, PromptReader, TextConditioning } from "./text-conditioning.js";
import { type DenoiseRequest, type StepDenoiser, stepDenoiser } from "./step-denoiser.js";

/** The parts of every latent diffusion pipeline, besides its text encoders. */
export interface LatentPipelineParts {
  /** Removes the noise from latents: a UNet, or another network that is a {@link ConditionalDenoiser}. */
  unet: ConditionalDenoiser;
  /** The model's own autoencoder, or a small one of the same latents. */
  vae: Autoencoder;
  scheduler: Scheduler;
}

/** Encoded prompts, named like the options that take them. */
export type PromptStates = {
  /** [N, L, C] */
  promptEmbeds: tf.Tensor3D;
  /** [N, D], from XL's second text encoder. */
  pooledPromptEmbeds?: tf.Tensor2D;
};

/**
 * Latent diffusion (Rombach et al. 2022): a denoiser removes the noise from latents, step by step, and an autoencoder
 * decodes them into a picture. The subclasses define how prompts are encoded.
 */
export abstract class LatentPipeline<
  P extends LatentPipelineParts,
  O extends StableDiffusionOptions,
  C extends CheckedOptions,
> implements Pipeline<O, StableDiffusionStep> {
  readonly input = "text";
  /** LoRAs that change the denoiser and the text encoders: `await pipeline.loras.load(file, { scale: 0.8 })`. */
  abstract readonly loras: LoraSet;
  abstract readonly options: OptionTable;
  readonly #spaceOf = latentSpaces();
  readonly #spaceOfPreview = latentSpaces();
  /** Drawings that go on, and whether one of them has LoRAs of its own in the networks. */
  #drawings = 0;
  #isBorrowed = false;

  /** @param parts the result of `liveParts`; a part that is assigned is used from the next call on */
  constructor(readonly parts: P) {
    fixParts(this);
  }

  get #space(): LatentSpace {
    return this.#spaceOf(this.parts.vae);
  }

  get scheduler(): Scheduler {
    return this.parts.scheduler;
  }

  abstract savePretrained(folder: string, save?: SaveOptions): Promise<void>;

  /** Pixels per latent, along each side. */
  protected get factor(): number {
    return this.#space.factor;
  }

  /** Width and number of the text states; layers of the text encoder, and the bytes that it needs for a text. */
  protected abstract textSizes(): Pick<NetworkSizes, "textWidth" | "textTokens" | "textLayers"> & { textBytes: number };

  /**
   * Encodes prompts, for example to mix them. The results can be given as options; the caller owns them.
   *
   * @throws PipelineOptionError before any work
   */
  encodePrompts(prompts: string[], options: EncodePromptsOptions = {}): PromptStates {
    requireClipSkip(options.clipSkip ?? 0, this.textSizes());
    const read = texts("prompts", prompts);
    if (options.weighting) requireSameAtEachStep(read);
    const { context, pooled } = this.encodeTexts(
      read.map((prompt) => ({ prompt })),
      options,
    );
    return { promptEmbeds: context, ...(pooled && { pooledPromptEmbeds: pooled }) };
  }

  /** The prompts and the negative prompts, as texts or given states; undefined: no negative prompt is encoded. */
  protected abstract promptTexts(checked: C): { positive: GivenPrompts; negative: GivenPrompts | undefined };

  /** The text encoders, and what each reads of the texts. */
  protected abstract promptReaders(texts: readonly PromptText[]): PromptReader[];

  /** Encodes texts, a row for each. */
  protected abstract encodeTexts(texts: readonly PromptText[], options: EncodePromptsOptions): TextConditioning;

  /**
   * The denoiser's inputs for the checked options. Runs in a tidy.
   *
   * @param positive a row for each prompt
   * @param negative a row for each negative prompt, if there is guidance and there are negative prompts
   */
  protected abstract condition(checked: C, positive: TextConditioning, negative?: TextConditioning): Condition;

  /** @throws PipelineOptionError before any work */
  protected abstract check(given: O): C;

  /** `fitOptions` for the networks of this pipeline. */
  protected fit(given: O, options: Parameters<typeof fitOptions>[1]): FittedOptions {
    const fitted = fitOptions(given, options, this.#sizes());
    requireLoraSources(fitted.loraTags, this.loras, given.loraResolver);
    return fitted;
  }

  /** Draws pictures. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and their `latents`. */
  async generate(options: O): Promise<Drawn> {
    const checked = this.check(options);
    // A copy, so that the decoder fits the steps even if a part is assigned meanwhile.
    const [parts, space] = [{ ...this.parts }, this.#space];
    const decode = (latents: tf.Tensor4D) =>
      watchOf(parts, checked).over("Decoding", () => space.decodeUnclipped(latents));
    const atOnce = this.#atOnce(checked, true);
    const finish = (decoded: tf.Tensor4D, slice: Slice) => finished(decoded, checked, space.factor, slice);
    return draw(this.#walk(checked, atOnce), options, { decode, finish, atOnce: () => atOnce });
  }

  /** Draws without decoding, to pass the latents to another pipeline; the caller owns them. */
  async generateLatents(options: O): Promise<tf.Tensor4D> {
    return lastLatents(this.steps(options), options);
  }

  /**
   * Draws one step at a time, to watch it or to stop early. Leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range
   */
  async *steps(options: O): AsyncGenerator<StableDiffusionStep, void, undefined> {
    const checked = this.check(options);
    yield* this.#walk(checked, this.#atOnce(checked, false));
  }

  async *#walk(checked: C, atOnce: number): AsyncGenerator<StableDiffusionStep, void, undefined> {
    const { scheduler = this.scheduler, signal, shape } = checked;
    const noise = noiseOf(checked);
    signal?.throwIfAborted();
    const { unet } = this.parts;
    const space = this.#space;
    const held: tf.Tensor[] = [];
    let returnLoras = () => {};
    try {
      const controls = namedInputs("control", checked.control);
      const adapters = namedInputs("ipAdapter", checked.ipAdapter);
      await requirePictures({ ...this.pictures(checked), ...picturesBeside(checked) });
      await requireFiniteTensors(checked);
      returnLoras = await this.#borrowLoras(checked);
      const plan = planDrawing(scheduler, checked.steps);
      const { first, end } = stepWindow(scheduler, plan, checked);
      const isGuided = this.isGuided(checked);
      const watch = watchOf(this.parts, checked);
      const steps = stepCount(checked.steps, plan);
      const conditions = watch.over("Reading the prompts", () => tf.tidy(() => this.#conditions(checked, steps)));
      held.push(...tf.tensor_util.getTensorsInContainer(conditions));
      // As in the web UI: with a picture, the steps are counted from the first that is made.
      const stepOf = stepCounter(plan, checked.denoisingStart === undefined ? first : 0);
      const request = { plan, space, shape, noise, latents: checked.latents };
      const parts = await partToDraw(checked, space.factor);
      held.push(...Object.values(parts));
      const start = watch.over("Encoding the picture", () =>
        this.start(request, { ...checked, ...parts }, { first, end }),
      );
      held.push(...start.tensors);

      const { adapter } = checked;
      const features = adapter && watch.over("Reading the adapter's picture", () => adapterFeatures(adapter));
      held.push(...(features ?? []));
      const reader = adapters.size > 0 ? await import("./ip-adapter-states.js") : undefined;
      const states = !reader
        ? {}
        : watch.over("Reading the IP-Adapter's pictures", () =>
            reader.imageStates(adapters.values(), unet.contextAttentions!(shape[1], shape[2]), {
              batch: shape[0],
              isGuided,
            }),
          );
      held.push(...tf.tensor_util.getTensorsInContainer(states));
      const conditionOf = (index: number) => conditions[Math.min(stepOf(index), steps) - 1]!;
      const call = {
        unet,
        conditionOf,
        isGuided,
        shown: start.context,
        controls: [...controls.values()],
        features,
        states,
      };
      const denoise = this.denoiser({ ...call, checked, plan, first, end });
      const shown = checked.previewDecoder ? this.#spaceOfPreview(checked.previewDecoder) : undefined;
      yield* sample({
        scheduler,
        plan,
        first,
        end,
        denoise,
        atOnce,
        noise,
        signal,
        watch,
        start: start.state,
        restore: start.restore,
        stepOptions: { eta: checked.eta },
        preview: (x) => shown?.decode(x) ?? space.preview(x),
      });
    } finally {
      tf.dispose(held);
      returnLoras();
    }
  }

  /** The denoiser's inputs for each step. Runs in a tidy. */
  #conditions(checked: C, steps: number): Condition[] {
    const { clipSkip, promptWeighting: weighting, maxEmbeddingsMultiples, commaPaddingBacktrack } = checked;
    const { positive, negative } = this.promptTexts(checked);
    const encoder = {
      readers: (texts: readonly PromptText[]) => this.promptReaders(texts),
      encode: (texts: readonly PromptText[], options: EncodePromptsOptions) => this.encodeTexts(texts, options),
      condition: (prompts: TextConditioning, negatives?: TextConditioning) =>
        this.condition(checked, prompts, negatives),
    };
    return conditionPerStep(encoder, {
      positive,
      negative: this.isGuided(checked) ? negative : undefined,
      steps,
      clipSkip,
      reading: { weighting, maxEmbeddingsMultiples, commaPaddingBacktrack },
    });
  }

  /**
   * Adds the LoRAs that the prompts name to the networks, for this drawing.
   *
   * @returns a function that removes them again
   * @throws PipelineOptionError while another drawing uses the same networks
   */
  async #borrowLoras({ loraTags: tags, loraResolver }: C): Promise<() => void> {
    if (this.#drawings > 0 && (tags.length > 0 || this.#isBorrowed)) {
      throw new PipelineOptionError(
        "prompt: LoRA tags change the networks while a picture is drawn, and another drawing of this pipeline is running. " +
          "Wait until it ends.",
      );
    }
    this.#drawings++;
    this.#isBorrowed = tags.length > 0;
    const end = () => {
      this.#drawings--;
      this.#isBorrowed = false;
    };
    try {
      const undo = await usePromptLoras(this.loras, tags, loraResolver);
      return () => {
        undo();
        end();
      };
    } catch (error) {
      end();
      throw error;
    }
  }

  /**
   * How many pictures the networks take at once.
   *
   * @param isDecoded whether the latents become pictures
   * @throws BackendMemoryError
   */
  #atOnce(checked: CheckedOptions, isDecoded: boolean): number {
    const { shape, batchSize } = checked;
    const drawing = { shape, factor: this.factor, isGuided: this.isGuided(checked), ...this.textSizes(), isDecoded };
    return picturesAtOnce(latentNeeds(this.parts, drawing), batchSize);
  }

  /** Whether each step also calls the denoiser with the negative prompts. */
  protected isGuided(checked: CheckedOptions): boolean {
    return this.parts.unet.guidanceWidth === undefined && (mayGuide(checked) || checked.isComposed);
  }

  /** How the denoiser is called in each step. */
  protected denoiser(request: DenoiseRequest): StepDenoiser {
    return stepDenoiser(request);
  }

  /** A network that was distilled with guidance (Meng et al. 2023) takes the guidance scale as an input instead. */
  protected timestepCond({ guidanceScale, shape: [batch] }: CheckedOptions): tf.Tensor2D | undefined {
    const width = this.parts.unet.guidanceWidth;
    return width === undefined ? undefined : guidanceEmbedding(guidanceScale, width, batch);
  }

  /** The pictures whose values are checked, by the names of their options. */
  protected pictures({ image, mask }: C): Record<string, tf.Tensor | undefined> {
    return { image, mask };
  }

  /** The result owns the tensors made from the pictures, in `tensors`. */
  protected start(request: StartRequest, checked: C, { first, end }: StepWindow): Start {
    const { strength, denoisingStart, pasteBack } = checked;
    const [, rows, columns] = checked.shape;
    const size = [rows * this.factor, columns * this.factor] as const;
    const views = {
      image: checked.image && withAllAxes(checked.image, [...size, 3]),
      mask: checked.mask && withAllAxes(checked.mask, [...size, 1]),
    };
    const { image, mask } = views;
    try {
      const contextual = this.#sizes().needsMask;
      const painting = mask && { mask, first, end, contextual, keepsLatents: pasteBack || !contextual };
      if (denoisingStart !== undefined) {
        return painting ? resumeInpainting(request, { ...painting, image }) : startFromLatents(request, first);
      }
      if (!image) return startFromNoise(request);
      if (!painting) return startFromImage(request, image, first);
      return startInpainting(request, { ...painting, image, fromNoise: strength === 1 });
    } finally {
      tf.dispose([image ?? [], mask ?? []]);
    }
  }

  #sizes(): NetworkSizes {
    const { unet } = this.parts;
    const { factor, channels } = this.#space;
    const [rows, columns] = unet.sampleSize ?? SAMPLE_SIZE;
    return {
      ...this.textSizes(),
      size: [rows * factor, columns * factor],
      factor,
      latentChannels: channels,
      needsMask: unet.inChannels === 2 * channels + 1,
      denoiser: unet,
    };
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    this.loras.dispose();
    disposePipeline(this);
  }
}

/** The sample size of Stable Diffusion 1, for networks that do not give theirs. */
const SAMPLE_SIZE = [64, 64] as const;

function watchOf(parts: object, { debug, control, ipAdapter }: CheckedOptions): FiniteWatch {
  const further = { ...modelsOf("controlNet", control), ...modelsOf("ipAdapter", ipAdapter) };
  return new FiniteWatch({ ...parts, ...further }, debug);
}

function modelsOf<M extends object>(name: string, given: { model: M } | readonly { model: M }[] | undefined) {
  return Object.fromEntries([...namedInputs(name, given)].map(([name, { model }]): [string, M] => [name, model]));
}

/** The pictures that networks beside the denoiser read, by the names of their options. */
function picturesBeside({ adapter, control, ipAdapter }: CheckedOptions): Record<string, tf.Tensor | undefined> {
  const pictures: Record<string, tf.Tensor | undefined> = { "adapter.image": adapter?.image };
  for (const [name, { image }] of namedInputs("control", control)) pictures[`${name}.image`] = image;
  for (const [name, { image, mask }] of namedInputs("ipAdapter", ipAdapter)) {
    pictures[`${name}.image`] = image;
    pictures[`${name}.mask`] = mask;
  }
  return pictures;
}
