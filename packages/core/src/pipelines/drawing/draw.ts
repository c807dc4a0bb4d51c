import type * as tf from "@tensorflow/tfjs";
import type { Drawn, PipelineStep } from "../pipeline-step.js";

/** Is waited for after each step, and what it throws ends the drawing. */
interface WithOnStep<S> {
  onStep?: (step: S) => unknown;
}

/** Walks the steps of a drawing to their end. The caller owns the latents of the last one. */
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

/** The same, and the pictures that `decode` makes of the last latents; the caller owns both. */
export async function draw<S extends PipelineStep<tf.Tensor>>(
  steps: AsyncIterable<S>,
  options: WithOnStep<S>,
  decode: (latents: tf.Tensor4D) => tf.Tensor4D,
): Promise<Drawn> {
  const latents = (await lastLatents(steps, options)) as tf.Tensor4D;
  try {
    return { images: decode(latents), latents };
  } catch (error) {
    latents.dispose();
    throw error;
  }
}
