import * as tf from "@tensorflow/tfjs";
import { requireLive } from "../platform/disposed.js";
import { hasFusedKernel, runFused } from "../nn/fused-op.js";
import { forgetRecorded, recordedStep } from "../nn/recorded.js";

interface Bucket {
  readonly names: string[];
  /** Number of elements of each parameter. */
  readonly sizes: number[];
  /** Shape of the bucket's tensor; a bucket of one parameter keeps the parameter's shape. */
  readonly shape: number[];
}

/**
 * Joins many small parameters into a few long vectors, so that an elementwise update takes a few operations in total,
 * instead of a few for each of several hundred parameters. Neighbours are joined until a bucket has `bucketSize`
 * elements; a larger parameter is a bucket of its own.
 *
 * "Joined" tensors are one tensor per bucket, in the order of the buckets.
 */
export class ParameterBuckets {
  readonly #buckets: Bucket[];
  #values: tf.Tensor[] = [];
  /** The data of the parameters when {@link values} was joined. It differs after an assignment from outside. */
  #valuesOf: object[] = [];
  #isDisposed = false;

  constructor(
    readonly parameters: ReadonlyMap<string, tf.Variable>,
    bucketSize = 2 ** 17,
  ) {
    if (parameters.size === 0) throw new RangeError("There are no parameters to train: the given map is empty.");
    for (const [name, { dtype }] of parameters) {
      if (dtype !== "float32") throw new TypeError(`Parameter ${name} is ${dtype}; only float32 can be trained.`);
    }
    this.#buckets = fillBuckets(parameters, bucketSize);
  }

  /** The values of the parameters, joined. They belong to this object, and are valid until the next {@link assign}. */
  get values(): readonly tf.Tensor[] {
    this.#requireLive();
    const data = [...this.parameters.values()].map(({ dataId }) => dataId);
    if (data.length !== this.#valuesOf.length || data.some((id, i) => id !== this.#valuesOf[i])) {
      tf.dispose(this.#values);
      this.#values = keepAll(this.join(Object.fromEntries(this.parameters)));
      this.#valuesOf = data;
    }
    return this.#values;
  }

  /** The parameters of each bucket. */
  get parts(): tf.Variable[][] {
    return this.#buckets.map(({ names }) => names.map((name) => this.parameters.get(name)!));
  }

  /** Sets every parameter to its own tensor, bucket by bucket. Takes over the tensors. */
  assignParts(parts: readonly (readonly tf.Tensor[])[]): void {
    this.#requireLive();
    this.parts.forEach((variables, i) => variables.forEach((variable, k) => variable.assign(parts[i]![k]!)));
    tf.dispose(parts as tf.Tensor[][]);
    this.#forgetValues();
  }

  /** Sets all parameters to joined values. Takes over `joined`. */
  assign(joined: tf.Tensor[]): void {
    this.#requireLive();
    tf.tidy(() => {
      for (const [name, value] of this.split(joined)) this.parameters.get(name)!.assign(value);
    });
    tf.dispose(this.#values);
    this.#values = keepAll(joined);
    this.#valuesOf = [...this.parameters.values()].map(({ dataId }) => dataId);
  }

  /**
   * Joins one tensor per parameter. A missing one counts as zero: the loss does not depend on that parameter. The
   * caller owns the result.
   */
  join(tensors: Readonly<Record<string, tf.Tensor>>): tf.Tensor[] {
    this.#requireLive();
    return tf.tidy(() => {
      const groups = this.group(tensors);
      const given = Object.fromEntries(groups.flat().entries());
      return recordedStep(this, given, () =>
        groups.map((parts) => (parts.length === 1 ? parts[0]!.clone() : flatJoin(parts))),
      );
    });
  }

  /**
   * Groups one tensor per parameter by bucket, with zeros for missing ones. Must run inside a tidy. Borrows its
   * arguments.
   */
  group(tensors: Readonly<Record<string, tf.Tensor>>): tf.Tensor[][] {
    for (const name of Object.keys(tensors)) {
      if (!this.parameters.has(name))
        throw new RangeError(`There is no parameter ${JSON.stringify(name)} among the trained ones.`);
    }
    for (const [name, { shape }] of this.parameters) {
      if (tensors[name]) tf.util.assertShapesMatch(tensors[name].shape, shape, `Parameter ${name}: `);
    }
    return this.#buckets.map(({ names }) =>
      names.map((name) => tensors[name] ?? tf.zeros(this.parameters.get(name)!.shape)),
    );
  }

  /** The reverse of {@link join}; the caller owns the result. */
  split(joined: readonly tf.Tensor[]): Map<string, tf.Tensor> {
    this.#requireLive();
    const shapesOf = ({ names }: Bucket) => names.map((name) => this.parameters.get(name)!.shape);
    const inputs = Object.fromEntries(joined.map((tensor, i) => [`joined ${i}`, tensor]));
    const parts = tf.tidy(() =>
      recordedStep(this, inputs, () =>
        this.#buckets.flatMap((bucket, i) =>
          bucket.names.length === 1 ? [joined[i]!.clone()] : flatSplit(joined[i]!, shapesOf(bucket), bucket.sizes),
        ),
      ),
    );
    return new Map(this.#buckets.flatMap(({ names }) => names).map((name, i) => [name, parts[i]!]));
  }

  /** Joined zeros; the caller owns them. */
  zeros(): tf.Tensor[] {
    return this.#buckets.map(({ shape }) => tf.zeros(shape));
  }

  /** The values of joined tensors, by parameter. */
  async read(joined: readonly tf.Tensor[]): Promise<Map<string, Float32Array>> {
    const result = new Map<string, Float32Array>();
    for (const [i, { names, sizes }] of this.#buckets.entries()) {
      const data = (await joined[i]!.data()) as Float32Array;
      let offset = 0;
      names.forEach((name, k) => result.set(name, data.subarray(offset, (offset += sizes[k]!))));
    }
    return result;
  }

  /** Joined tensors of the values of every parameter; the caller owns them. */
  fromArrays(arrays: ReadonlyMap<string, Float32Array>): tf.Tensor[] {
    return this.#buckets.map(({ names, sizes, shape }) => {
      const data = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
      let offset = 0;
      names.forEach((name, k) => {
        data.set(arrays.get(name)!, offset);
        offset += sizes[k]!;
      });
      return tf.tensor(data, shape, "float32");
    });
  }

  /** Frees the tensors of this object; the parameters stay. */
  dispose(): void {
    this.#isDisposed = true;
    this.#forgetValues();
    forgetRecorded(this);
  }

  #requireLive(): void {
    requireLive(this.#isDisposed, "ParameterBuckets", "make new ones");
  }

  #forgetValues(): void {
    tf.dispose(this.#values);
    [this.#values, this.#valuesOf] = [[], []];
  }
}

