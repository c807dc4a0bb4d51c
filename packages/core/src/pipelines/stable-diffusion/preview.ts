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
export class PreviewMap {
  readonly #space: DecodedSpace;
  #values: tf.backend_util.TypedArray | undefined;

  constructor(space: DecodedSpace) {
    this.#space = space;
  }

  /** A preview of latents [B, h, w, C]: [B, h, w, 3] in [0, 1]; the caller owns it. */
  preview(latents: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const [batch, height, width, channels] = latents.shape;
      const map = this.#values ? tf.tensor2d(this.#values, [channels + 1, 3]) : this.#fit();
      const colours = tf.matMul(withOne(latents.reshape([-1, channels])), map);
      return colours.clipByValue(0, 1).reshape<tf.Tensor4D>([batch, height, width, 3]);
    });
  }

  /** A graphics card's values come later. Until then the map is computed for each preview; there are few. */
  #fit(): tf.Tensor2D {
    const { channels, factor } = this.#space;
    const latents = keyedNoise(0).at("preview").normal([1, SIZE, SIZE, channels]) as tf.Tensor4D;
    const rows = withOne(latents.reshape([-1, channels]));
    // Known before a card has them.
    const known = latents.dataSync();
    const inputs = Array.from({ length: SIZE * SIZE }, (_, k) => [
      ...known.subarray(k * channels, (k + 1) * channels),
      1,
    ]);
    const colours = tf.avgPool(this.#space.decode(latents), factor, factor, "valid");
    const products = tf.matMul(rows, colours.reshape<tf.Tensor2D>([-1, 3]), true);
    const map = tf.keep(tf.matMul<tf.Tensor2D>(tf.tensor2d(inverse(moments(inputs))), products));
    void map
      .data()
      .then((values) => (this.#values = values))
      .catch(() => undefined) // Such as a lost card: the next preview says so.
      .finally(() => map.dispose());
    return map;
  }
}

function withOne(rows: tf.Tensor): tf.Tensor2D {
  return tf.concat([rows, tf.ones([rows.shape[0], 1])], 1) as tf.Tensor2D;
}

/**
 * X'X of the normal equations X'X M = X'Y, which the M that minimises sum (X M - Y)^2 solves. A small multiple of the
 * identity is added, so that they always have a solution.
 */
function moments(x: number[][]): number[][] {
  const columns = x[0]!.map((_, i) => i);
  return columns.map((i) =>
    columns.map((j) => x.reduce((sum, row) => sum + row[i]! * row[j]!, i === j ? 1e-6 * x.length : 0)),
  );
}

/** The inverse by Gauss-Jordan; the matrix is positive definite, so its diagonal is never 0. */
function inverse(matrix: number[][]): number[][] {
  const system = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  system.forEach((pivotRow, i) => {
    const pivot = pivotRow[i]!;
    pivotRow.forEach((value, j) => (pivotRow[j] = value / pivot));
    system.forEach((row, k) => {
      const factor = row[i]!;
      if (k !== i) row.forEach((value, j) => (row[j] = value - factor * pivotRow[j]!));
    });
  });
  return system.map((row) => row.slice(matrix.length));
}
