import * as tf from "@tensorflow/tfjs";
import type { RandomNumbers } from "@tfjs-diffusion/schedulers";

/** Share of pictures that keep their colours. */
const KEPT = 0.5;
const LUMINANCE = [0.299, 0.587, 0.114];
/** The colour of the paper of old prints. */
const SEPIA = [1, 0.89, 0.71];

/** A map of colours in [0, 1]: ink + (paper - ink) * mix(colour). Black becomes ink, white becomes paper. */
export interface Recolouring {
  /** Row by row, how much of red, green and blue goes into red, green and blue; each row sums to 1. */
  mix: readonly (readonly number[])[];
  ink: readonly number[];
  paper: readonly number[];
}

/** Brown prints: luminance (ITU-R BT.601), black on yellowish paper. */
export const SEPIA_PRINT: Recolouring = { mix: [LUMINANCE, LUMINANCE, LUMINANCE], ink: [0, 0, 0], paper: SEPIA };

/** Pictures [B, H, W, 3] in [-1, 1] in other colours, each with its own recolouring. The caller owns them. */
export function recolour(pictures: tf.Tensor4D, recolourings: readonly Recolouring[]): tf.Tensor4D {
  const count = recolourings.length;
  return tf.tidy(() => {
    const mix = tf.tensor3d(recolourings.map(({ mix }) => mix.map((row) => [...row])));
    const row = (of: (one: Recolouring) => readonly number[]) =>
      tf.tensor3d(
        recolourings.map((one) => [[...of(one)]]),
        [count, 1, 3],
      );
    const [ink, paper] = [row(({ ink }) => ink), row(({ paper }) => paper)];
    const colours = pictures.add(1).div(2).reshape<tf.Tensor3D>([count, -1, 3]);
    const mixed = tf.matMul(colours, mix, false, true);
    return ink.add(paper.sub(ink).mul(mixed)).mul(2).sub(1).reshape<tf.Tensor4D>(pictures.shape);
  });
}

/**
 * Random recolourings. Half of them change nothing. The others mix the colours, a third of them to greys, and print
 * with a random ink on a random paper.
 */
export function randomRecolouring(random: RandomNumbers): Recolouring {
  const kept = { mix: tf.eye(3).arraySync(), ink: [0, 0, 0], paper: [1, 1, 1] };
  if (random.uniform() < KEPT) return kept;
  const three = (from: number, to: number) => [0, 1, 2].map(() => from + (to - from) * random.uniform());
  const mix = random.uniform() < 1 / 3 ? SEPIA_PRINT.mix : kept.mix.map(() => shares(three(0, 1)));
  return { mix, ink: random.uniform() < 0.5 ? kept.ink : three(0, 0.5), paper: three(0.6, 1) };
}

function shares(weights: number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 1e-6);
  return weights.map((weight) => weight / sum);
}
