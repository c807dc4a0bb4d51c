import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity, type Sum, sum } from "./combine.js";

/**
 * What a network's output means: the noise, the clean sample, the velocity between them on a circle (Salimans & Ho
 * 2022) or on a straight line (Lipman et al. 2023).
 */
export type PredictionType = "epsilon" | "sample" | "v_prediction" | "flow_prediction";

/** A noise level: x = alpha x0 + sigma epsilon. */
export interface Level {
  readonly alpha: number;
  readonly sigma: number;
}

/** How much of x and how much of the network's output make up a quantity. */
export interface Weights {
  readonly ofX: number;
  readonly ofOutput: number;
}

/**
 * Any one of x0, epsilon, v = (alpha epsilon - sigma x0) / n and u = epsilon - x0, together with x = alpha x0 + sigma
 * epsilon, gives x0 and epsilon, as a weighted sum of x and it. n^2 = alpha^2 + sigma^2 is 1 where variance is
 * preserved.
 */
const CONVERSIONS: Record<PredictionType, (level: Level) => { x0: Weights; epsilon: Weights }> = {
  epsilon: ({ alpha, sigma }) => {
    // At pure noise alpha is 0. A tiny alpha makes x0 huge, but not the difference of two infinities.
    const a = Math.max(alpha, 1e-20);
    return { x0: { ofX: 1 / a, ofOutput: -sigma / a }, epsilon: { ofX: 0, ofOutput: 1 } };
  },
  sample: ({ alpha, sigma }) => ({
    x0: { ofX: 0, ofOutput: 1 },
    epsilon: { ofX: 1 / sigma, ofOutput: -alpha / sigma },
  }),
  v_prediction: ({ alpha, sigma }) => {
    const n = Math.hypot(alpha, sigma);
    return {
      x0: { ofX: alpha / n ** 2, ofOutput: -sigma / n },
      epsilon: { ofX: sigma / n ** 2, ofOutput: alpha / n },
    };
  },
  flow_prediction: ({ alpha, sigma }) => ({
    x0: { ofX: 1 / (alpha + sigma), ofOutput: -sigma / (alpha + sigma) },
    epsilon: { ofX: 1 / (alpha + sigma), ofOutput: alpha / (alpha + sigma) },
  }),
};

/** Noise level of a variance-preserving process at alphaBar. */
export const levelOf = (alphaBar: number): Level => ({ alpha: Math.sqrt(alphaBar), sigma: Math.sqrt(1 - alphaBar) });

/** The clean sample that a network's output implies, at a noise level, not computed yet. */
export function x0Of(type: PredictionType, output: Quantity, x: tf.Tensor, level: Level): Sum {
  return weigh(CONVERSIONS[type](level).x0, output, x);
}

/** The noise that a network's output implies, at a noise level, not computed yet. */
export function epsilonOf(type: PredictionType, output: Quantity, x: tf.Tensor, level: Level): Sum {
  return weigh(CONVERSIONS[type](level).epsilon, output, x);
}

/** The noise in x where a clean sample is known, not computed yet. */
export function epsilonBetween(x0: Quantity, x: tf.Tensor, { alpha, sigma }: Level): Sum {
  return sum([1 / sigma, x], [-alpha / sigma, x0]);
}

function weigh({ ofX, ofOutput }: Weights, output: Quantity, x: tf.Tensor): Sum {
  return sum([ofX, x], [ofOutput, output]);
}

/** The clean sample that a network's output implies, at a noise level; the caller owns it. */
export function predictX0(type: PredictionType, output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
  return computed(x0Of(type, output, x, level));
}

/** The noise that a network's output implies, at a noise level; the caller owns it. */
export function predictEpsilon(type: PredictionType, output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
  return computed(epsilonOf(type, output, x, level));
}

/**
 * The output that a perfect network gives for x = alpha x0 + sigma epsilon; the caller owns it. The inverse of
 * {@link predictX0}.
 */
export function outputFor(type: PredictionType, x0: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
  const { ofX, ofOutput } = CONVERSIONS[type](level).x0;
  return combine([1 / ofOutput, x0], [-ofX / ofOutput, x]);
}

/** The clean sample and the noise that a network's output implies. */
export interface Prediction {
  x0: tf.Tensor;
  epsilon: tf.Tensor;
}

/** Reads a network's output at noise level alphaBar of a variance-preserving process. The caller owns both results. */
export function predict(type: PredictionType, output: tf.Tensor, x: tf.Tensor, alphaBar: number): Prediction {
  const level = levelOf(alphaBar);
  return { x0: predictX0(type, output, x, level), epsilon: predictEpsilon(type, output, x, level) };
}
