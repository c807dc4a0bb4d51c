import type * as tf from "@tensorflow/tfjs";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import type { AdamWOptions } from "./adamw.js";
import type { CheckpointStore } from "./checkpoint-file.js";
import type { Json } from "./checkpoint.js";

/** The arguments of the loss of one batch. If the loss depends on nothing else, a run can be resumed bit for bit. */
export interface BatchContext {
  /** Counts from 1. */
  readonly step: number;
  /** Number of samples before this batch: its j-th sample is `dataOrder(seed, size)(firstSample + j)`. */
  readonly firstSample: number;
  /** Random numbers for this batch only. */
  readonly noise: KeyedNoise;
}

/**
 * A training run. Its checkpoint stores the settings that determine the result, and a run with other settings cannot
 * continue from it.
 */
export interface TrainOptions {
  /** The parameters to train; they belong to the caller. */
  parameters: ReadonlyMap<string, tf.Variable>;
  /** Mean loss of one batch. Called inside a tidy. */
  loss(context: BatchContext): tf.Scalar;
  /**
   * Steps of the whole run, including those before it was resumed. A run that is resumed may have more steps than
   * before, with the same learning rates or a longer {@link warmupCosine}.
   */
  steps: number;
  /** Samples per batch, for `firstSample` and the speed; the loss must use that many. */
  batchSize: number;
  /** Batches per step, whose gradients are averaged. Default 1. */
  accumulate?: number;
  /** Seed of all random numbers. */
  seed: number;
  optimizer?: AdamWOptions;
  /** Learning rate. Default 1e-3. */
  schedule?: LearningRate;
  /** Largest global norm of the gradients; larger ones are scaled down. Default: no limit. */
  gradientClip?: number;
  /** Decay of a moving average of the weights (see Ema). Default: no average. */
  emaDecay?: number;
  checkpoint?: {
    /** A file name (Node only), or a store. */
    to: string | CheckpointStore;
    /** Steps between two checkpoints; there is always one after the last step. */
    every: number;
    /** The caller's own settings, which must be equal in a resumed run: sizes, data set, learning rate. */
    settings?: Json;
  };
  /** CSV file (Node only) with one row per step. Without a checkpoint, each run overwrites the file. */
  log?: string;
  /**
   * Called after each checkpoint, after the last step, and when a finished run is started again. `step` is the number
   * of finished steps.
   */
  onCheckpoint?(reached: { step: number; withEma: WithEma }): void | Promise<void>;
  /** Stops after the current step: saves, then throws TrainingInterruptedError. */
  signal?: AbortSignal;
}

/**
 * A constant learning rate, or a function of the step (from 1). Its `settings`, if it has any, are stored in the
 * checkpoint. If a resumed run has more steps, only their `totalSteps` may have changed.
 */
export type LearningRate = number | (((step: number) => number) & { readonly settings?: object });

/** Runs `body` with the averaged weights in the parameters; without `emaDecay`, just runs it. */
export type WithEma = <T>(body: () => T | Promise<T>) => Promise<T>;

/** What `train` yields after each step. `step` counts from 1; `learningRate` is the one of that step. */
export interface TrainingStep {
  readonly step: number;
  readonly loss: number;
  /** Global norm of the gradients before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
  /** Valid until the next step begins. */
  readonly withEma: WithEma;
}
