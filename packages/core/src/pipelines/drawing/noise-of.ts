import * as tf from "@tensorflow/tfjs";
import { channelsLast, keyedNoise, type NoiseSource } from "@tfjs-diffusion/schedulers";
import { isRefusedPromise } from "../../platform/refused-promise.js";
import { PipelineOptionError } from "../options/errors.js";
import { shown } from "../options/shown.js";

/** The random numbers of a drawing, for tensors [B, H, W, C]: from the caller's source, or else from the seed. */
export function noiseOf({ noise, seed }: { noise?: NoiseSource; seed: number }): NoiseSource {
  if (!noise) return keyedNoise(seed);
  const source = channelsLast(noise);
  return {
    normal: (shape) => requireNoise("normal", shape, source.normal(shape)),
    uniform: (shape) => requireNoise("uniform", shape, source.uniform(shape)),
  };
}

/** @throws PipelineOptionError unless this is a tensor of the shape */
function requireNoise(method: string, shape: readonly number[], given: unknown): tf.Tensor {
  if (given instanceof tf.Tensor && (given as tf.Tensor).shape.join() === shape.join()) return given as tf.Tensor;
  const remedy = isRefusedPromise(given) ? "; it must not be asynchronous" : "";
  throw new PipelineOptionError(
    `noise: ${method} returned ${shown(given)}; expected a tensor [${shape.join(", ")}]${remedy}.`,
  );
}
