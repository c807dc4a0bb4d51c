import type * as tf from "@tensorflow/tfjs";
import { keyedNoise, type KeyedNoise } from "@tfjs-diffusion/schedulers";
import { type AdamWOptions, checkedAdamWOptions } from "./adamw.js";
import { checkpointFile, type CheckpointStore } from "./checkpoint-file.js";
import type { Json } from "./checkpoint.js";
import { checkDecay } from "./ema.js";
import { TrainingInterruptedError } from "./errors.js";
import { TrainingLog } from "./training-log.js";
import { TrainingRun } from "./training-run.js";

/** What the loss of one batch may depend on: a loss that depends on nothing else can be resumed bit for bit. */
export interface BatchContext {
  /** Counts from 1. */
  readonly step: number;
  /** Samples drawn before this batch: its j-th sample is `dataOrder(seed, size)(firstSample + j)`. */
  readonly firstSample: number;
  /** Random numbers of this batch alone. */
  readonly noise: KeyedNoise;
}

/** A training run. Its checkpoint remembers the settings that decide the result, and refuses to go on with others. */
export interface TrainOptions {
  /** What is trained; belongs to the caller. */
  parameters: ReadonlyMap<string, tf.Variable>;
  /** Mean loss of one batch. Runs inside a tidy. */
  loss(context: BatchContext): tf.Scalar;
  /** Steps of the whole run, those of an earlier part of it included. */
  steps: number;
  /** Samples a batch: counts `firstSample` and the speed; the loss must draw that many. */
  batchSize: number;
  /** Batches a step, whose gradients are averaged. Default 1. */
  accumulate?: number;
  /** Source of all randomness. */
  seed: number;
  optimizer?: AdamWOptions;
  /** Learning rate, or one for each step from 1. Default 1e-3. */
  schedule?: number | ((step: number) => number);
  /** Longest gradient, as a global norm; longer ones are shortened. Default: none is. */
  gradientClip?: number;
  /** Keep an average of the weights (see Ema). Default: none. */
  emaDecay?: number;
  checkpoint?: {
    /** A file name (Node), or another place. */
    to: string | CheckpointStore;
    /** Steps between two; the last step always has one. */
    every: number;
    /** Settings of the caller's own that a resumed run must share: sizes, data set, learning rate. */
    settings?: Json;
  };
  /** CSV file (Node only) with a row a step; a run that goes on without a checkpoint starts it afresh. */
  log?: string;
  /**
   * Called after each checkpoint, after the last step, and when a finished run is started again. `step` counts finished
   * steps.
   */
  onCheckpoint?(reached: { step: number; withEma: WithEma }): void | Promise<void>;
  /** Stops after the step at hand: saves, then throws {@link TrainingInterruptedError}. */
  signal?: AbortSignal;
}

/** Runs `body` while the parameters hold their average; without `emaDecay`, just runs it. */
export type WithEma = <T>(body: () => T | Promise<T>) => Promise<T>;

/** What {@link train} yields after each step, counted from 1; `learningRate` is the one it was made with. */
export interface TrainingStep {
  readonly step: number;
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
  /** Valid until the next step is asked for. */
  readonly withEma: WithEma;
}

/**
 * Trains `parameters` in place and yields after every step. With a checkpoint it goes on where an earlier run stopped,
 * with bit for bit the result of a run that was never stopped (on the same backend). It may be left at any time, by
 * `break`, an exception or `signal`: what it holds besides the parameters is freed.
 *
 * @throws NonFiniteError when the loss or a gradient stops being a number
 * @throws TrainingInterruptedError, CheckpointWriteError, DamagedCheckpointError, CheckpointMismatchError
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainingStep, void, undefined> {
  checkOptions(options);
  const { steps, checkpoint, onCheckpoint, signal, seed } = options;
  const store = typeof checkpoint?.to === "string" ? checkpointFile(checkpoint.to) : checkpoint?.to;
  const log = options.log === undefined ? undefined : new TrainingLog(options.log);
  const run = new TrainingRun(options, keyedNoise(seed).at("train"));
  let saved = 0;
  const save = async () => {
    if (!store || saved === run.step) return;
    await log?.flush({ sync: true });
    await run.save(store);
    saved = run.step;
  };
  const reached = () => onCheckpoint?.({ step: run.step, withEma: run.withEma });

  try {
    if (store) await run.resume(store);
    saved = run.step;
    await log?.rewind(run.step);
    if (run.step === steps) await reached();
    while (run.step < steps) {
      if (signal?.aborted) {
        await save();
        throw new TrainingInterruptedError(
          `Training stopped after step ${run.step} of ${steps}. ` +
            (store
              ? `It is saved in ${store.name}: run again to go on.`
              : "Nothing is saved: no checkpoint was asked for."),
          run.step,
        );
      }
      const result = await run.next();
      await log?.add(result);
      if (run.step % (checkpoint?.every ?? Infinity) === 0 || run.step === steps) {
        await save();
        await reached();
      }
      yield result;
      await eventLoopTurn();
    }
  } finally {
    run.dispose();
    // Rows that do not get to the disk now are made again by the run that goes on from the last checkpoint.
    await log?.flush().catch(() => undefined);
  }
}

/** Lets timers, signals and the screen have their turn: native backends answer without ever leaving the script. */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => (typeof setImmediate === "function" ? setImmediate(resolve) : setTimeout(resolve)));
}

function checkOptions(options: TrainOptions): void {
  const { steps, batchSize, accumulate = 1, gradientClip, checkpoint, seed, optimizer, emaDecay } = options;
  const counts = { steps, batchSize, accumulate, ...(checkpoint && { "checkpoint.every": checkpoint.every }) };
  for (const [name, count] of Object.entries(counts)) {
    if (!Number.isInteger(count) || count < 1)
      throw new RangeError(`train: ${name} is ${count}; it must be a whole number from 1.`);
  }
  if (!Number.isSafeInteger(seed))
    throw new RangeError(`train: seed is ${seed}; it must be a whole number, such as 0.`);
  if (gradientClip !== undefined && !(gradientClip > 0)) {
    throw new RangeError(`train: gradientClip is ${gradientClip}; it must be positive, such as 1, or left out.`);
  }
  checkedAdamWOptions(optimizer);
  if (emaDecay !== undefined) checkDecay(emaDecay);
}
