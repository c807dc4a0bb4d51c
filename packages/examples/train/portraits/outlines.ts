import * as tf from "@tensorflow/tfjs";

/** The smallest step of colour that is an edge, 1 from black to white. */
const STEP = 0.2;

/**
 * The control pictures of pictures [B, H, W, 3] in [-1, 1]: white where a pixel differs from its right or lower
 * neighbour in some colour, else black. [B, H, W, 3] in [0, 1]; the caller owns them.
 */
export function outlines(pictures: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => {
    const steps = [1, 2].map((axis) => {
      const [size, count] = [pictures.shape.slice(), pictures.shape[axis]! - 1];
      size[axis] = count;
      const begin = [0, 0, 0, 0];
      begin[axis] = 1;
      const step = pictures
        .slice(begin, size)
        .sub(pictures.slice([0, 0, 0, 0], size))
        .abs()
        .div(2);
      return step.pad([0, 1, 2, 3].map((dim): [number, number] => [0, Number(dim === axis)]));
    });
    const isEdge = steps[0]!.maximum(steps[1]!).max(3, true).greater(STEP);
    return isEdge.cast("float32").tile<tf.Tensor4D>([1, 1, 1, 3]);
  });
}
