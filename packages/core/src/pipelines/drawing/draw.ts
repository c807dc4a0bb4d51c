import * as tf from "@tensorflow/tfjs";
import { toUnit } from "../../image/to-unit.js";
import { eventLoopTurn } from "../../platform/event-loop.js";
import type { Drawn, PipelineStep } from "../pipeline-step.js";
import { requireFinite } from "./finite-results.js";
import { rowsOfSlice, type Slice, slicesOf } from "./slices.js";

/** The options of a drawing that are used here. */
interface DrawOptions<S> {
  /** Called and awaited after each step. If it throws, sampling ends with that error. */
  onStep?: (step: S) => unknown;
  signal?: AbortSignal | undefined;
}

/** Runs all steps and returns the latents of the last one, which the caller owns. */
export async function lastLatents<S extends PipelineStep<tf.Tensor>>(
  steps: AsyncIterable<S>,
  options: DrawOptions<S>,
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
  /** Latents of a slice to pictures about [-1, 1], not clipped; the caller owns them. */
  decode: (latents: tf.Tensor4D) => tf.Tensor4D;
  /** Those to pictures in [0, 1]. Default: `toUnit`. */
  finish?: (decoded: tf.Tensor4D, slice: Slice) => tf.Tensor4D | Promise<tf.Tensor4D>;
  /** Most pictures to decode at once, of these latents. Default: all. */
  atOnce?: (latents: tf.Tensor4D) => number;
}

/**
 * Runs all steps, then decodes the last latents. The caller owns both tensors.
 *
 * @throws NonFiniteResultError if the pictures are not finite, before clipping hides it
 */
export async function draw<S extends PipelineStep<tf.Tensor>>(
  steps: AsyncIterable<S>,
  options: DrawOptions<S>,
  decoding?: Decoding,
): Promise<Drawn> {
  const latents = (await lastLatents(steps, options)) as tf.Tensor4D;
  try {
    return { images: decoding ? await decoded(latents, decoding, options.signal) : toUnit(latents), latents };
  } catch (error) {
    latents.dispose();
    throw error;
  }
}

async function decoded(
  latents: tf.Tensor4D,
  { decode, finish = toUnit, atOnce }: Decoding,
  signal: AbortSignal | undefined,
): Promise<tf.Tensor4D> {
  const parts: tf.Tensor4D[] = [];
  try {
    for (const slice of slicesOf(latents.shape[0], atOnce?.(latents))) {
      if (slice.from > 0) await eventLoopTurn();
      signal?.throwIfAborted();
      const pictures = tf.tidy(() => decode(rowsOfSlice(latents, slice)));
      try {
        await requireFinite(pictures, { place: "Decoding", what: "the pictures" });
        parts.push(await finish(pictures, slice));
      } finally {
        pictures.dispose();
      }
    }
    return parts.length === 1 ? parts.pop()! : tf.concat<tf.Tensor4D>(parts);
  } finally {
    tf.dispose(parts);
  }
}
