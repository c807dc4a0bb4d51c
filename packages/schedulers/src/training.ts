import type * as tf from "@tensorflow/tfjs";
import { mixPerSample } from "./forward.js";
import type { RandomNumbers } from "./noise/keyed-noise.js";
import { preconditioning } from "./preconditioning.js";
import { type Level, levelOf, type PredictionType } from "./prediction.js";

/** A mixture of a clean sample and noise: ofX0 x0 + ofNoise noise. */
export interface Mixture {
  readonly ofX0: number;
  readonly ofNoise: number;
}

/** What a network learns at one noise level. */
export interface TrainingLevel {
  /** The network's time input, the same as in sampling. */
  readonly timestep: number;
  /** The network's input: the noisy sample, scaled as in sampling. */
  readonly input: Mixture;
  /** The target of the network's output, as the sampler interprets it. */
  readonly target: Mixture;
  /** Weight of the squared error. */
  readonly weight: number;
}

/**
 * How a network is trained for a sampler. Times are those of the scheduler: timesteps, noise levels or numbers from 0
 * to 1.
 */
export interface TrainingRule {
  /** The meaning of the output: one of the four prediction types, EDM's preconditioned output, or the score. */
  readonly predicts: PredictionType | "preconditioned" | "score";
  /** Draws one time, with the distribution of the method's paper. */
  drawTime(random: RandomNumbers): number;
  /** What the network learns at a time. */
  at(time: number): TrainingLevel;
}

/** A batch to train on. */
export interface TrainingExample {
  /** The network's input, [B, ...]. */
  readonly input: tf.Tensor;
  /** The network's time input, one number for each sample. */
  readonly timesteps: number[];
  /** The target, [B, ...]. */
  readonly target: tf.Tensor;
  /** Weight of each sample's squared error. */
  readonly weights: number[];
}

/**
 * A batch for training, with one time for each sample. x0 and noise [B, ...] are borrowed. The caller owns both
 * tensors.
 *
 * @throws RangeError if x0 and noise differ in shape, or if the number of times is not that of the samples
 */
export function trainingExample(
  rule: TrainingRule,
  x0: tf.Tensor,
  noise: tf.Tensor,
  times: ArrayLike<number>,
): TrainingExample {
  if (times.length !== x0.shape[0]) {
    throw new RangeError(`trainingExample: ${times.length} times for ${x0.shape[0]} samples; give one for each.`);
  }
  const levels = Array.from(times, (time) => rule.at(time));
  return {
    input: mix(
      levels.map(({ input }) => input),
      x0,
      noise,
    ),
    timesteps: levels.map(({ timestep }) => timestep),
    target: mix(
      levels.map(({ target }) => target),
      x0,
      noise,
    ),
    weights: levels.map(({ weight }) => weight),
  };
}

/** Copies the noise or the clean sample, instead of computing a sum, if the target is one of them. */
function mix(mixtures: readonly Mixture[], x0: tf.Tensor, noise: tf.Tensor): tf.Tensor {
  if (mixtures.every(({ ofX0, ofNoise }) => ofX0 === 0 && ofNoise === 1)) return noise.clone();
  if (mixtures.every(({ ofX0, ofNoise }) => ofX0 === 1 && ofNoise === 0)) return x0.clone();
  return mixPerSample([x0, mixtures.map(({ ofX0 }) => ofX0)], [noise, mixtures.map(({ ofNoise }) => ofNoise)]);
}

/**
 * The clean samples that outputs imply for what a network was shown, one level a sample: input and target are both
 * mixtures of x0 and noise, so together they determine both. shown and output [B, ...]; borrowed. The caller owns the
 * result.
 */
export function impliedX0(levels: readonly TrainingLevel[], shown: tf.Tensor, output: tf.Tensor): tf.Tensor {
  const weights = levels.map(({ input, target }) => {
    const determinant = input.ofX0 * target.ofNoise - input.ofNoise * target.ofX0;
    return { ofShown: target.ofNoise / determinant, ofOutput: -input.ofNoise / determinant };
  });
  return mixPerSample(
    [shown, weights.map(({ ofShown }) => ofShown)],
    [output, weights.map(({ ofOutput }) => ofOutput)],
  );
}

