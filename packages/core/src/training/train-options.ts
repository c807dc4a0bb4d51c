import type * as tf from "@tensorflow/tfjs";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import type { AdamWOptions } from "./adamw.js";
import type { CheckpointStore } from "./checkpoint-file.js";
import type { Json } from "./checkpoint.js";

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
  /** Stops after the step at hand: saves, then throws TrainingInterruptedError. */
  signal?: AbortSignal;
}

/** Runs `body` while the parameters hold their average; without `emaDecay`, just runs it. */
export type WithEma = <T>(body: () => T | Promise<T>) => Promise<T>;

/** What `train` yields after each step, counted from 1; `learningRate` is the one it was made with. */
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
