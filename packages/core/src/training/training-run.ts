import * as tf from "@tensorflow/tfjs";
import { isRefusedPromise } from "../platform/refused-promise.js";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import { AdamW } from "./adamw.js";
import { ParameterBuckets } from "./buckets.js";
import type { CheckpointStore } from "./checkpoint-file.js";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.js";
import { Ema } from "./ema.js";
import { CheckpointMismatchError, DamagedCheckpointError, NonFiniteError } from "./errors.js";
import { clipFactor, globalNorm, parameterGradients } from "./gradients.js";
import { learningRateAt, runSettings, settingsThatChanged } from "./run-settings.js";
import type { TrainingStep, TrainOptions, WithEma } from "./train-options.js";

/** The state of a training run between steps: everything that `train` owns and a checkpoint stores. */
export class TrainingRun {
  /** Steps finished. */
  step = 0;
  readonly #buckets: ParameterBuckets;
  readonly #optimizer: AdamW;
  readonly #ema: Ema | undefined;

  constructor(
    readonly options: TrainOptions,
    readonly noise: KeyedNoise,
  ) {
    const { parameters, optimizer, emaDecay } = options;
    this.#buckets = new ParameterBuckets(parameters);
    this.#optimizer = new AdamW(this.#buckets, optimizer);
    this.#ema = emaDecay === undefined ? undefined : new Ema(this.#buckets, emaDecay);
  }

  readonly withEma: WithEma = async (body) => (this.#ema ? this.#ema.use(body) : body());

  /** Trains one step. If it throws a {@link NonFiniteError}, the parameters are as they were before. */
  async next(): Promise<TrainingStep> {
    const { batchSize, accumulate = 1, gradientClip, schedule = 1e-3 } = this.options;
    const started = performance.now();
    const step = this.step + 1;
    const learningRate = learningRateAt(schedule, step);
    if (!(learningRate >= 0 && learningRate < Infinity)) {
      isRefusedPromise(learningRate);
      throw new RangeError(
        `train: the schedule gives step ${step} the learning rate ${String(learningRate)}; it must be 0 or more.`,
      );
    }
    const { loss, gradients: raw } = this.#batchGradients(step);
    let gradients = raw;
    try {
      const [lossValue, norm] = await readOnce([loss, globalNorm(gradients)]);
      if (!Number.isFinite(lossValue) || !Number.isFinite(norm)) {
        throw await this.#nonFinite(step, lossValue!, gradients, learningRate);
      }
      const factor = gradientClip === undefined ? 1 : clipFactor(norm!, gradientClip);
      if (factor < 1) gradients = replaced(gradients, (gradient) => gradient.mul(factor));
      this.#optimizer.update(gradients, learningRate);
      this.#ema?.update();
      this.step = step;
      const seconds = (performance.now() - started) / 1000;
      return {
        step,
        loss: lossValue!,
        gradientNorm: norm!,
        learningRate,
        imagesPerSecond: (batchSize * accumulate) / seconds,
        withEma: this.withEma,
      };
    } finally {
      tf.dispose([loss, gradients]);
    }
  }

  /** Mean loss and joined mean gradients of one step's batches; the caller owns them. */
  #batchGradients(step: number): { loss: tf.Scalar; gradients: tf.Tensor[] } {
    const { parameters, batchSize, accumulate = 1 } = this.options;
    return tf.tidy(() => {
      let total: tf.Scalar | undefined;
      let sum: tf.Tensor[] | undefined;
      for (let part = 0; part < accumulate; part++) {
        const firstSample = ((step - 1) * accumulate + part) * batchSize;
        const noise = this.noise.at(step, part);
        const { loss, gradients } = parameterGradients(
          () => this.options.loss({ step, firstSample, noise }),
          parameters,
        );
        const joined = this.#buckets.join(gradients);
        tf.dispose(gradients);
        total = total ? total.add<tf.Scalar>(loss) : loss;
        sum = sum ? sum.map((before, i) => before.add(joined[i]!)) : joined;
      }
      return accumulate === 1
        ? { loss: total!, gradients: sum! }
        : { loss: total!.div<tf.Scalar>(accumulate), gradients: sum!.map((gradient) => gradient.div(accumulate)) };
    });
  }

