import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise.js";

/**
 * Noise that was drawn before, in the same order. Borrows the tensors; throws RangeError when they run out or
 * do not fit.
 */
export function replayNoise(tensors: readonly tf.Tensor[]): NoiseSource {
  let next = 0;
  const replay = (shape: number[]): tf.Tensor => {
    const tensor = tensors[next];
    if (!tensor) throw new RangeError(`replayNoise: draw ${next + 1} was asked for, ${tensors.length} were given.`);
    if (!tf.util.arraysEqual(tensor.shape, shape)) {
      throw new RangeError(
        `replayNoise: draw ${next + 1} is [${tensor.shape.join(", ")}], [${shape.join(", ")}] was asked for.`,
      );
    }
    next++;
    return tensor.clone();
  };
  return { normal: replay, uniform: replay };
}