/** The target of each prediction type for x = alpha x0 + sigma noise. */
const TARGETS: Record<PredictionType, (level: Level) => Mixture> = {
  epsilon: () => ({ ofX0: 0, ofNoise: 1 }),
  sample: () => ({ ofX0: 1, ofNoise: 0 }),
  v_prediction: ({ alpha, sigma }) => {
    const n = Math.hypot(alpha, sigma);
    return { ofX0: -sigma / n, ofNoise: alpha / n };
  },
  flow_prediction: () => ({ ofX0: -1, ofNoise: 1 }),
};

/** The regression at a level: the input is `scale` times the noisy sample, and all levels have the same weight. */
export function trainingLevel(type: PredictionType, level: Level, timestep: number, scale = 1): TrainingLevel {
  const input = { ofX0: scale * level.alpha, ofNoise: scale * level.sigma };
  return { timestep, input, target: TARGETS[type](level), weight: 1 };
}

/** Training on uniformly distributed timesteps of a variance-preserving process (Ho et al. 2020, algorithm 1). */
export function variancePreserving(predicts: PredictionType, alphaBar: ArrayLike<number>): TrainingRule {
  return {
    predicts,
    drawTime: uniformTimesteps(alphaBar.length),
    at: (t) => trainingLevel(predicts, levelOf(alphaBar[t]!), t),
  };
}

/**
 * The regression of Karras et al. 2022 (eq. 8): the target (x0 - c_skip x) / c_out has variance 1 at each level if the
 * data's deviation is sigmaData, and with lambda = 1 / c_out^2 all levels have the same weight. `sign` is that of
 * c_out.
 */
export function edmLevel(sigma: number, sigmaData: number, sign: 1 | -1 = 1): TrainingLevel {
  const { in: scale, noise: timestep } = preconditioning(sigma, sigmaData);
  return {
    timestep,
    input: { ofX0: scale, ofNoise: sigma * scale },
    target: { ofX0: (sign * sigma * scale) / sigmaData, ofNoise: -sign * sigmaData * scale },
    weight: 1,
  };
}

/** A distribution of times: draws one time from a source of random numbers. */
export type TimeDistribution = (random: RandomNumbers) => number;

/** Whole timesteps, uniform from 0 to T - 1 (Ho et al. 2020, algorithm 1). */
export const uniformTimesteps =
  (T: number): TimeDistribution =>
  (random) =>
    random.integer(T);

/** Times, uniform from `least` to 1 (Song et al. 2021b, eq. 7; Lipman et al. 2023, eq. 9). */
export const uniformTimes =
  (least = 0): TimeDistribution =>
  (random) =>
    1 - random.uniform() * (1 - least);

/** Noise levels whose logarithm is normal (Karras et al. 2022, table 1: P_mean, P_std). */
export const logNormalSigmas =
  (mean = -1.2, deviation = 1.2): TimeDistribution =>
  (random) =>
    Math.exp(mean + deviation * normal(random));

/** Times in (0, 1) whose logit is normal; the middle is the most likely (Esser et al. 2024, eq. 19). */
export const logitNormalTimes =
  (mean = 0, deviation = 1): TimeDistribution =>
  (random) =>
    1 / (1 + Math.exp(-(mean + deviation * normal(random))));

/** Times of another distribution, shifted towards noise for large pictures (Esser et al. 2024, eq. 23). */
export const shiftedTimes =
  (shift: number, times: TimeDistribution = uniformTimes()): TimeDistribution =>
  (random) => {
    const t = times(random);
    return (shift * t) / (1 + (shift - 1) * t);
  };

/** One standard normal number (Box & Muller 1958). */
function normal(random: RandomNumbers): number {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}
