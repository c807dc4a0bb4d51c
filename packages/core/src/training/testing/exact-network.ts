import * as tf from "@tensorflow/tfjs";
import {
  type GaussianMixture,
  mixtureDenoiser,
  type Network,
  type Scheduler,
  type TrainingLevel,
} from "@tfjs-diffusion/schedulers";

/** Data whose best denoiser is known: two bells. Their numbers have deviation 0.54 and 0.36. */
export const TWO_BELLS: GaussianMixture = {
  means: [
    [0.5, -0.3],
    [-0.5, 0.3],
  ],
  deviation: 0.2,
};

/** [n, 2], half of each bell. The caller owns it. */
export function bellsSample(n: number, noise: { normal(shape: number[]): tf.Tensor }): tf.Tensor2D {
  return tf.tidy(() => {
    const centres = tf.tensor2d(Array.from({ length: n }, (_, i) => [...TWO_BELLS.means[i % 2]!]));
    return noise.normal([n, 2]).mul(TWO_BELLS.deviation).add<tf.Tensor2D>(centres);
  });
}

/** The scheduler's own time of what a network is told. */
function timeOf(scheduler: Scheduler, told: number): number {
  const { predicts } = scheduler.training!;
  if (predicts === "preconditioned") return Math.max(1e-9, Math.exp(4 * told)); // diagnose tries strange times, too
  return predicts === "flow_prediction" ? told / scheduler.alphaBar.length : told;
}

/**
 * The network that minimises the scheduler's loss on a mixture: E[target | input], linear in the best x0 and the input.
 * All samples of a batch are at one level.
 *
 * @param as the level as the network knows it, given the true one; to make networks that were trained wrongly
 */
export function exactNetwork(
  scheduler: Scheduler,
  mixture = TWO_BELLS,
  as: (level: TrainingLevel) => TrainingLevel = (level) => level,
): Network<tf.Tensor2D> {
  return (shown, told) =>
    tf.tidy(() => {
      const { input, target } = as(scheduler.training!.at(timeOf(scheduler, told[0]!)));
      const x0 = mixtureDenoiser(mixture, shown, { alpha: input.ofX0, sigma: input.ofNoise });
      const noise = shown.sub(x0.mul(input.ofX0)).div(input.ofNoise);
      return x0.mul(target.ofX0).add(noise.mul(target.ofNoise));
    });
}
