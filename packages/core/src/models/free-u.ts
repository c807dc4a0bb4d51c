import * as tf from "@tensorflow/tfjs";

/**
 * FreeU (Si et al. 2023): in the two coarsest up blocks, the first half of the features' channels is multiplied by `b1`
 * and `b2`, and the lowest frequencies of the skip connections by `s1` and `s2`.
 */
export interface FreeU {
  s1: number;
  s2: number;
  b1: number;
  b2: number;
}

/** The two factors of one level. */
export interface FreeULevel {
  backbone: number;
  skip: number;
}

/** The factors of up block i, counted from the coarsest; undefined if it has none. */
export function freeULevel({ s1, s2, b1, b2 }: FreeU, i: number): FreeULevel | undefined {
  if (i === 0) return { backbone: b1, skip: s1 };
  return i === 1 ? { backbone: b2, skip: s2 } : undefined;
}

/** Features [B, H, W, C] with the first half of their channels multiplied; the caller owns the result. */
export function strengthened(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  return tf.tidy(() => {
    const half = Math.floor(x.shape[3] / 2);
    const [first, rest] = tf.split(x, [half, x.shape[3] - half], 3) as [tf.Tensor4D, tf.Tensor4D];
    return tf.concat([first.mul<tf.Tensor4D>(factor), rest], 3);
  });
}

/**
 * x [B, H, W, C] with its frequencies 0 and -1 along both axes multiplied by `factor`; the caller owns the result.
 *
 * diffusers cuts a square out of the shifted Fourier transform and takes the real part. That square is four modes, so
 * the part of x in them is Re(P x Q'), with P[h, k] = (1 + exp(-2 pi i (h - k) / H)) / H and Q the same of the width:
 * four small matrix products in place of two transforms.
 */
export function filtered(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = x.shape;
    const [rows, columns] = [projection(height), projection(width)];
    const low = (ofRows: tf.Tensor2D, ofColumns: tf.Tensor2D) => {
      const tall = tf.matMul(x.transpose([0, 3, 2, 1]).reshape([-1, height]), ofRows, false, true);
      const turned = tall.reshape([batch, channels, width, height]).transpose([0, 1, 3, 2]);
      const wide = tf.matMul(turned.reshape([-1, width]), ofColumns, false, true);
      return wide.reshape([batch, channels, height, width]).transpose<tf.Tensor4D>([0, 2, 3, 1]);
    };
    const part = low(rows.real, columns.real).sub<tf.Tensor4D>(low(rows.imaginary, columns.imaginary));
    return x.add<tf.Tensor4D>(part.mul(factor - 1));
  });
}

function projection(size: number): { real: tf.Tensor2D; imaginary: tf.Tensor2D } {
  const matrix = (wave: (angle: number) => number, mean: number) =>
    tf.tensor2d(
      Array.from({ length: size }, (_, h) =>
        Array.from({ length: size }, (_, k) => (mean + wave((-2 * Math.PI * (h - k)) / size)) / size),
      ),
    );
  return { real: matrix(Math.cos, 1), imaginary: matrix(Math.sin, 0) };
}
