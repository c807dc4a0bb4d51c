import * as tf from "@tensorflow/tfjs";
import { requireLive } from "../platform/disposed.js";
import { hasFusedKernel, runFused } from "../nn/fused-op.js";
import { forgetRecorded, recordedStep } from "../nn/recorded.js";
import { keepAll, ParameterBuckets } from "./buckets.js";

/**
 * Exponential moving average of the parameters. Pictures drawn with it vary less from step to step than with the
 * current weights. `average <- d average + (1 - d) parameter`, with `d = min(decay, (1 + n) / (10 + n))` after n
 * updates, so that the random start soon has no influence (the warm-up of TensorFlow and diffusers).
 */
export class Ema {
  readonly #buckets: ParameterBuckets;
  readonly #ownsBuckets: boolean;
  #updates = 0;
  #average: tf.Tensor[];
  #isDisposed = false;

  /** Starts from the current values of the parameters. */
  constructor(
    parameters: ReadonlyMap<string, tf.Variable> | ParameterBuckets,
    /** In [0, 1); 0.999 averages over about the last thousand steps. */
    readonly decay: number,
  ) {
    checkDecay(decay);
    this.#ownsBuckets = !(parameters instanceof ParameterBuckets);
    this.#buckets = parameters instanceof ParameterBuckets ? parameters : new ParameterBuckets(parameters);
    this.#average = keepAll(this.#buckets.values.map((value) => value.clone()));
  }

  /** Updates the average with the current values of the parameters. */
  update(): void {
    this.#requireLive();
    const decay = Math.min(this.decay, (1 + this.#updates) / (10 + this.#updates));
    const values = averagesParts() ? this.#buckets.parts : this.#buckets.values.map((value) => [value]);
    const averaged = tf.tidy(() => {
      return movingAverages(
        this,
        1 - decay,
        this.#average.map((average, i) => ({ average, values: values[i]! })),
      );
    });
    tf.dispose(this.#average);
    this.#average = keepAll(averaged);
    this.#updates++;
  }

  /** The averages by parameter name; the caller owns them. */
  values(): Map<string, tf.Tensor> {
    this.#requireLive();
    return this.#buckets.split(this.#average);
  }

  /** Runs `body` with the averages as the parameters' values, then restores the parameters' own values. */
  async use<T>(body: () => T | Promise<T>): Promise<T> {
    this.#requireLive();
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
    this.#requireLive();
    return { updates: this.#updates, average: await this.#buckets.read(this.#average) };
  }

  /** Continues from a state, whose names and sizes must be those of the parameters. */
  load({ updates, average }: { updates: number; average: ReadonlyMap<string, Float32Array> }): void {
    this.#requireLive();
    tf.dispose(this.#average);
    this.#updates = updates;
    this.#average = keepAll(this.#buckets.fromArrays(average));
  }

  /** Frees the average; the parameters stay. */
  dispose(): void {
    this.#isDisposed = true;
    tf.dispose(this.#average);
    forgetRecorded(this);
    if (this.#ownsBuckets) this.#buckets.dispose();
  }

  #requireLive(): void {
    requireLive(this.#isDisposed, "Ema", "make a new one");
  }
}

/** Whether the average is updated from each parameter on its own (as on wasm), without joining them first. */
function averagesParts(): boolean {
  return hasFusedKernel("MovingAverage");
}

/**
 * Moves averages towards values by the fraction `fresh`. A fused kernel, if there is one, takes several tensors of
 * values, whose elements follow each other in the average. `owner` owns the averages.
 */
export function movingAverages(
  owner: object,
  fresh: number,
  all: readonly { average: tf.Tensor; values: readonly tf.Tensor[] }[],
): tf.Tensor[] {
  if (averagesParts()) {
    return all.map(({ average, values }) => runFused("MovingAverage", [average, ...values], { fresh })[0]!);
  }
  const share = tf.scalar(fresh);
  const averages = all.map(({ average }) => average);
  const values = all.map(({ values }) => values[0]!);
  // The computation of the fused kernel.
  const move = (average: tf.Tensor, i: number) => tf.tidy(() => average.add(values[i]!.sub(average).mul(share)));
  const tensors = Object.fromEntries([share, ...averages, ...values].entries());
  return recordedStep(owner, tensors, () => averages.map(move));
}

export function checkDecay(decay: number): void {
  if (!(decay >= 0 && decay < 1)) throw new RangeError(`Ema: decay is ${decay}; it must be in [0, 1), such as 0.999.`);
}
