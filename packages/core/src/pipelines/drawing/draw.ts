import type * as tf from "@tensorflow/tfjs";
import { toUnit } from "../../image/to-unit.js";
import type { Drawn, PipelineStep } from "../pipeline-step.js";
import { requireFinite } from "./finite-results.js";

/** Called and awaited after each step. If it throws, sampling ends with that error. */
interface WithOnStep<S> {
  onStep?: (step: S) => unknown;
}

/** Runs all steps and returns the latents of the last one, which the caller owns. */
export async function lastLatents<S extends PipelineStep<tf.Tensor>>(
  steps: AsyncIterable<S>,
  options: WithOnStep<S>,
): Promise<S["latents"]> {
  let latents: tf.Tensor | undefined;
  try {
    for await (const step of steps) {
      await options.onStep?.(step);
      if (step.index === step.total - 1) latents = step.latents.clone();
    }
    return latents!;
  } catch (error) {
    latents?.dispose();
    throw error;
  }
}

/** How latents become pictures; where it is left out, the latents are the pictures, about [-1, 1]. */
export interface Decoding {
  /** Latents to pictures about [-1, 1], not clipped. */
  decode: (latents: tf.Tensor4D) => tf.Tensor4D;
  /** Those to pictures in [0, 1]. Default: `toUnit`. */
  finish?: (decoded: tf.Tensor4D) => tf.Tensor4D | Promise<tf.Tensor4D>;
}

/**
 * Runs all steps, then decodes the last latents. The caller owns both tensors.
 *
 * @throws NonFiniteResultError if the pictures are not finite, before clipping hides it
 */
export async function draw<S extends PipelineStep<tf.Tensor>>(
  steps: AsyncIterable<S>,
  options: WithOnStep<S>,
  decoding?: Decoding,
): Promise<Drawn> {
  const latents = (await lastLatents(steps, options)) as tf.Tensor4D;
  try {
    return { images: decoding ? await decoded(latents, decoding) : toUnit(latents), latents };
  } catch (error) {
    latents.dispose();
    throw error;
  }
}

async function decoded(latents: tf.Tensor4D, { decode, finish = toUnit }: Decoding): Promise<tf.Tensor4D> {
  const pictures = decode(latents);
  try {
    await requireFinite(pictures, { place: "Decoding", what: "the pictures" });
    return await finish(pictures);
  } finally {
    pictures.dispose();
  }
}
