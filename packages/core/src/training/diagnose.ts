import * as tf from "@tensorflow/tfjs";
import { type KeyedNoise, type Network, runPlan, type Scheduler } from "@tfjs-diffusion/schedulers";
import { type LevelReport, networkFaults } from "./diagnose-network.js";
import { trainingOf } from "./denoising-loss.js";
import type { Fault } from "./fault.js";
import { trainingFlaws } from "./training-flaws.js";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** The result of {@link diagnose}. */
export interface Diagnosis {
  /** Empty if no fault was found. Fix the first fault first. */
  readonly faults: Fault[];
  /** The quality of the network at some noise levels, from the least noise to the most. */
  readonly levels: LevelReport[];
}

/** The inputs of {@link diagnose}. */
export interface DiagnoseOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** The scheduler that the network was trained for and draws with. */
  scheduler: Scheduler;
  model: Network<X>;
  /** Clean samples as in training, [B, ...], 64 or more. Borrowed. */
  x0: X;
  noise: KeyedNoise;
  /** Steps of a drawing. Default 20. Five times as many calls are made. */
  steps?: number;
  /** The network with averaged weights, if `model` has those of the last step. */
  averaged?: Network<X>;
}

/**
 * Why is my sample noise? Tests the data, the scheduler's settings, the network's output at single noise levels, its
 * average, and a drawing, in this order. Reports each fault with its evidence. The network is called on real data with
 * noise, so its output can be compared with the scheduler's target, with the targets of possible mistakes in training,
 * and with the best linear denoiser.
 *
 *     const { faults } = diagnose({ scheduler, model, x0, noise: keyedNoise(0) });
 *     for (const { evidence, remedy } of faults) console.log(evidence, remedy);
 *
 * @throws SchedulerConfigError for a scheduler whose networks are not trained by regression; RangeError for fewer than
 * two
 *   samples
 */
export function diagnose<X extends tf.Tensor = tf.Tensor4D>(options: DiagnoseOptions<X>): Diagnosis {
  const { scheduler, model, x0, noise, averaged, steps = 20 } = options;
  if (!(x0.shape[0] >= 2)) throw new RangeError(`diagnose: ${x0.shape[0]} samples; give at least two, better 64.`);
  const rule = trainingOf(scheduler);
  const faults = dataFaults(x0, scheduler);
  const largest = tf.tidy(() => valuesAtOnce("diagnose", x0.abs().max())[0]!);
  for (const evidence of trainingFlaws(scheduler, largest)) {
    const [, found, remedy] = /^(.*[.;]) ((?:Set|Raise) .*)$/.exec(evidence) ?? [evidence, evidence, ""];
    faults.push({ kind: "settings", evidence: found, remedy: remedy });
  }
  // With NaN in the data, all other tests would fail as well.
  if (faults.some(({ kind }) => kind === "data") && !Number.isFinite(largest)) return { faults, levels: [] };
  const found = networkFaults({ rule, T: scheduler.alphaBar.length, model, x0, noise: noise.at("levels"), averaged });
  faults.push(...found.faults);
  // A drawing shows something new only if single steps are right.
  if (found.faults.length === 0) faults.push(...drawingFaults(options, steps));
  return { faults, levels: found.levels };
}

/** Mean and standard deviation of all numbers, least and largest. */
function rangeOf(x: tf.Tensor) {
  return tf.tidy(() => {
    const { mean, variance } = tf.moments(x);
    const [m, v, least, largest] = valuesAtOnce("diagnose", tf.stack([mean, variance, x.min(), x.max()]));
    return { mean: m!, deviation: Math.sqrt(v!), least: least!, largest: largest! };
  });
}

function dataFaults(x0: tf.Tensor, { config, training }: Scheduler): Fault[] {
  const { mean, deviation, least, largest } = rangeOf(x0);
  const range = `The data reach from ${least.toPrecision(3)} to ${largest.toPrecision(3)}, mean ${mean.toPrecision(2)}, deviation ${deviation.toPrecision(2)}.`;
  const fault = (evidence: string, remedy: string): Fault[] => [{ kind: "data", evidence, remedy }];
  if (![mean, deviation, least, largest].every(Number.isFinite)) {
    return fault("The data hold numbers that are not finite.", "Look for divisions by 0 in how they are read.");
  }
  if (largest > 20) {
    return fault(`${range} They look like bytes.`, "Scale them to [-1, 1]: x / 127.5 - 1.");
  }
  if (least >= 0 && largest <= 1 && mean > 0.1) {
    return fault(`${range} They look like pictures in [0, 1].`, "Scale them to [-1, 1]: 2 x - 1.");
  }
  const assumed = typeof config["sigma_data"] === "number" ? config["sigma_data"] : undefined;
  if (training?.predicts === "preconditioned" && assumed !== undefined) {
    if (deviation > 2 * assumed || deviation < assumed / 2) {
      return fault(`${range} The scheduler's sigma_data is ${assumed}.`, "Set sigma_data to the data's deviation.");
    }
  } else if (deviation < 0.1 || deviation > 2) {
    return fault(
      `${range} Noise has deviation 1: next to it they are ${deviation < 1 ? "nothing" : "everything"} at nearly all noise levels.`,
      "Scale them to a deviation between 0.3 and 1.",
    );
  }
  return [];
}

/** Mean over the numbers of a sample of the squared differences of mean and deviation, by the data's variance. */
function momentsApart(drawn: tf.Tensor, data: tf.Tensor): number {
  return tf.tidy(() => {
    const [a, b] = [tf.moments(drawn, 0), tf.moments(data, 0)];
    const apart = a.mean.sub(b.mean).square().add(a.variance.sqrt().sub(b.variance.sqrt()).square()).mean();
    return valuesAtOnce("diagnose", apart.div(b.variance.mean()))[0]!;
  });
}

/** At this distance or above, samples are far from the data; smaller distances may be due to chance. */
const FAR = 0.1;

function drawingFaults<X extends tf.Tensor>(
  { scheduler, model, x0, noise }: DiagnoseOptions<X>,
  steps: number,
): Fault[] {
  const more = Math.min(4 * steps, scheduler.alphaBar.length);
  const start = noise.at("start").normal(x0.shape) as X;
  const apart = (n: number) => {
    const drawn = runPlan(scheduler.plan(n), model, start, noise.at("fresh"));
    const result = momentsApart(drawn, x0);
    drawn.dispose();
    return result;
  };
  try {
    const [few, many] = [apart(steps), apart(more)];
    if (!(few > FAR)) return [];
    const words = `Samples of ${steps} steps are ${few.toPrecision(2)} from the data in mean and deviation, in units of the data's variance`;
    if (many < few / 3) {
      return [
        {
          kind: "steps",
          evidence: `${words}; those of ${more} steps ${many.toPrecision(2)}.`,
          remedy: `Draw in ${more} steps, or with a method of higher order, such as DPMSolverMultistepScheduler.`,
        },
      ];
    }
    return [
      {
        kind: "network",
        evidence: `${words}, and more steps do not help, though single steps are right at the levels that were looked at.`,
        remedy: "Look at the levels between, above all at the noisiest, where a drawing begins; train longer.",
      },
    ];
  } finally {
    start.dispose();
  }
}