/** All elements of `parts` as one vector. */
export function flatJoin(parts: tf.Tensor[]): tf.Tensor {
  if (hasFusedKernel("FlatJoin")) return runFused("FlatJoin", parts)[0]!;
  return tf.concat1d(parts.map((part) => part.reshape<tf.Tensor1D>([-1])));
}

/** The reverse of {@link flatJoin}. */
export function flatSplit(joined: tf.Tensor, shapes: number[][], sizes: number[]): tf.Tensor[] {
  if (hasFusedKernel("FlatSplit")) return runFused("FlatSplit", { joined }, { shapes });
  return tf.split(joined, sizes).map((part, k) => part.reshape(shapes[k]!));
}

/** Keeps tensors that must outlive the caller's tidy, as state does. */
export function keepAll(tensors: tf.Tensor[]): tf.Tensor[] {
  return tensors.map((tensor) => tf.keep(tensor));
}

function fillBuckets(parameters: ReadonlyMap<string, tf.Variable>, bucketSize: number): Bucket[] {
  const buckets: { names: string[]; sizes: number[]; total: number }[] = [];
  let open: (typeof buckets)[number] | undefined;
  for (const [name, { size }] of parameters) {
    if (size >= bucketSize) buckets.push({ names: [name], sizes: [size], total: size });
    else {
      if (!open || open.total + size > bucketSize) buckets.push((open = { names: [], sizes: [], total: 0 }));
      open.names.push(name);
      open.sizes.push(size);
      open.total += size;
    }
  }
  return buckets.map(({ names, sizes, total }) => ({
    names,
    sizes,
    shape: names.length === 1 ? parameters.get(names[0]!)!.shape : [total],
  }));
}
