import * as tf from "@tensorflow/tfjs";
import {
  impliedX0,
  type KeyedNoise,
  type Mixture,
  type Network,
  trainingExample,
  type TrainingLevel,
  type TrainingRule,
} from "@tfjs-diffusion/schedulers";
import type { Fault } from "./fault.js";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** How good a network is at one noise level. */
export interface LevelReport {
  /** The timestep that it was given. */
  readonly timestep: number;
  /** sigma / alpha: deviation of the noise where the data have their own scale. */
  readonly sigma: number;
  /** Mean squared error of the clean sample that its output implies, per number. */
  readonly error: number;
  /** The error of the best linear denoiser of single numbers. A network that has learned more is below it. */
  readonly linearError: number;
  /** Mean squared error of its output, divided by the variance of the target. */
  readonly loss: number;
  /** The same of the linear denoiser. */
  readonly linearLoss: number;
  /**
   * By how much the loss would fall if multiples of the output and of the input were added to the output. It is nearly
   * 0 for a network that predicts the mean of the target, even if it has learned little.
   */
  readonly correctable: number;
}

interface Subject<X extends tf.Tensor> {
  rule: TrainingRule;
  /** The scheduler's number of timesteps. */
  T: number;
  model: Network<X>;
  x0: X;
  noise: KeyedNoise;
  averaged?: Network<X>;
}

/** Quantiles of the drawn times at which the network is tested. */
const QUANTILES = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95];
/** A loss this much above that of the linear denoiser is not due to chance, for a target of variance 1. */
const SLACK = 0.05;

/** The faults of a network, and its quality at some noise levels. */
export function networkFaults<X extends tf.Tensor>(subject: Subject<X>): { faults: Fault[]; levels: LevelReport[] } {
  const { rule, x0, averaged } = subject;
  const random = subject.noise.at("times").random();
  const drawn = Array.from({ length: 400 }, () => rule.drawTime(random));
  const sigmaOf = (time: number) => rule.at(time).input.ofNoise / rule.at(time).input.ofX0;
  drawn.sort((a, b) => sigmaOf(a) - sigmaOf(b));
  const times = QUANTILES.map((share) => drawn[Math.floor(share * drawn.length)]!);
  const levels = times.map((time, i) => report(subject, rule.at(time), i));

  const broken = levels.find(({ loss }) => !Number.isFinite(loss));
  if (broken) {
    const evidence = `At timestep ${broken.timestep} the network gives numbers that are not finite.`;
    const remedy = "Lower the learning rate or clip gradients (gradientClip: 1), and start from an earlier checkpoint.";
    return { faults: [{ kind: "network", evidence, remedy }], levels };
  }
  const own = meanOf(levels.map(({ loss }) => loss));
  const linear = meanOf(levels.map(({ linearLoss }) => linearLoss));
  const faults: Fault[] = [];
  const mistake = explanation(subject, times, levels);
  if (mistake) faults.push(mistake);
  else if (own > linear + SLACK) faults.push(notLearned(levels, own, linear, x0));
  if (averaged) {
    const ofAverage = meanOf(times.map((time, i) => report({ ...subject, model: averaged }, rule.at(time), i).loss));
    if (!(ofAverage <= own + SLACK)) {
      faults.push({
        kind: "average",
        evidence: `The averaged weights have a loss of ${short(ofAverage)}, those of the last step ${short(own)}.`,
        remedy: "The average still holds weights of the beginning: lower emaDecay, or train longer.",
      });
    }
  }
  return { faults, levels };
}

