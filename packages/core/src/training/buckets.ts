import * as tf from "@tensorflow/tfjs";
import { hasFusedKernel, runFused } from "../nn/fused-op.js";
import { forgetRecorded, recordedStep } from "../nn/recorded.js";

interface Bucket {
  readonly names: string[];
  /** Elements of each parameter. */
  readonly sizes: number[];
  /** Shape of the bucket's tensor: a lone parameter keeps its own shape. */
  readonly shape: number[];
}

/**
 * Many small parameters seen as a few long vectors, so that an elementwise update costs a few operations
 * instead of a few for each of several hundred parameters. Neighbours are joined until a bucket
 * holds `bucketSize` elements; a parameter as large as that is a bucket of its own.
 *
 * "Joined" tensors are one tensor a bucket, in the buckets' order.
 */
export class ParameterBuckets {
  readonly #buckets: Bucket[];
  #values: tf.Tensor[] = [];
  /** The data the parameters had when {@link values} was joined: an assignment from outside shows as other data. */
  #valuesOf: object[] = [];

  constructor(
    readonly parameters: ReadonlyMap<string, tf.Variable>,
    bucketSize = 2 ** 17,
  ) {
    if (parameters.size === 0) throw new RangeError("There are no parameters to train: the map given is empty.");
    for (const [name, { dtype }] of parameters) {
      if (dtype !== "float32") throw new TypeError(`Parameter ${name} is ${dtype}; only float32 can be trained.`);
    }
    this.#buckets = fillBuckets(parameters, bucketSize);
  }

  /** The parameters' values, joined. Borrowed: they belong to this object until the next {@link assign}. */
  get values(): readonly tf.Tensor[] {
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

  /** Sets every parameter from its own tensor, bucket by bucket; takes these over. */
  assignParts(parts: readonly (readonly tf.Tensor[])[]): void {
    this.parts.forEach((variables, i) => variables.forEach((variable, k) => variable.assign(parts[i]![k]!)));
    tf.dispose(parts as tf.Tensor[][]);
    this.#forgetValues();
  }

  /** Sets every parameter; takes over `joined`. */
  assign(joined: tf.Tensor[]): void {
    tf.tidy(() => {
      for (const [name, value] of this.split(joined)) this.parameters.get(name)!.assign(value);
    });
    tf.dispose(this.#values);
    this.#values = keepAll(joined);
    this.#valuesOf = [...this.parameters.values()].map(({ dataId }) => dataId);
  }

  /**
   * Joins one tensor a parameter; what `tensors` lacks counts as zero (a parameter that a loss does not touch).
   * The caller owns the result.
   */
  join(tensors: Readonly<Record<string, tf.Tensor>>): tf.Tensor[] {
    return tf.tidy(() => {
      const groups = this.group(tensors);
      const given = Object.fromEntries(groups.flat().entries());
      return recordedStep(this, given, () =>
        groups.map((parts) => (parts.length === 1 ? parts[0]!.clone() : flatJoin(parts))),
      );
    });
  }

  /**
   * Of one tensor a parameter those of each bucket, with zeros for what is missing, in a tidy of the caller's. Borrows
   * what it is given.
   */
  group(tensors: Readonly<Record<string, tf.Tensor>>): tf.Tensor[][] {
    for (const name of Object.keys(tensors)) {
      if (!this.parameters.has(name))
        throw new RangeError(`There is no parameter ${JSON.stringify(name)} among those being trained.`);
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

  /** The numbers of joined tensors, by parameter. */
  async read(joined: readonly tf.Tensor[]): Promise<Map<string, Float32Array>> {
    const result = new Map<string, Float32Array>();
    for (const [i, { names, sizes }] of this.#buckets.entries()) {
      const data = (await joined[i]!.data()) as Float32Array;
      let offset = 0;
      names.forEach((name, k) => result.set(name, data.subarray(offset, (offset += sizes[k]!))));
    }
    return result;
  }

  /** Joined tensors from the numbers of every parameter; the caller owns them. */
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

  /** Frees what this object holds; the parameters stay. */
  dispose(): void {
    this.#forgetValues();
    forgetRecorded(this);
  }

  #forgetValues(): void {
    tf.dispose(this.#values);
    [this.#values, this.#valuesOf] = [[], []];
  }
}

/** All numbers of `parts`, one after another, as one vector. */
export function flatJoin(parts: tf.Tensor[]): tf.Tensor {
  if (hasFusedKernel("FlatJoin")) return runFused("FlatJoin", parts)[0]!;
  return tf.concat1d(parts.map((part) => part.reshape<tf.Tensor1D>([-1])));
}

/** The reverse. */
export function flatSplit(joined: tf.Tensor, shapes: number[][], sizes: number[]): tf.Tensor[] {
  if (hasFusedKernel("FlatSplit")) return runFused("FlatSplit", { joined }, { shapes });
  return tf.split(joined, sizes).map((part, k) => part.reshape(shapes[k]!));
}

/** Keeps tensors that outlive a tidy of the caller's, as state does. */
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
