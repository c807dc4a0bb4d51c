import type * as tf from "@tensorflow/tfjs";
import type { Drawn, PipelineStep } from "../pipeline-step.js";

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

/** Runs all steps, then decodes the last latents. The caller owns both tensors. */
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
