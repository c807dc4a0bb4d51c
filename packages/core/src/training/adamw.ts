import * as tf from "@tensorflow/tfjs";
import { requireLive } from "../platform/disposed.js";
import { hasFusedKernel, runFused } from "../nn/fused-op.js";
import { keepAll, ParameterBuckets } from "./buckets.js";

/** Settings of {@link AdamW}; the names of PyTorch in camel case. */
export interface AdamWOptions {
  /** Decay of the running mean of the gradients, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the running mean of their squares, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Keeps the division finite; added outside the square root. Default 1e-8. */
  eps?: number;
  /** Weight decay per step, in units of the learning rate. Default 0.01. */
  weightDecay?: number;
}

/** The state from which a run continues exactly where it stopped. */
export interface AdamWState {
  /** Updates made so far. */
  readonly steps: number;
  readonly moment1: Map<string, Float32Array>;
  readonly moment2: Map<string, Float32Array>;
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2, without its schedule multiplier),
 * equal to `torch.optim.AdamW` up to rounding:
 * ```
 * p <- p (1 - lr decay)
 * m <- beta1 m + (1 - beta1) g
 * v <- beta2 v + (1 - beta2) g^2
 * p <- p - lr / (1 - beta1^n) * m / (sqrt(v) / sqrt(1 - beta2^n) + eps)
 * ```
 * Every parameter decays, as in PyTorch. It owns the moments; the parameters belong to the model.
 */
export class AdamW {
  readonly options: Readonly<Required<AdamWOptions>>;
  readonly #buckets: ParameterBuckets;
  readonly #ownsBuckets: boolean;
  #steps = 0;
  #moment1: tf.Tensor[];
  #moment2: tf.Tensor[];
  #isDisposed = false;

  constructor(parameters: ReadonlyMap<string, tf.Variable> | ParameterBuckets, options: AdamWOptions = {}) {
    this.options = checkedAdamWOptions(options);
    this.#ownsBuckets = !(parameters instanceof ParameterBuckets);
    this.#buckets = parameters instanceof ParameterBuckets ? parameters : new ParameterBuckets(parameters);
    this.#moment1 = keepAll(this.#buckets.zeros());
    this.#moment2 = keepAll(this.#buckets.zeros());
  }

  /** Updates made so far: n of the formula. */
  get steps(): number {
    return this.#steps;
  }

  /** Updates every parameter. Borrows `gradients`, by parameter name; a missing name counts as a zero gradient. */
  step(gradients: Readonly<Record<string, tf.Tensor>>, learningRate: number): void {
    tf.tidy(() => {
      if (updatesInParts()) this.#move(this.#buckets.group(gradients), learningRate);
      else this.update(this.#buckets.join(gradients), learningRate);
    });
  }

  /** {@link step} with gradients already joined by the {@link ParameterBuckets} this was made with; borrows them. */
  update(gradients: readonly tf.Tensor[], learningRate: number): void {
    this.#move(
      gradients.map((gradient) => [gradient]),
      learningRate,
    );
  }

