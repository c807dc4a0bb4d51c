import * as tf from "@tensorflow/tfjs";
import { combine } from "./combine.js";
import { mixPerSample } from "./forward.js";
import type { NoiseSource } from "./noise/noise.js";
import type { Level } from "./prediction.js";
import type { Plan, State, StepOptions } from "./scheduler.js";

/** The parts of a plan that differ between methods; {@link makePlan} adds the rest. */
export interface PlanParts {
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[];
  /** The indices of the calls that begin a step, starting with 0, if steps make several calls. Default: every call. */
  readonly stepStarts?: readonly number[];
  readonly initNoiseSigma?: number;
  /** Noise level of x before call i. */
  readonly level: (i: number) => Level;
  /** The factor from x to the network's input in call i. Default 1. */
  readonly inputScale?: (i: number) => number;
  /** Whether the output may contain a learned variance, in a second half of the channels. */
  readonly learnedVariance?: boolean;
  /**
   * The method's step: the next x and, as `history`, the tensors that later calls need, newest first. It runs in a
   * `tf.tidy`, and may return its arguments.
   */
  readonly update: (call: Call) => { x: tf.Tensor; history?: readonly tf.Tensor[] };
}

/** The arguments of a step. */
export interface Call {
  readonly x: tf.Tensor;
  readonly history: readonly tf.Tensor[];
  readonly output: tf.Tensor;
  readonly i: number;
  /** Fresh standard normal noise of x's shape. */
  readonly fresh: () => tf.Tensor;
  readonly noise: NoiseSource;
  readonly options: StepOptions;
}

/**
 * Makes a plan from a method's parts: it checks arguments, keeps steps pure, and makes states that own their tensors.
 */
export function makePlan(parts: PlanParts): Plan {
  const { timesteps, sigmas, initNoiseSigma = 1, level, inputScale, learnedVariance = false, update } = parts;
  const { stepStarts = timesteps.map((_, i) => i) } = parts;
  requireStepStarts(stepStarts, timesteps.length);
  const requireStep = (i: number) => {
    if (!Number.isInteger(i) || i < 0 || i >= timesteps.length) {
      throw new RangeError(
        `Step ${i}: this plan has steps 0 to ${timesteps.length - 1}; ask for one of them, or plan more steps.`,
      );
    }
  };
  return {
    timesteps,
    stepStarts,
    sigmas,
    levels: timesteps.map((_, i) => level(i)),
    initNoiseSigma,
    start: (noise) => ({ x: combine([initNoiseSigma, noise]), history: [] }),
    resume: (x, i) => {
      requireStep(i);
      return { x: x.clone(), history: [] };
    },
    addNoise: (x0, noise, i) => {
      requireStep(i);
      const { alpha, sigma } = level(i);
      return mixPerSample([x0, [alpha]], [noise, [sigma]]);
    },
    scaleInput: (x, i) => {
      requireStep(i);
      return combine([inputScale?.(i) ?? 1, x]);
    },
    step: ({ x, history }, output, i, noise, options = {}) => {
      requireStep(i);
      requireFit(output, x, learnedVariance);
      return tf.tidy((): State => {
        const next = update({ x, history, output, i, fresh: () => noise.normal(x.shape), noise, options });
        requireUpdate(next, x);
        // Clones share their data, so each state can be disposed of independently.
        return { x: next.x.clone(), history: (next.history ?? []).map((tensor) => tensor.clone()) };
      });
    },
  };
}

/** @throws RangeError unless `stepStarts` begins with 0 and is ascending */
function requireStepStarts(stepStarts: readonly number[], calls: number): void {
  const isStart = (call: number, step: number) =>
    Number.isInteger(call) && call < calls && (step === 0 ? call === 0 : call > stepStarts[step - 1]!);
  if (stepStarts.length === 0 || !stepStarts.every(isStart)) {
    throw new RangeError(
      `makePlan: stepStarts is [${stepStarts.join(", ")}]; give ascending indices of calls that start with 0 and stay below ${calls}.`,
    );
  }
}

/** @throws RangeError unless the output has x's shape, or twice its channels if the method allows a learned variance */
function requireFit(output: tf.Tensor, x: tf.Tensor, learnedVariance: boolean): void {
  if (tf.util.arraysEqual(output.shape, x.shape)) return;
  const doubled = tf.util.arraysEqual(output.shape, [...x.shape.slice(0, -1), 2 * (x.shape.at(-1) ?? 1)]);
  if (doubled && learnedVariance) return;
  throw new RangeError(
    `plan.step: the network's output is [${output.shape.join(", ")}], x is [${x.shape.join(", ")}]. ` +
      (doubled
        ? "This method does not use a learned variance, which is in the second half of the channels: give tf.split(output, 2, -1)[0]."
        : "Give the output for this x, of the same shape, channels last."),
  );
}

/** @throws RangeError unless an update, which may be of a method of one's own, returned x and a history of tensors */
function requireUpdate(next: unknown, x: tf.Tensor): void {
  const { x: given, history = [] } = (next ?? {}) as { x?: unknown; history?: unknown };
  const expected = `return { x, history? } with x a tensor [${x.shape.join(", ")}] and history a list of tensors.`;
  const isTensor = (value: unknown) => value instanceof tf.Tensor;
  if (!isTensor(given)) throw new RangeError(`The method's update returned no tensor x (${typeof given}); ${expected}`);
  const { shape } = given as tf.Tensor;
  if (!tf.util.arraysEqual(shape, x.shape)) {
    throw new RangeError(`The method's update returned an x of the shape [${shape.join(", ")}]; ${expected}`);
  }
  if (!Array.isArray(history) || !history.every(isTensor)) {
    throw new RangeError(`The method's update returned a history that is no list of tensors; ${expected}`);
  }
}

/** @throws RangeError unless eta is from 0 to 1 */
export function requireEta(name: string, eta: number): void {
  if (!(eta >= 0 && eta <= 1)) throw new RangeError(`${name}: eta is ${eta}; give a number from 0 (no noise) to 1.`);
}