/** One call of the network at one level, on all samples. */
function report<X extends tf.Tensor>({ model, x0, noise }: Subject<X>, level: TrainingLevel, i: number): LevelReport {
  return tf.tidy(() => {
    const { input, timesteps, target } = exampleAt(level, x0, noise, i);
    const output = model(input as X, timesteps);
    const all = timesteps.map(() => level);
    const error = impliedX0(all, input, output).sub(x0).square().mean();
    // Each number of the data has its own variance.
    const variance = tf.moments(x0, 0).variance;
    const { input: a, target: b } = level;
    const shown = variance.mul(a.ofX0 ** 2).add(a.ofNoise ** 2);
    const asked = variance.mul(b.ofX0 ** 2).add(b.ofNoise ** 2);
    const both = variance.mul(a.ofX0 * b.ofX0).add(a.ofNoise * b.ofNoise);
    const linearLoss = asked.sub(both.square().div(shown)).mean().div(asked.mean());
    const linearError = variance
      .mul(a.ofNoise ** 2)
      .div(shown)
      .mean();
    const loss = output.sub(target).square().mean().div(asked.mean());
    const corrected = unexplained(target, output, input).div(asked.mean());
    const values = valuesAtOnce("diagnose", tf.stack([error, linearError, loss, linearLoss, loss.sub(corrected)]));
    const [e, le, l, ll, correctable] = values as unknown as [number, number, number, number, number];
    const { timestep } = level;
    return { timestep, sigma: a.ofNoise / a.ofX0, error: e, linearError: le, loss: l, linearLoss: ll, correctable };
  });
}

/** Mean square of the rest of y after the best multiples of a and b, and the mean, are subtracted. */
function unexplained(y: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const centred = (x: tf.Tensor) => x.sub(x.mean(0));
  const product = (x: tf.Tensor, z: tf.Tensor) => x.mul(z).mean();
  const without = (x: tf.Tensor, z: tf.Tensor, least: tf.Tensor | number) =>
    x.sub(z.mul(product(x, z).div(product(z, z).add(least))));
  const [t, first, second] = [centred(y), centred(a), centred(b)];
  // If two tensors are nearly multiples of each other, only rounding errors would be left.
  const rest = without(second, first, 1e-12);
  const left = without(without(t, first, 1e-12), rest, product(second, second).mul(1e-5));
  return product(left, left);
}

function exampleAt(level: TrainingLevel, x0: tf.Tensor, noise: KeyedNoise, i: number) {
  const rule = { at: () => level } as unknown as TrainingRule;
  return trainingExample(rule, x0, noise.at(i).normal(x0.shape), Array<number>(x0.shape[0]).fill(0));
}

/** The targets of networks, by name. */
const TARGETS: Readonly<Record<string, (alpha: number, sigma: number) => Mixture>> = {
  "the noise (epsilon)": () => ({ ofX0: 0, ofNoise: 1 }),
  "the clean sample": () => ({ ofX0: 1, ofNoise: 0 }),
  "v = alpha noise - sigma x0": (alpha, sigma) => ({ ofX0: -sigma, ofNoise: alpha }),
  "the velocity noise - x0": () => ({ ofX0: -1, ofNoise: 1 }),
  "the opposite velocity, x0 - noise": () => ({ ofX0: 1, ofNoise: -1 }),
};

/** A possible mistake in training: the change of a level that undoes it, and its description. */
interface Mistake {
  kind: Fault["kind"];
  change(level: TrainingLevel): TrainingLevel;
  /** With the network's loss after the change, and before. */
  evidence(changed: string, own: string): string;
  remedy: string;
}

