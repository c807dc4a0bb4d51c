import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise.js";

/**
 * Replays given tensors as noise, in order. Borrows the tensors.
 * @throws RangeError from a draw, if no tensor is left or its shape differs
 */
export function replayNoise(tensors: readonly tf.Tensor[]): NoiseSource {
  let next = 0;
  const replay = (shape: number[]): tf.Tensor => {
    const tensor = tensors[next];
    if (!tensor)
      throw new RangeError(`replayNoise: draw ${next + 1} was requested, but only ${tensors.length} were given.`);
    if (!tf.util.arraysEqual(tensor.shape, shape)) {
      throw new RangeError(
        `replayNoise: draw ${next + 1} is [${tensor.shape.join(", ")}], but [${shape.join(", ")}] was requested.`,
      );
    }
    next++;
    return tensor.clone();
  };
  return { normal: replay, uniform: replay };
}
