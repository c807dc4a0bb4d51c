import * as tf from "@tensorflow/tfjs";
import type { Plan, Scheduler } from "@tfjs-diffusion/schedulers";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { textEncoderBytes } from "../../models/activation-memory.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { differenceMask } from "./diff-edit-mask.js";
import {
  checkImageLatents,
  checkMask,
  type CheckedPrompts,
  checkPictures,
  checkPrompts,
  DIFF_EDIT_OPTIONS,
  type DiffEditInvertOptions,
  type DiffEditMaskOptions,
  type DiffEditOptions,
  type DiffEditSizes,
  type DiffEditStep,
  type ReadDiffEdit,
  readDiffEdit,
} from "./diff-edit-options.js";
import { type DiffEditParts, diffEditParts, type DiffEditSchedulers } from "./diff-edit-parts.js";
import { draw } from "../drawing/draw.js";
import { picturesAtOnce } from "../drawing/drawing-memory.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { fixParts } from "../parts/live-parts.js";
import { needsGuidance, predictGuided } from "../drawing/guidance.js";
import { binaryMask, blend } from "../stable-diffusion/inpainting.js";
import { latentNeeds } from "../stable-diffusion/latent-needs.js";
import { latentSpaces } from "../stable-diffusion/latent-space.js";
import { readOptions } from "../options/read-options.js";
import type { Pipeline } from "../pipeline.js";
import type { Drawn } from "../pipeline-step.js";
import { noiseOf } from "../drawing/noise-of.js";
import { requireCount, requireFiniteTensors, requireOption, requirePictures } from "../options/option-checks.js";
import { planDrawing, planSteps } from "../drawing/plan-steps.js";
import { PROMPT_OPTIONS } from "../stable-diffusion/stable-diffusion-options.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import { sample, type SamplingRun } from "../drawing/sampling.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import {
  readStableDiffusionParts,
  STABLE_DIFFUSION_OTHERS,
  STABLE_DIFFUSION_PARTS,
  stableDiffusionFolders,
  StableDiffusionPipeline,
} from "../stable-diffusion/stable-diffusion.js";
import { stepWindow } from "../drawing/step-window.js";
import { repeatRows, tokensOf } from "../stable-diffusion/text-conditioning.js";
import type { ModelPlace } from "../../platform/model-files.js";

const INVERSE = "inverse_scheduler";
const PARTS = {
  ...STABLE_DIFFUSION_PARTS,
  [INVERSE]: { className: ["DDIMInverseScheduler", "DPMSolverMultistepInverseScheduler"], optional: true },
};

/**
 * DiffEdit (Couairon et al. 2023): edits a picture by a prompt, and finds by itself where the picture must change. It
 * has three stages. `generateMask` marks where the network's outputs for the source and the target prompt differ.
 * `invert` finds the noise that the picture would be drawn from. `generate` (or `steps`) goes back from that noise,
 * with the target prompt inside the mask and the picture's latents outside.
 *
 * It works with the networks of a StableDiffusionPipeline, its LoRAs and learned words.
 */
export class StableDiffusionDiffEditPipeline implements Pipeline<DiffEditOptions, DiffEditStep> {
  readonly input = "text";
  readonly options = DIFF_EDIT_OPTIONS;
  /** A part that is assigned is used from the next call on. The networks and the tokenizer are those of `pipeline`. */
  readonly parts: DiffEditParts;
  readonly #spaceOf = latentSpaces();

  constructor(
    readonly pipeline: StableDiffusionPipeline,
    schedulers: DiffEditSchedulers = {},
  ) {
    this.parts = diffEditParts(pipeline.parts, schedulers);
    fixParts(this, pipeline);
  }

  /** That of `parts`. */
  get scheduler(): Scheduler {
    return this.parts.scheduler;
  }

  /** That of `parts`. */
  get inverseScheduler(): Scheduler {
    return this.parts.inverseScheduler;
  }

