import * as tf from "@tensorflow/tfjs";
import { hasFusedKernel, runFused } from "../nn/fused-op.js";
import { keepAll, ParameterBuckets } from "./buckets.js";

/**
 * Exponential moving average of the parameters: pictures drawn with it are steadier than with the last weights.
 * `average <- d average + (1 - d) parameter`, with `d = min(decay, (1 + n) / (10 + n))` after n updates,
 * so that the random start is soon forgotten (the warm-up of TensorFlow's and diffusers' averages).
 */
export class Ema {
  readonly #buckets: ParameterBuckets;
  readonly #ownsBuckets: boolean;
  #updates = 0;
  #average: tf.Tensor[];

  /** Starts at the parameters' present values. */
  constructor(
    parameters: ReadonlyMap<string, tf.Variable> | ParameterBuckets,
    /** In [0, 1): 0.999 averages over about the last thousand steps. */
    readonly decay: number,
  ) {
    checkDecay(decay);
    this.#ownsBuckets = !(parameters instanceof ParameterBuckets);
    this.#buckets = parameters instanceof ParameterBuckets ? parameters : new ParameterBuckets(parameters);
    this.#average = keepAll(this.#buckets.values.map((value) => value.clone()));
  }

  /** Takes in the parameters' present values. */
  update(): void {
    const decay = Math.min(this.decay, (1 + this.#updates) / (10 + this.#updates));
    const values = this.#buckets.values;
    const averaged = tf.tidy(() => {
      const move = movingAverage(1 - decay);
      return this.#average.map((average, i) => move(average, values[i]!));
    });
    tf.dispose(this.#average);
    this.#average = keepAll(averaged);
    this.#updates++;
  }

  /** The averages by parameter name; the caller owns them. */
  values(): Map<string, tf.Tensor> {
    return this.#buckets.split(this.#average);
  }

  /** Runs `body` while the parameters hold their averages, then puts their own values back. */
  async use<T>(body: () => T | Promise<T>): Promise<T> {
    const own = keepAll(this.#buckets.values.map((value) => value.clone()));
    this.#buckets.assign(this.#average.map((average) => average.clone()));
    try {
      return await body();
    } finally {
      this.#buckets.assign(own);
    }
  }

  /** A copy of the average, for a checkpoint. */
  async state(): Promise<{ updates: number; average: Map<string, Float32Array> }> {
    return { updates: this.#updates, average: await this.#buckets.read(this.#average) };
  }

  /** Goes on from a state; its names and sizes must be those of the parameters. */
  load({ updates, average }: { updates: number; average: ReadonlyMap<string, Float32Array> }): void {
    tf.dispose(this.#average);
    this.#updates = updates;
    this.#average = keepAll(this.#buckets.fromArrays(average));
  }

  /** Frees the average; the parameters stay. */
  dispose(): void {
    tf.dispose(this.#average);
    if (this.#ownsBuckets) this.#buckets.dispose();
  }
}

type Move = (average: tf.Tensor, value: tf.Tensor) => tf.Tensor;

/** Moves an average by the share `fresh` towards a value; as one kernel where there is one. */
export function movingAverage(fresh: number): Move {
  if (!hasFusedKernel("MovingAverage")) return plainMovingAverage(fresh);
  return (average, value) => runFused("MovingAverage", { average, value }, { fresh })[0]!;
}

/** What the fused kernel computes. */
function plainMovingAverage(fresh: number): Move {
  const share = tf.scalar(fresh);
  return (average, value) => tf.tidy(() => average.add(value.sub(average).mul(share)));
}

export function checkDecay(decay: number): void {
  if (!(decay >= 0 && decay < 1)) throw new RangeError(`Ema: decay is ${decay}; it must be in [0, 1), such as 0.999.`);
}
