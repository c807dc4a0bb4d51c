import * as tf from "@tensorflow/tfjs";
import { impliedX0, type KeyedNoise, type Network, trainingExample } from "@tfjs-diffusion/schedulers";
import { type ForwardProcess, trainingOf } from "./denoising-loss.js";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** What {@link denoisingErrors} measures. */
export interface DenoisingErrorsOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** The scheduler that the network is for. */
  scheduler: ForwardProcess;
  model: Network<X>;
  /** Clean samples, [B, ...]. Borrowed. */
  x0: X;
  noise: KeyedNoise;
  /** The scheduler's own times: timesteps, noise levels or shares of the way. */
  times: readonly number[];
}

/**
 * Mean squared error per number of the clean sample that one call of the network implies, at each time: the quality of
 * a network in each part of a drawing. No network is better than the mean of x0 given x.
 *
 * @throws SchedulerConfigError for a scheduler whose networks are not trained by regression
 */
export function denoisingErrors<X extends tf.Tensor = tf.Tensor4D>(options: DenoisingErrorsOptions<X>): number[] {
  const { scheduler, model, x0, noise, times } = options;
  const rule = trainingOf(scheduler);
  return times.map((time, i) =>
    tf.tidy(() => {
      const all = Array<number>(x0.shape[0]).fill(time);
      const example = trainingExample(rule, x0, noise.at(i).normal(x0.shape), all);
      const output = model(example.input as X, example.timesteps);
      const implied = impliedX0(
        all.map((t) => rule.at(t)),
        example.input,
        output,
      );
      return valuesAtOnce("denoisingErrors", implied.sub(x0).square().mean())[0]!;
    }),
  );
}
