import * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { warn } from "../platform/warn.js";

/** Above this share of signal variance at the last noise level, samples that start from pure noise start wrong. */
const MOST_SIGNAL_LEFT = 0.01;
/** Below it, an error of epsilon counts a thousand times in the clean sample. */
const LEAST_SIGNAL = 1e-6;

/**
 * What of a scheduler's settings lets a network that is well trained draw badly, in words, with the remedy. Empty: no
 * fault is known.
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
  // A little beyond the range is what resizing and rounding leave.
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
      `${name}: sampling starts where no signal is left, and there the clean sample cannot be had from epsilon. ` +
        "Set prediction_type to v_prediction, or timestep_spacing to leading.",
    );
  }
  return flaws;
}

const warned = new WeakSet<object>();

/** Says once for each scheduler what {@link trainingFlaws} finds. x0 is borrowed; it is read without waiting. */
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
