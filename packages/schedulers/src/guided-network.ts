import * as tf from "@tensorflow/tfjs";
import { guide } from "./guidance.js";
import type { Network } from "./run-plan.js";
import type { TrainingLevel } from "./training.js";

/** What {@link guidedNetwork} puts together. */
export interface GuidedNetworkOptions<X extends tf.Tensor = tf.Tensor> {
  /** The network with its condition. */
  network: Network<X>;
  /**
   * What to lead away from: the same network without a condition (Ho & Salimans 2022), or a smaller or less trained
   * network with the same condition (autoguidance: Karras et al. 2024).
   */
  awayFrom: Network<X>;
  /** 1 is no guidance. */
  scale: number;
  /**
   * Guides only where the network is told a number in this range (Kynkäänniemi et al. 2024): at the noisiest levels
   * guidance takes variety away, at the least noise it changes nothing. Default: everywhere.
   */
  interval?: readonly [least: number, most: number];
}

/**
 * A network with guidance inside, to draw with: see {@link guide}. All samples of a batch are told the same time.
 *
 * @throws RangeError for an interval that is empty
 */
export function guidedNetwork<X extends tf.Tensor = tf.Tensor>(options: GuidedNetworkOptions<X>): Network<X> {
  const { network, awayFrom, scale, interval: [least, most] = [-Infinity, Infinity] } = options;
  if (!(least <= most))
    throw new RangeError(`guidedNetwork: the interval is [${least}, ${most}]; give the lower end first.`);
  return (shown, timesteps) => {
    const isInside = timesteps[0]! >= least && timesteps[0]! <= most;
    if (!isInside || scale === 1) return network(shown, timesteps);
    return tf.tidy(() => guide(awayFrom(shown, timesteps), network(shown, timesteps), scale));
  };
}

/** What {@link classifierGuided} puts together. */
export interface ClassifierGuidanceOptions<X extends tf.Tensor = tf.Tensor> {
  /** A network that knows no condition. */
  network: Network<X>;
  /**
   * ln p(condition | x) of each noisy sample, [B], from what the network is shown and told. A classifier that was
   * trained on noisy samples; differentiable.
   */
  logProbability(shown: X, timesteps: number[]): tf.Tensor;
  /** The level of a told timestep: `(t) => scheduler.training.at(t)` for schedulers on whole timesteps. */
  level(timestep: number): TrainingLevel;
  /** 1 samples p(x | condition) if network and classifier are exact; more sharpens the condition. */
  scale: number;
}

/**
 * Classifier guidance (Dhariwal & Nichol 2021, algorithm 2, for any prediction): the score of x gets scale times the
 * gradient of ln p(condition | x). For an input a x0 + n noise that moves the noise by -n times the gradient, and x0 by
 * n^2 / a times it.
 */
export function classifierGuided<X extends tf.Tensor = tf.Tensor>(options: ClassifierGuidanceOptions<X>): Network<X> {
  const { network, logProbability, level, scale } = options;
  return (shown, timesteps) =>
    tf.tidy(() => {
      const gradient = tf.grad((x: tf.Tensor) => logProbability(x as X, timesteps).sum())(shown);
      const weights = timesteps.map((timestep) => {
        const { input, target } = level(timestep);
        return scale * (target.ofX0 * (input.ofNoise ** 2 / input.ofX0) - target.ofNoise * input.ofNoise);
      });
      const column = tf.tensor(weights, [weights.length, ...shown.shape.slice(1).map(() => 1)]);
      return network(shown, timesteps).add(gradient.mul(column));
    });
}
