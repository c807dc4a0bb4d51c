import type * as tf from "@tensorflow/tfjs";
import { mixPerSample } from "./forward.js";
import type { RandomNumbers } from "./noise/keyed-noise.js";
import { type Level, levelOf, type PredictionType } from "./prediction.js";

/** A mixture of a clean sample and noise: ofX0 x0 + ofNoise noise. */
export interface Mixture {
  readonly ofX0: number;
  readonly ofNoise: number;
}

/** What a network learns at one noise level. */
export interface TrainingLevel {
  /** What the network is told of the level: the timestep that the sampler tells it, too. */
  readonly timestep: number;
  /** What the network is shown: the noised sample, scaled as the sampler scales it. */
  readonly input: Mixture;
  /** What the network is asked for: what the sampler takes its output for. */
  readonly target: Mixture;
  /** Weight of the squared error. */
  readonly weight: number;
}

/**
 * How a network is trained for a sampler. Times are the scheduler's own: timesteps, noise levels or shares of the way.
 */
export interface TrainingRule {
  /** What the output means: one of the four predictions, EDM's preconditioned output, or the score. */
  readonly predicts: PredictionType | "preconditioned" | "score";
  /** Draws one time, as the method's paper does. */
  drawTime(random: RandomNumbers): number;
  /** What is learnt at a time. */
  at(time: number): TrainingLevel;
}

/** A batch to learn from. */
export interface TrainingExample {
  /** What the network is shown, [B, ...]. */
  readonly input: tf.Tensor;
  /** What it is told, one number a sample. */
  readonly timesteps: number[];
  /** What it is asked for, [B, ...]. */
  readonly target: tf.Tensor;
  /** Weight of each sample's squared error. */
  readonly weights: number[];
}

/**
 * A batch for training at given times, one a sample. x0 and noise [B, ...]; borrowed. The caller owns both tensors.
 *
 * @throws RangeError if x0 and noise differ in shape, or there is not one time for each sample
 */
export function trainingExample(
  rule: TrainingRule,
  x0: tf.Tensor,
  noise: tf.Tensor,
  times: readonly number[],
): TrainingExample {
  if (times.length !== x0.shape[0]) {
    throw new RangeError(`trainingExample: ${times.length} times for ${x0.shape[0]} samples; give one for each.`);
  }
  const levels = times.map((time) => rule.at(time));
  return {
    input: mix(
      levels.map(({ input }) => input),
      x0,
      noise,
    ),
    timesteps: levels.map(({ timestep }) => timestep),
    target: mix(levels.map(({ target }) => target), x0, noise), // prettier-ignore
    weights: levels.map(({ weight }) => weight),
  };
}

/** A target that is the noise or the clean sample itself is not computed. */
function mix(mixtures: readonly Mixture[], x0: tf.Tensor, noise: tf.Tensor): tf.Tensor {
  if (mixtures.every(({ ofX0, ofNoise }) => ofX0 === 0 && ofNoise === 1)) return noise.clone();
  if (mixtures.every(({ ofX0, ofNoise }) => ofX0 === 1 && ofNoise === 0)) return x0.clone();
  return mixPerSample([x0, mixtures.map(({ ofX0 }) => ofX0)], [noise, mixtures.map(({ ofNoise }) => ofNoise)]);
}

/** What a perfect network of each kind gives for x = alpha x0 + sigma noise. */
const TARGETS: Record<PredictionType, (level: Level) => Mixture> = {
  epsilon: () => ({ ofX0: 0, ofNoise: 1 }),
  sample: () => ({ ofX0: 1, ofNoise: 0 }),
  v_prediction: ({ alpha, sigma }) => {
    const n = Math.hypot(alpha, sigma);
    return { ofX0: -sigma / n, ofNoise: alpha / n };
  },
  flow_prediction: () => ({ ofX0: -1, ofNoise: 1 }),
};

/** The regression at a level: the input is `scale` times the noised sample, and all levels weigh the same. */
export function trainingLevel(type: PredictionType, level: Level, timestep: number, scale = 1): TrainingLevel {
  const input = { ofX0: scale * level.alpha, ofNoise: scale * level.sigma };
  return { timestep, input, target: TARGETS[type](level), weight: 1 };
}

/** Training on whole timesteps of a variance-preserving process, each as likely (Ho et al. 2020, algorithm 1). */
export function variancePreserving(predicts: PredictionType, alphaBar: ArrayLike<number>): TrainingRule {
  return {
    predicts,
    drawTime: uniformTimesteps(alphaBar.length),
    at: (t) => trainingLevel(predicts, levelOf(alphaBar[t]!), t),
  };
}

/**
 * The regression of Karras et al. 2022 (eq. 8): the target (x0 - c_skip x) / c_out has variance 1 at each level if the
 * data's deviation is sigmaData, and with lambda = 1 / c_out^2 all levels weigh the same. `sign` is that of c_out.
 */
export function edmLevel(sigma: number, sigmaData: number, sign: 1 | -1 = 1): TrainingLevel {
  const n = Math.hypot(sigma, sigmaData);
  return {
    timestep: Math.log(sigma) / 4,
    input: { ofX0: 1 / n, ofNoise: sigma / n },
    target: { ofX0: (sign * sigma) / (sigmaData * n), ofNoise: (-sign * sigmaData) / n },
    weight: 1,
  };
}

/** How times are drawn: one number from a source of random numbers. */
export type TimeDistribution = (random: RandomNumbers) => number;

/** Whole timesteps 0 to T - 1, each as likely (Ho et al. 2020, algorithm 1). */
export const uniformTimesteps =
  (T: number): TimeDistribution =>
  (random) =>
    random.integer(T);

/** Times from `least` to 1, each as likely (Song et al. 2021b, eq. 7; Lipman et al. 2023, eq. 9). */
export const uniformTimes =
  (least = 0): TimeDistribution =>
  (random) =>
    1 - random.uniform() * (1 - least);

/** Noise levels whose logarithm is normal (Karras et al. 2022, table 1: P_mean, P_std). */
export const logNormalSigmas =
  (mean = -1.2, deviation = 1.2): TimeDistribution =>
  (random) =>
    Math.exp(mean + deviation * normal(random));

/** Times in (0, 1) whose logit is normal: most in the middle (Esser et al. 2024, eq. 19). */
export const logitNormalTimes =
  (mean = 0, deviation = 1): TimeDistribution =>
  (random) =>
    1 / (1 + Math.exp(-(mean + deviation * normal(random))));

/** Times of another distribution moved towards noise, as large pictures need it (Esser et al. 2024, eq. 23). */
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