  /** Sizes that the parts fix. */
  #sizes(): DiffEditSizes {
    const { vae, textEncoder, tokenizer } = this.parts;
    const { factor, channels: latentChannels } = this.#spaceOf(vae);
    const text = { textWidth: textEncoder.config.hidden_size, textTokens: tokensOf(tokenizer, textEncoder) };
    return { factor, latentChannels, ...text };
  }

  /**
   * Opens a folder of Stable Diffusion in the layout of diffusers, or a pipeline of the hub by its name. If it has an
   * `inverse_scheduler/`, its schedulers are used, and the defaults otherwise.
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(
    from: ModelPlace,
    options: FromPretrainedOptions = {},
  ): Promise<StableDiffusionDiffEditPipeline> {
    return PipelineFolder.open(from, PARTS, options, async (folder) => {
      const inverseScheduler = folder.present.has(INVERSE) ? await folder.scheduler(INVERSE) : undefined;
      const pipeline = new StableDiffusionPipeline(await readStableDiffusionParts(folder));
      const schedulers = inverseScheduler ? { scheduler: pipeline.parts.scheduler, inverseScheduler } : {};
      return new StableDiffusionDiffEditPipeline(pipeline, schedulers);
    });
  }

  /** Writes a folder that {@link fromPretrained} and Python's diffusers open. */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const parts = { ...stableDiffusionFolders(this.parts), [INVERSE]: this.parts.inverseScheduler };
    await writePipelineFolder(folder, "StableDiffusionDiffEditPipeline", parts, {
      others: STABLE_DIFFUSION_OTHERS,
      save,
    });
  }

  /**
   * Finds where the pictures must change for a new prompt (section 3.2, step 1). The network reads noisy latents of the
   * pictures with both prompts. The mask is 1 where the outputs differ by more than half of `maskThresholdingRatio`
   * times the mean difference.
   *
   * @returns [N, h, w, 1] of 0 and 1, one value for each latent; the caller owns it
   * @throws PipelineOptionError before any work
   */
  async generateMask(options: DiffEditMaskOptions): Promise<tf.Tensor4D> {
    const checked = readDiffEdit(options);
    const { signal, guidanceScale, numInferenceSteps: steps } = checked;
    const noise = noiseOf(checked);
    const { numMapsPerMask: maps, maskEncodeStrength: strength, maskThresholdingRatio: ratio } = checked;
    signal?.throwIfAborted();
    const sizes = this.#sizes();
    const { unet, vae } = this.parts;
    const { scheduler = this.scheduler } = checked;
    const space = this.#spaceOf(vae);
    const [source, target] = [options.source, options.target].map((given) =>
      checkPrompts(readOptions(given, PROMPT_OPTIONS), sizes),
    ) as [CheckedPrompts, CheckedPrompts];
    requireOption(
      source.count === target.count,
      "source",
      `${source.count} prompts`,
      `as for the target, ${target.count}`,
    );
    const plan = planDrawing(scheduler, steps);
    const pictures = checkPictures(options.image, target.count, sizes);
    const held: tf.Tensor[] = [pictures];
    try {
      await requirePictures({ image: pictures });
      await requireFiniteTensors({ source: options.source, target: options.target });
      const { first } = stepWindow(scheduler, plan, { steps, strength, image: pictures });
      const atOnce = this.#atOnce(checked, this.#latentShape(pictures));
      const watch = this.#watch(checked);
      const contexts = [source, target].map((prompts) => {
        const context = this.#read(prompts, guidanceScale, 1, watch);
        held.push(context);
        return context;
      });
      const noisy = watch.over("Encoding the picture", () =>
        tf.tidy(() => {
          const clean = space.encode(pictures, noise, maps);
          const x = plan.scaleInput(plan.addNoise(clean, noise.normal(clean.shape), first), first);
          const [, ...shape] = clean.shape;
          return x.reshape<tf.Tensor5D>([target.count, maps, ...shape]);
        }),
      );
      held.push(noisy);
      const ask = (x: tf.Tensor4D, map: number, slice: Slice) =>
        contexts.map((context) =>
          watch.over(`Map ${map + 1} of ${maps}`, () =>
            predict(unet, x, plan.timesteps[first]!, rowsOfSlice(context, slice), guidanceScale),
          ),
        ) as [tf.Tensor4D, tf.Tensor4D];
      return await differenceMask({ noisy, ask, atOnce, ratio, signal });
    } finally {
      tf.dispose(held);
    }
  }

  /**
   * Inverts pictures to the noise that they would be drawn from (step 2; DDIM inversion, Song et al. 2021). Returns the
   * latents [N, h, w, C] after each step, the noisiest first; the caller owns them.
   *
   * @throws PipelineOptionError before any work
   */
  async invert(options: DiffEditInvertOptions): Promise<tf.Tensor4D[]> {
    const inverted: tf.Tensor4D[] = [];
    try {
      for await (const step of this.inversionSteps(options)) {
        await options.onStep?.(step);
        inverted.unshift(step.latents.clone());
      }
      return inverted;
    } catch (error) {
      tf.dispose(inverted);
      throw error;
    }
  }

  /** Does the same one step at a time. Leaving the loop frees everything. */
  async *inversionSteps(options: DiffEditInvertOptions): AsyncGenerator<DiffEditStep, void, undefined> {
    const checked = readDiffEdit(options);
    checked.signal?.throwIfAborted();
    const { numInferenceSteps: steps, strength } = checked;
    const noise = noiseOf(checked);
    const sizes = this.#sizes();
    const prompts = checkPrompts(checked, sizes);
    const { vae, inverseScheduler: scheduler } = this.parts;
    const space = this.#spaceOf(vae);
    const plan = planSteps(scheduler, steps);
    requireSingleCalls("inverseScheduler", scheduler, plan);
    const end = plan.timesteps.length - (steps - Math.trunc(steps * strength));
    requireOption(end > 0, "strength", strength, `at least ${(1 / steps).toFixed(3)}, for one of ${steps} steps`);
    const image = checkPictures(options.image, prompts.count, sizes);
    const start = () => plan.resume(space.encode(image, noise), 0);
    const way = { scheduler, plan, start, first: 0, end };
    try {
      await requirePictures({ image });
      await requireFiniteTensors(checked);
      yield* this.#walk({ ...checked, noise }, prompts, way, this.#atOnce(checked, this.#latentShape(image)));
    } finally {
      image.dispose();
    }
  }

  /**
   * Draws the edited pictures. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and their `latents`.
   */
  async generate(options: DiffEditOptions): Promise<Drawn> {
    const parts = { ...this.parts }; // A copy, so that the decoder fits the steps even if a part is assigned meanwhile.
    const space = this.#spaceOf(parts.vae);
    const decode = (latents: tf.Tensor4D) =>
      this.#watch(options, parts).over("Decoding", () => space.decodeUnclipped(latents));
    const atOnce = ({ shape }: tf.Tensor4D) => this.#atOnce(readDiffEdit(options), shape, true);
    return draw(this.steps(options), options, { decode, atOnce });
  }

  /**
   * Does the same one step at a time (step 3). Leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range or `imageLatents` were made with
   *   other settings
   */
  async *steps(options: DiffEditOptions): AsyncGenerator<DiffEditStep, void, undefined> {
    const checked = readDiffEdit(options);
    checked.signal?.throwIfAborted();
    const { numInferenceSteps: steps, strength, numImages } = checked;
    const sizes = this.#sizes();
    const prompts = checkPrompts(checked, sizes);
    const { imageLatents } = options;
    checkImageLatents(imageLatents, prompts.count, sizes);
    requireCount(prompts.count, numImages);
    await requirePictures({ mask: options.mask });
    await requireFiniteTensors(checked);
    const { scheduler = this.scheduler } = checked;
    const plan = planDrawing(scheduler, steps);
    requireSingleCalls("scheduler", scheduler, plan);
    const { first, end } = stepWindow(scheduler, plan, { steps, strength, image: imageLatents[0] });
    const count = end - first;
    requireOption(
      imageLatents.length === count,
      "imageLatents",
      `of ${imageLatents.length} steps`,
      `those of the ${count} steps that strength ${strength} leaves of ${steps}: invert with the same settings`,
    );
    const given = checkMask(options.mask, prompts.count, imageLatents[0]!);
    const mask = tf.tidy(() => repeatRows(binaryMask(given), numImages));
    given.dispose();
    const [, rows, columns, channels] = imageLatents[0]!.shape;
    const shape = [prompts.count * numImages, rows, columns, channels] as const;
    const start = () => plan.resume(repeatRows(imageLatents[0]!, numImages), first);
    // As in diffusers: outside the mask are the latents from before this step, not those that it ends at.
    const restore = (x: tf.Tensor4D, i: number) => blend(repeatRows(imageLatents[i - first]!, numImages), x, mask);
    try {
      const atOnce = this.#atOnce(checked, shape, true);
      yield* this.#walk(checked, prompts, { scheduler, plan, start, first, end, restore }, atOnce);
    } finally {
      mask.dispose();
    }
  }

  /** How many pictures the networks take at once, of latents of this shape. */
  #atOnce(
    { guidanceScale, batchSize }: ReadDiffEdit,
    shape: readonly [number, number, number, number],
    isDecoded = false,
  ): number {
    const sizes = this.#sizes();
    const textBytes = textEncoderBytes(this.parts.textEncoder);
    const drawing = { shape, ...sizes, textBytes, isGuided: needsGuidance(guidanceScale), isDecoded };
    return picturesAtOnce(latentNeeds(this.parts, drawing), batchSize);
  }

  /** The shape of the latents of pictures. */
  #latentShape({ shape: [pictures, height, width] }: tf.Tensor4D): [number, number, number, number] {
    const { factor, latentChannels } = this.#sizes();
    return [pictures, height / factor, width / factor, latentChannels];
  }

  async *#walk(
    { guidanceScale, numImages, seed, noise, eta, signal, debug }: ReadDiffEdit,
    prompts: CheckedPrompts,
    way: DiffEditWay,
    atOnce: number,
  ): AsyncGenerator<DiffEditStep, void, undefined> {
    const { unet, vae } = this.parts;
    const space = this.#spaceOf(vae);
    const watch = this.#watch({ debug });
    const context = this.#read(prompts, guidanceScale, numImages, watch);
    const denoise = (x: tf.Tensor4D, t: number, _: number, slice: Slice) =>
      predict(unet, x, t, rowsOfSlice(context, slice), guidanceScale);
    const show = (x: tf.Tensor4D) => space.preview(x);
    try {
      yield* sample({
        ...way,
        denoise,
        atOnce,
        noise: noiseOf({ noise, seed }),
        stepOptions: { eta },
        signal,
        watch,
        preview: show,
      });
    } finally {
      context.dispose();
    }
  }

  /** The text states of the prompts; with guidance, those of the negative prompts come first. The caller owns them. */
  #read({ prompts, negatives, count }: CheckedPrompts, scale: number, copies: number, watch: FiniteWatch): tf.Tensor3D {
    const states = (given: string[] | tf.Tensor3D, tokens?: number) =>
      Array.isArray(given) ? this.pipeline.encodePrompts(given, { tokens }).promptEmbeds : given;
    return watch.over("Reading the prompts", () =>
      tf.tidy(() => {
        const positive = repeatRows(states(prompts), copies);
        if (!needsGuidance(scale)) return positive;
        const negative = states(negatives, positive.shape[1]);
        return tf.concat([repeatRows(negative, (count * copies) / negative.shape[0]), positive]);
      }),
    );
  }

  #watch({ debug = false }: { debug?: boolean }, parts = this.parts): FiniteWatch {
    return new FiniteWatch(parts, debug);
  }

  /** Frees the weights of all networks, which are those of `pipeline`. */
  dispose(): void {
    this.pipeline.dispose();
  }
}

/** The denoiser's output, guided if the scale is above 1. */
function predict(unet: ConditionalDenoiser, x: tf.Tensor4D, t: number, context: tf.Tensor3D, scale: number) {
  const guidance = needsGuidance(scale) ? { scale } : undefined;
  return predictGuided(unet, x, (batch) => unet.forward(batch, t, context), guidance);
}

/** A plan, its start, and the range of its calls to make. */
type DiffEditWay = Pick<SamplingRun<tf.Tensor4D>, "scheduler" | "plan" | "start" | "first" | "end" | "restore">;

/** The latents of the inversion are one a step, so that a step must be one call. */
function requireSingleCalls(name: string, { config }: Scheduler, { stepStarts, timesteps }: Plan): void {
  requireOption(
    stepStarts.length === timesteps.length,
    name,
    `${config._class_name}, which calls the network more than once a step`,
    "a sampler of one call a step, such as DDIMScheduler",
  );
}