  async #nonFinite(step: number, loss: number, gradients: tf.Tensor[], learningRate: number): Promise<NonFiniteError> {
    const badValues = nonFiniteNames(await this.#buckets.read(this.#buckets.values));
    const badGradients = nonFiniteNames(await this.#buckets.read(gradients));
    const [kind, names] = badValues.length > 0 ? ["value", badValues] : ["gradient", badGradients];
    const where =
      names.length > 0
        ? `${names[0]} is the first of ${names.length} parameters (of ${this.options.parameters.size}) whose ${kind} is not finite.`
        : "All parameters and gradients are finite.";
    return new NonFiniteError(
      `Training stopped at step ${step}: the loss is ${loss}. ${where} ` +
        "The parameters are as they were before this step, and no checkpoint was written. " +
        `Lower the learning rate (now ${learningRate}), clip gradients (gradientClip: 1), or warm up longer; ` +
        "if it is the first step, look for bad numbers in the data.",
      step,
      names[0],
    );
  }

  async save(store: CheckpointStore): Promise<void> {
    await store.write(await encodeCheckpoint(await this.#checkpoint()));
  }

  /** Loads the stored state, if there is one. */
  async resume(store: CheckpointStore): Promise<void> {
    const bytes = await store.read();
    if (!bytes) return;
    const checkpoint = await decodeCheckpoint(bytes).catch((error: unknown) => {
      if (error instanceof DamagedCheckpointError) {
        throw new DamagedCheckpointError(
          `The checkpoint ${store.name} is damaged: ${error.message}. It was left as it is. ` +
            `Replace it by the previous one to continue from there (for a file, ${store.name}.previous), or move it away to start again.`,
        );
      }
      if (error instanceof CheckpointMismatchError)
        throw new CheckpointMismatchError(`The checkpoint ${store.name} cannot be used: ${error.message}.`);
      throw error;
    });
    const differences = settingsThatChanged(checkpoint.settings, this.options, this.#optimizer.options);
    if (differences.length > 0) {
      throw new CheckpointMismatchError(
        `The checkpoint ${store.name} belongs to a run with other settings (${differences.slice(0, 5).join("; ")}). ` +
          "It was left as it is. Use the old settings to continue, or another file to start a new run.",
      );
    }
    const part = (prefix: string) =>
      new Map([...this.options.parameters.keys()].map((name) => [name, checkpoint.tensors.get(prefix + name)!.data]));
    this.step = checkpoint.step;
    this.#buckets.assign(this.#buckets.fromArrays(part("parameters.")));
    this.#optimizer.load({ steps: this.step, moment1: part("adamw.moment1."), moment2: part("adamw.moment2.") });
    this.#ema?.load({ updates: this.step, average: part("ema.") });
  }

  async #checkpoint(): Promise<Checkpoint> {
    const { moment1, moment2 } = await this.#optimizer.state();
    const parts = {
      "parameters.": await this.#buckets.read(this.#buckets.values),
      "adamw.moment1.": moment1,
      "adamw.moment2.": moment2,
      ...(this.#ema && { "ema.": (await this.#ema.state()).average }),
    };
    const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
    for (const [prefix, arrays] of Object.entries(parts)) {
      for (const [name, data] of arrays)
        tensors.set(prefix + name, { shape: this.options.parameters.get(name)!.shape, data });
    }
    return { step: this.step, settings: runSettings(this.options, this.#optimizer.options), tensors };
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#ema?.dispose();
    this.#buckets.dispose();
  }
}

/** The values of two scalars, fetched together; disposes the second. */
async function readOnce([loss, norm]: [tf.Scalar, tf.Scalar]): Promise<Float32Array> {
  const both = tf.tidy(() => tf.stack([loss, norm]));
  norm.dispose();
  try {
    return (await both.data()) as Float32Array;
  } finally {
    both.dispose();
  }
}

function replaced(tensors: tf.Tensor[], change: (tensor: tf.Tensor) => tf.Tensor): tf.Tensor[] {
  const result = tf.tidy(() => tensors.map(change));
  tf.dispose(tensors);
  return result;
}

function nonFiniteNames(arrays: ReadonlyMap<string, Float32Array>): string[] {
  return [...arrays].filter(([, data]) => data.some((value) => !Number.isFinite(value))).map(([name]) => name);
}