  /** Updates by the gradients of each bucket, joined or one by one. */
  #move(gradients: readonly (readonly tf.Tensor[])[], learningRate: number): void {
    this.#requireLive();
    const { beta1, beta2, eps, weightDecay } = this.options;
    const n = this.#steps + 1;
    const inParts = updatesInParts();
    const values = inParts ? this.#buckets.parts : this.#buckets.values.map((value) => [value]);
    const updated = tf.tidy(() => {
      const root = Math.sqrt(1 - beta2 ** n);
      const update = adamWUpdate({
        keep: 1 - learningRate * weightDecay,
        fresh1: 1 - beta1,
        keep2: beta2,
        fresh2: 1 - beta2,
        eps: eps * root,
        rate: (learningRate * root) / (1 - beta1 ** n),
      });
      return gradients.map((g, i) => update({ p: values[i]!, m: this.#moment1[i]!, v: this.#moment2[i]!, g }));
    });
    tf.dispose([this.#moment1, this.#moment2]);
    this.#moment1 = keepAll(updated.map(({ m }) => m));
    this.#moment2 = keepAll(updated.map(({ v }) => v));
    if (inParts) this.#buckets.assignParts(updated.map(({ p }) => p));
    else this.#buckets.assign(updated.map(({ p }) => p[0]!));
    this.#steps = n;
  }

  /** A copy of the moments and the step count, for a checkpoint. */
  async state(): Promise<AdamWState> {
    this.#requireLive();
    return {
      steps: this.#steps,
      moment1: await this.#buckets.read(this.#moment1),
      moment2: await this.#buckets.read(this.#moment2),
    };
  }

  /** Continues from a state, whose names and sizes must be those of the parameters. */
  load({ steps, moment1, moment2 }: AdamWState): void {
    this.#requireLive();
    tf.dispose([this.#moment1, this.#moment2]);
    this.#steps = steps;
    this.#moment1 = keepAll(this.#buckets.fromArrays(moment1));
    this.#moment2 = keepAll(this.#buckets.fromArrays(moment2));
  }

  /** Frees the moments; the parameters stay. */
  dispose(): void {
    this.#isDisposed = true;
    tf.dispose([this.#moment1, this.#moment2]);
    if (this.#ownsBuckets) this.#buckets.dispose();
  }

  #requireLive(): void {
    requireLive(this.#isDisposed, "AdamW", "make a new one");
  }
}

/** The coefficients of one update; those of Adam include its bias correction. */
export type AdamWCoefficients = Record<"keep" | "fresh1" | "keep2" | "fresh2" | "eps" | "rate", number>;

/**
 * Parameters p and their moments, joined. For an update in parts, p may be several tensors, whose elements follow each
 * other in m and v.
 */
type Moved = Record<"m" | "v", tf.Tensor> & { p: tf.Tensor[] };

/** Whether each parameter is updated on its own (as on wasm), without joining them first. */
export function updatesInParts(): boolean {
  return hasFusedKernel("AdamWInParts");
}

/**
 * One update of parameters and their moments by the gradients g, which are joined or in the same parts as p. If the
 * backend has a fused kernel for it, that kernel writes over m and v.
 */
export function adamWUpdate(
  coefficients: AdamWCoefficients,
): (tensors: Readonly<Moved> & { g: readonly tf.Tensor[] }) => Moved {
  if (updatesInParts()) {
    return ({ p, m, v, g }) => {
      const results = runFused("AdamWInParts", [m, v, ...p, ...g], { ...coefficients, parts: p.length });
      const [newM, newV, ...newP] = results as [tf.Tensor, tf.Tensor, ...tf.Tensor[]];
      return { p: newP, m: newM, v: newV };
    };
  }
  const update = hasFusedKernel("AdamW")
    ? (tensors: Record<string, tf.Tensor>) => runFused("AdamW", tensors, coefficients)
    : plainUpdate(coefficients);
  return ({ p, m, v, g }) => {
    const [newP, newM, newV] = update({ p: p[0]!, m, v, g: g[0]! }) as [tf.Tensor, tf.Tensor, tf.Tensor];
    return { p: [newP], m: newM, v: newV };
  };
}

/** The computation of the fused kernels, for one tensor p. */
function plainUpdate(coefficients: AdamWCoefficients) {
  const keep = tf.scalar(coefficients.keep);
  const fresh1 = tf.scalar(coefficients.fresh1);
  const keep2 = tf.scalar(coefficients.keep2);
  const fresh2 = tf.scalar(coefficients.fresh2);
  const eps = tf.scalar(coefficients.eps);
  const rate = tf.scalar(coefficients.rate);
  return ({ p, m, v, g }: Record<"p" | "m" | "v" | "g", tf.Tensor>) =>
    tf.tidy(() => {
      const newM = m.add(g.sub(m).mul(fresh1));
      const newV = v.mul(keep2).add(g.square().mul(fresh2));
      return [p.mul(keep).sub(newM.div(newV.sqrt().add(eps)).mul(rate)), newM, newV];
    });
}

/** Fills in the defaults; throws a RangeError for a value out of range. */
export function checkedAdamWOptions({
  beta1 = 0.9,
  beta2 = 0.999,
  eps = 1e-8,
  weightDecay = 0.01,
}: AdamWOptions = {}): Required<AdamWOptions> {
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    if (!(beta >= 0 && beta < 1)) throw new RangeError(`AdamW: ${name} is ${beta}; it must be in [0, 1), such as 0.9.`);
  }
  if (!(eps > 0 && eps < Infinity)) throw new RangeError(`AdamW: eps is ${eps}; it must be positive, such as 1e-8.`);
  if (!(weightDecay >= 0 && weightDecay < Infinity)) {
    throw new RangeError(`AdamW: weightDecay is ${weightDecay}; it must be 0 (none) or more, such as 0.01.`);
  }
  return { beta1, beta2, eps, weightDecay };
}
