import * as tf from "@tensorflow/tfjs";

/** PyTorch's sharpness; Keys 1981 has -0.5. */
const A = -0.75;

/**
 * Pictures [B, H, W, C] of another height and width, by cubic convolution (Keys 1981) of four neighbours along each
 * axis, without smoothing when they shrink, as PyTorch's `interpolate(mode="bicubic", align_corners=False)`. The caller
 * owns the result.
 */
export function bicubicResize(x: tf.Tensor4D, [rows, columns]: readonly [number, number]): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = x.shape;
    const tall = tf.matMul(cubicWeights(height, rows), x.transpose([1, 0, 2, 3]).reshape([height, -1]));
    const turned = tall.reshape([rows, batch, width, channels]).transpose([2, 1, 0, 3]);
    const wide = tf.matMul(cubicWeights(width, columns), turned.reshape([width, -1]));
    return wide.reshape([columns, batch, rows, channels]).transpose<tf.Tensor4D>([1, 2, 0, 3]);
  });
}

/** The share of each of `from` places in each of `to`; places beyond the border count as the border. */
function cubicWeights(from: number, to: number): tf.Tensor2D {
  const weights = Array.from({ length: to }, () => new Float32Array(from));
  for (const [i, row] of weights.entries()) {
    const centre = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre) - 1;
    for (let k = first; k < first + 4; k++) row[Math.min(Math.max(k, 0), from - 1)]! += cubic(Math.abs(centre - k));
  }
  return tf.tensor2d(weights.map((row) => [...row]));
}

function cubic(distance: number): number {
  if (distance <= 1) return ((A + 2) * distance - (A + 3)) * distance * distance + 1;
  return distance < 2 ? A * (((distance - 5) * distance + 8) * distance - 4) : 0;
}
