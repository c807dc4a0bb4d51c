import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";

/** The decoder to imitate: `decode` makes pictures [B, h factor, w factor, 3] from latents [B, h, w, channels]. */
export interface DecodedSpace {
  readonly factor: number;
  readonly channels: number;
  decode(latents: tf.Tensor4D): tf.Tensor4D;
}

/** Latents along each side of the picture that the map is fitted to. */
const SIZE = 16;

/**
 * The best linear map from a latent to the mean colour of its pixels, [C + 1, 3] with the offset last: it gives a
 * preview, 1 / factor the size of the decoded picture, for the cost of one small matrix product. It is computed once,
 * by least squares on decoded noise.
 */
export function previewMap(space: DecodedSpace): number[][] {
  const { inputs, pictures } = tf.tidy(() => {
    const latents = keyedNoise(0).at("preview").normal([1, SIZE, SIZE, space.channels]) as tf.Tensor4D;
    const colours = tf.avgPool(space.decode(latents), space.factor, space.factor, "valid");
    return { inputs: withOne(latents.reshape([-1, space.channels])), pictures: colours.reshape<tf.Tensor2D>([-1, 3]) };
  });
  const map = leastSquares(inputs.arraySync(), pictures.arraySync());
  tf.dispose([inputs, pictures]);
  return map;
}

/** A preview of latents [B, h, w, C] by {@link previewMap}: [B, h, w, 3] in [0, 1]; the caller owns it. */
export function preview(latents: tf.Tensor4D, map: number[][]): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = latents.shape;
    const colours = tf.matMul(withOne(latents.reshape([-1, channels])), tf.tensor2d(map));
    return colours.clipByValue(0, 1).reshape<tf.Tensor4D>([batch, height, width, 3]);
  });
}

function withOne(rows: tf.Tensor): tf.Tensor2D {
  return tf.concat([rows, tf.ones([rows.shape[0], 1])], 1) as tf.Tensor2D;
}

/**
 * The M that minimises sum (X M - Y)^2, by the normal equations X'X M = X'Y. A small multiple of the identity is added,
 * so that they always have a solution.
 */
function leastSquares(x: number[][], y: number[][]): number[][] {
  const columns = x[0]!.length;
  const product = (i: number, j: (row: number) => number) => x.reduce((sum, row, k) => sum + row[i]! * j(k), 0);
  const system = Array.from({ length: columns }, (_, i) => [
    ...Array.from({ length: columns }, (_, j) => product(i, (k) => x[k]![j]!) + (i === j ? 1e-6 * x.length : 0)),
    ...y[0]!.map((_, j) => product(i, (k) => y[k]![j]!)),
  ]);
  // Gauss-Jordan; the matrix is positive definite, so its diagonal is never 0.
  system.forEach((pivotRow, i) => {
    const pivot = pivotRow[i]!;
    pivotRow.forEach((value, j) => (pivotRow[j] = value / pivot));
    system.forEach((row, k) => {
      const factor = row[i]!;
      if (k !== i) row.forEach((value, j) => (row[j] = value - factor * pivotRow[j]!));
    });
  });
  return system.map((row) => row.slice(columns));
}
