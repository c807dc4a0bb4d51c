import * as tf from "@tensorflow/tfjs";
import { guide, type NoiseSource, type Plan, type PlanRequest, type Scheduler } from "@tfjs-diffusion/schedulers";
import { resizeBicubic } from "../../image/resize-bicubic.js";
import { toUnit } from "../../image/to-unit.js";
import type { PriorTransformer } from "../../models/clip/prior-transformer.js";
import type { FiniteWatch } from "../drawing/finite-watch.js";
import { predictGuided, predictionIn } from "../drawing/guidance.js";
import { planDrawing } from "../drawing/plan-steps.js";
import { sample } from "../drawing/sampling.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import { readsVariance } from "../options/sampler-checks.js";
import type { UnCLIPStage, UnCLIPStep } from "./unclip-options.js";
import type { UnCLIPDrawingParts } from "./unclip-parts.js";
import type { TextStates } from "./unclip-text.js";

/** A stage's generator returns its last sample, which the caller owns. It frees everything else, however it ends. */
export type UnCLIPSteps<T> = AsyncGenerator<UnCLIPStep, T, undefined>;

/** The sampler of a stage, and its steps. */
export interface StagePlan {
  scheduler: Scheduler;
  plan: Plan;
}

/** @throws PipelineOptionError, in the option's name, for steps that the sampler cannot make */
export function stagePlan(scheduler: Scheduler, steps: number, option: string): StagePlan {
  return { scheduler, plan: planDrawing(scheduler, steps, { option }) };
}

/** The plan of the decoder. The caller may have replaced its sampler; one that does not use variances gets none. */
export function decoderPlan(scheduler: Scheduler, steps: PlanRequest, option: string): StagePlan {
  return { scheduler, plan: planDrawing(scheduler, steps, { predictsVariance: true, option }) };
}

/** The state that the stages of a run share. */
export interface UnCLIPRun {
  noise: NoiseSource;
  signal: AbortSignal | undefined;
  watch: FiniteWatch;
  /** Most pictures that the networks take at once. */
  atOnce: number;
  /** The stages in the order in which they run. */
  stages: Partial<Record<UnCLIPStage, StagePlan>>;
}

/** Runs one stage: all calls of its plan, starting from the given noise or fresh noise. */
interface Stage<T extends tf.Tensor> {
  stage: UnCLIPStage;
  shape: T["shape"];
  start: T | undefined;
  denoise: (x: T, timestep: number, index: number, slice: Slice) => T;
  preview: (x: T) => tf.Tensor4D;
}

async function* walk<T extends tf.Tensor>(
  { stage, shape, start, denoise, preview }: Stage<T>,
  { noise, signal, watch, stages, atOnce }: UnCLIPRun,
): UnCLIPSteps<T> {
  const { scheduler, plan } = stages[stage]!;
  const plans = Object.values(stages).map(({ plan }) => plan);
  const earlier = plans.slice(0, Object.keys(stages).indexOf(stage));
  const [before, total] = [callsOf(earlier), callsOf(plans)];
  const [stepsBefore, allSteps] = [stepsOf(earlier), stepsOf(plans)];
  const state = () => plan.start(start ?? noise.normal(shape));
  const steps = sample<T>({ scheduler, plan, start: state, denoise, atOnce, noise, signal, watch, preview });
  let last: T | undefined;
  try {
    for await (const step of steps) {
      const counts = { index: before + step.index, total, step: stepsBefore + step.step, steps: allSteps };
      yield Object.assign(step, { stage, ...counts });
      if (step.index === before + plan.timesteps.length - 1) last = step.latents.clone();
    }
    return last!;
  } catch (error) {
    last?.dispose();
    throw error;
  }
}

const callsOf = (plans: readonly Plan[]) => plans.reduce((sum, { timesteps }) => sum + timesteps.length, 0);
const stepsOf = (plans: readonly Plan[]) => plans.reduce((sum, { stepStarts }) => sum + stepStarts.length, 0);

/**
 * The prior (Ramesh et al. 2022, section 2.2): denoises an image embedding, conditioned on the text.
 *
 * @param states with guidance twice the batch, first without text
 * @returns embeddings [B, D] in CLIP's scale
 */
export async function* runPrior(
  prior: PriorTransformer,
  { states, scale, shape, latents }: PriorRequest,
  run: UnCLIPRun,
): UnCLIPSteps<tf.Tensor2D> {
  const { textEmbeds: projEmbedding, hiddenStates, attentionMask } = states;
  const isGuided = projEmbedding.shape[0] !== shape[0];
  const denoise = (x: tf.Tensor2D, t: number, _: number, slice: Slice) => {
    const input = isGuided ? tf.concat([x, x]) : x;
    const output = prior.forward(input, t, {
      projEmbedding: rowsOfSlice(projEmbedding, slice),
      hiddenStates: rowsOfSlice(hiddenStates, slice),
      attentionMask: rowsOfSlice(attentionMask, slice),
    });
    if (!isGuided) return output;
    const [unconditional, conditional] = tf.split(output, 2) as [tf.Tensor2D, tf.Tensor2D];
    return guide(unconditional, conditional, scale);
  };
  const grey = () => tf.fill<tf.Rank.R4>([shape[0], 1, 1, 3], 0.5);
  const latent = yield* walk({ stage: "prior", shape, start: latents, denoise, preview: grey }, run);
  try {
    return prior.postProcess(latent);
  } finally {
    latent.dispose();
  }
}

