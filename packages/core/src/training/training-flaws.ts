import * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { warn } from "../platform/warn.js";

/** Above this share of signal variance at the last noise level, samples that start from pure noise start wrong. */
const MOST_SIGNAL_LEFT = 0.01;
/** Below this, an error of epsilon is amplified a thousand times in the clean sample. */
const LEAST_SIGNAL = 1e-6;

/**
 * Messages about a scheduler's settings with which even a well-trained network samples badly, and what to change. Empty
 * if there are none.
 *
 * @param largest the largest absolute value of the data, if it is known
 */
export function trainingFlaws(
  { config, alphaBar, training }: Pick<Scheduler, "config" | "alphaBar" | "training">,
  largest = 0,
): string[] {
  const { _class_name: name, clip_sample, clip_sample_range, timestep_spacing, rescale_betas_zero_snr } = config;
  const flaws: string[] = [];
  const range = typeof clip_sample_range === "number" ? clip_sample_range : 1;
  // Resizing and rounding may exceed the range a little.
  const isClipped = clip_sample === true && largest > 1.05 * range;
  if (isClipped) {
    flaws.push(
      `${name}: clip_sample is true, and keeps samples in [-${range}, ${range}]; the data reach ${largest.toPrecision(3)}. ` +
        "Set clip_sample to false, or scale the data.",
    );
  }
  const predicts = training?.predicts;
  const isTimesteps = predicts === "epsilon" || predicts === "sample" || predicts === "v_prediction";
  const last = alphaBar.at(-1) ?? 0;
  if (isTimesteps && last > MOST_SIGNAL_LEFT) {
    flaws.push(
      `${name}: the last noise level still holds ${(100 * Math.sqrt(last)).toFixed(0)} % of the signal, but sampling ` +
        "starts from pure noise. Raise num_train_timesteps or beta_end, or set beta_schedule to squaredcos_cap_v2.",
    );
  }
  const visitsLast =
    timestep_spacing === "trailing" || timestep_spacing === "linspace" || rescale_betas_zero_snr === true;
  if (predicts === "epsilon" && last < LEAST_SIGNAL && visitsLast && (isClipped || clip_sample !== true)) {
    flaws.push(
      `${name}: sampling starts without any signal, where the clean sample cannot be computed from epsilon. ` +
        "Set prediction_type to v_prediction, or timestep_spacing to leading.",
    );
  }
  return flaws;
}

const warned = new WeakSet<object>();

/** Warns once for each scheduler of what {@link trainingFlaws} finds. x0 is borrowed and read synchronously. */
export function warnOfFlaws(scheduler: Pick<Scheduler, "config" | "alphaBar" | "training">, x0: tf.Tensor): void {
  if (warned.has(scheduler)) return;
  warned.add(scheduler);
  if (scheduler.config["clip_sample"] !== true) return trainingFlaws(scheduler).forEach(warn);
  const largest = tf.tidy(() => tf.keep(x0.abs().max()));
  const say = (value: number) => trainingFlaws(scheduler, value).forEach(warn);
  void largest
    .data()
    .then(([value]) => say(value!))
    .finally(() => largest.dispose());
}