/** All mistakes that are tested. */
function mistakes({ rule, T }: Pick<Subject<tf.Tensor>, "rule" | "T">): Mistake[] {
  const size = ({ ofX0, ofNoise }: Mixture) => Math.hypot(ofX0, ofNoise);
  const targets = Object.entries(TARGETS).map(([name, target]): Mistake => ({
    kind: "target",
    change: (level) => {
      const { ofX0, ofNoise } = level.input;
      return { ...level, target: target(ofX0 / size(level.input), ofNoise / size(level.input)) };
    },
    evidence: (changed, own) =>
      `The network's output is ${name}: as that its loss is ${changed}, and as what the scheduler takes it for (${rule.predicts}) ${own}.`,
    remedy: "Draw with a scheduler whose prediction_type fits, or train with denoisingLoss and this scheduler.",
  }));
  const scales: Record<string, (input: Mixture) => number> = {
    "x0 + sigma noise, not scaled": ({ ofX0 }) => ofX0,
    "alpha x0 + sigma noise with alpha^2 + sigma^2 = 1": size,
  };
  const inputs = Object.entries(scales).map(([name, by]): Mistake => ({
    kind: "input",
    change: (level) => {
      const { ofX0, ofNoise } = level.input;
      return { ...level, input: { ofX0: ofX0 / by(level.input), ofNoise: ofNoise / by(level.input) } };
    },
    evidence: (changed, own) =>
      `The network was trained on ${name}: shown that, its loss is ${changed}, and ${own} for what the scheduler shows it.`,
    remedy: "Train with denoisingLoss and this scheduler, or show the network what it knows.",
  }));
  const clocks: Record<string, (timestep: number, sigma: number) => number> = {
    "the timestep divided by the number of timesteps": (t) => t / T,
    "the timestep times the number of timesteps": (t) => t * T,
    "timesteps counted from the noisiest": (t) => T - 1 - t,
    "the noise level sigma": (_, sigma) => sigma,
    "ln(sigma) / 4": (_, sigma) => Math.log(sigma) / 4,
  };
  const times = Object.entries(clocks).map(([name, told]): Mistake => ({
    kind: "time",
    change: (level) => ({ ...level, timestep: told(level.timestep, level.input.ofNoise / level.input.ofX0) }),
    evidence: (changed, own) =>
      `The network expects to be told ${name}: its loss is then ${changed}, and ${own} with what the scheduler tells it.`,
    remedy: "Tell it in training and in drawing what the scheduler says: trainingExample gives it as timesteps.",
  }));
  return [...targets, ...inputs, ...times];
}

/** Below this, a network predicts the mean of its target, up to chance. */
const CALIBRATED = 0.03;

/**
 * The mistake that explains the network's outputs, if the network is not right without it. A trained network predicts
 * the mean of its target, so adding a multiple of its output or its input does not reduce the error. This test finds
 * the right interpretation of its inputs and outputs.
 */
function explanation<X extends tf.Tensor>(
  subject: Subject<X>,
  times: readonly number[],
  levels: readonly LevelReport[],
): Fault | undefined {
  const own = meanOf(levels.map(({ correctable }) => correctable));
  if (own < CALIBRATED) return undefined;
  const tried = mistakes(subject).map((mistake) => {
    const changed = times.map((time, i) => report(subject, mistake.change(subject.rule.at(time)), i));
    return { mistake, changed, correctable: meanOf(changed.map((level) => level.correctable)) };
  });
  // If several explain the outputs, the one with the smallest error of x0 is chosen.
  const [best] = tried
    .filter(({ correctable }) => correctable < own / 3)
    .sort((a, b) => meanOf(a.changed.map(({ error }) => error)) - meanOf(b.changed.map(({ error }) => error)));
  if (!best) return undefined;
  const { kind, evidence, remedy } = best.mistake;
  const loss = (reports: readonly LevelReport[]) => short(meanOf(reports.map((level) => level.loss)));
  return { kind, evidence: evidence(loss(best.changed), loss(levels)), remedy };
}

function notLearned(levels: readonly LevelReport[], own: number, linear: number, x0: tf.Tensor): Fault {
  const bad = levels.filter(({ loss, linearLoss }) => loss > linearLoss + SLACK);
  const worst = bad.reduce((a, b) => (b.loss - b.linearLoss > a.loss - a.linearLoss ? b : a), levels[0]!);
  const where =
    bad.length === levels.length ? "at every noise level" : `at ${bad.length} of ${levels.length} noise levels`;
  const few = x0.shape[0] < 64 ? " Give at least 64 samples, to be sure." : "";
  return {
    kind: "untrained",
    evidence: `The network is worse than the best linear denoiser ${where}: loss ${short(own)} against ${short(linear)}; worst at timestep ${worst.timestep}: ${short(worst.loss)} against ${short(worst.linearLoss)}.${few}`,
    remedy: "Train longer, or with a higher learning rate; check that its weights were loaded.",
  };
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const short = (value: number) => value.toPrecision(2);