/** The inputs of the prior. */
export interface PriorRequest {
  states: TextStates;
  scale: number;
  /** Shape of the embeddings, [B, D]. */
  shape: [number, number];
  latents: tf.Tensor2D | undefined;
}

/** The inputs of the decoder and of super-resolution. */
export interface DrawingRequest {
  /** [B, D] */
  imageEmbeddings: tf.Tensor2D;
  /** With guidance twice the batch, first without text. */
  states: TextStates;
  /** The guidance scale of the decoder. */
  guidanceScale: number;
  small: [number, number, number];
  large: [number, number, number];
  /** Initial noise of the decoder. */
  latents: tf.Tensor4D | undefined;
  superResLatents: tf.Tensor4D | undefined;
}

/**
 * Draws pictures from embeddings: the decoder draws small ones (section 2.1), and super-resolution enlarges them. The
 * last step holds the large pictures, roughly in [-1, 1].
 */
export async function* drawEmbeddings(
  parts: UnCLIPDrawingParts,
  request: DrawingRequest,
  run: UnCLIPRun,
): UnCLIPSteps<void> {
  const small = yield* decode(parts, request, run);
  try {
    const large = yield* enlarge(parts, small, request, run);
    large.dispose();
  } finally {
    small.dispose();
  }
}

async function* decode(
  { textProj, decoder }: UnCLIPDrawingParts,
  { imageEmbeddings, states, guidanceScale, small, latents }: DrawingRequest,
  run: UnCLIPRun,
): UnCLIPSteps<tf.Tensor4D> {
  const { scheduler } = run.stages.decoder!;
  const [batch] = imageEmbeddings.shape;
  const rows = states.textEmbeds.shape[0];
  const isGuided = rows !== batch;
  const { context, classLabels, encoderAttentionMask } = run.watch.over("Projecting the embeddings", () =>
    tf.tidy(() => ({
      ...textProj.forward({
        imageEmbeddings,
        promptEmbeds: states.textEmbeds,
        textEncoderHiddenStates: states.hiddenStates,
        doClassifierFreeGuidance: isGuided,
      }),
      // The image embedding's tokens come before the text's.
      encoderAttentionMask: tf.concat(
        [tf.ones<tf.Rank.R2>([rows, textProj.config.clip_extra_context_tokens]), states.attentionMask],
        1,
      ),
    })),
  );
  const denoise = (x: tf.Tensor4D, t: number, _: number, slice: Slice) => {
    const inputs = {
      classLabels: rowsOfSlice(classLabels, slice),
      encoderAttentionMask: rowsOfSlice(encoderAttentionMask, slice),
    };
    const call = (input: tf.Tensor4D) => decoder.forward(input, t, rowsOfSlice(context, slice), inputs);
    const output = predictGuided(decoder, x, call, isGuided ? { scale: guidanceScale } : undefined);
    return readsVariance(scheduler) ? output : predictionIn(output, x);
  };
  const shape: [number, number, number, number] = [batch, ...small];
  try {
    return yield* walk({ stage: "decoder", shape, start: latents, denoise, preview: toUnit }, run);
  } finally {
    tf.dispose([context, classLabels, encoderAttentionMask]);
  }
}

async function* enlarge(
  { superResFirst, superResLast }: UnCLIPDrawingParts,
  small: tf.Tensor4D,
  { large: [height, width, channels], superResLatents }: DrawingRequest,
  run: UnCLIPRun,
): UnCLIPSteps<tf.Tensor4D> {
  const upscaled = tf.tidy(() => resizeBicubic(small.clipByValue(-1, 1) as tf.Tensor4D, height, width));
  const last = run.stages.superResolution!.plan.timesteps.length - 1;
  const denoise = (x: tf.Tensor4D, t: number, index: number, slice: Slice) => {
    const network = index === last ? superResLast : superResFirst;
    return predictGuided(network, x, () => network.forward(tf.concat([x, rowsOfSlice(upscaled, slice)], 3), t));
  };
  const shape: [number, number, number, number] = [small.shape[0], height, width, channels];
  try {
    return yield* walk({ stage: "superResolution", shape, start: superResLatents, denoise, preview: toUnit }, run);
  } finally {
    upscaled.dispose();
  }
}
