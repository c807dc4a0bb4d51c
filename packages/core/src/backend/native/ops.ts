import type { TensorInfo } from "@tensorflow/tfjs";
import type { Attribute, Binding, NativeBackend, NativeTensor } from "./binding.js";
import { Constants } from "./constants.js";
import { hasOneDnn, type OneDnnKernel, oneDnnLabel } from "./one-dnn.js";

/**
 * TensorFlow's name for a variable that shares its name with no other (tensorflow/core/framework/resource_handle.h).
 */
const ANONYMOUS = "cd2c89b7-88b7-44c8-ad83-06c2a9158347";

/**
 * TensorFlow's operations, called without TensorFlow.js in between: a call takes 4 microseconds instead of 22, and
 * small networks make thousands (docs/benchmarks.md). The attributes of the operations are explained at
 * https://www.tensorflow.org/api_docs/python/tf/raw_ops. {@link evaluate} frees the tensors that they make.
 */
export class NativeOps {
  readonly #made: number[] = [];
  readonly #binding: Binding;
  readonly #constants: Constants;

  private constructor(private readonly backend: NativeBackend) {
    this.#binding = backend.binding;
    this.#constants = Constants.of(backend.binding);
  }

  /**
   * Runs `body`, hands its results over to TensorFlow.js, and frees all other tensors that it made, also if it throws.
   */
  static evaluate(backend: NativeBackend, body: (ops: NativeOps) => readonly NativeTensor[]): TensorInfo[] {
    const ops = new NativeOps(backend);
    const given = new Set<number>();
    try {
      return body(ops).map(({ id, shape, dataId: known }) => {
        if (known) {
          backend.incRef(known);
          return { dataId: known, shape: [...shape], dtype: "float32" };
        }
        const dataId = {};
        const [copy, size] = [[...shape], { dtype: backend.binding.TF_FLOAT, values: null, refCount: 1 }];
        backend.tensorMap.set(dataId, { id, shape: copy, ...size });
        given.add(id);
        return { dataId, shape: copy, dtype: "float32" };
      });
    } finally {
      for (const id of ops.#made) if (!given.has(id)) backend.binding.deleteTensor(id);
    }
  }

  /** Runs the parts one after the other, also in a graph. Frees all tensors except their results, as tf.tidy does. */
  inTurn(parts: readonly (() => NativeTensor[])[]): NativeTensor[][] {
    const results = parts.map((part) => {
      const made = this.#tidy(part);
      this.#binding.runAfter?.(made.map(({ id }) => id));
      return made;
    });
    this.#binding.runAfter?.([]);
    return results;
  }

  /** Borrows tensors of TensorFlow.js. */
  take(tensors: TensorInfo[]): NativeTensor[] {
    const ids = this.backend.getInputTensorIds(tensors);
    return tensors.map(({ shape, dataId }, i) => ({ id: ids[i]!, shape, dataId }));
  }

  add = (a: NativeTensor, b: NativeTensor) => this.#float("AddV2", a, b);
  sub = (a: NativeTensor, b: NativeTensor) => this.#float("Sub", a, b);
  mul = (a: NativeTensor, b: NativeTensor) => this.#float("Mul", a, b);
  square = (x: NativeTensor) => this.#float("Square", x);
  rsqrt = (x: NativeTensor) => this.#float("Rsqrt", x);
  sigmoid = (x: NativeTensor) => this.#float("Sigmoid", x);
  /** dy s (1 - s), with s a sigmoid. */
  sigmoidGradient = (s: NativeTensor, dy: NativeTensor) => this.#float("SigmoidGrad", s, dy);
  erf = (x: NativeTensor) => this.#float("Erf", x);
  exp = (x: NativeTensor) => this.#float("Exp", x);

  /** Over the last axis. */
  softmax(x: NativeTensor): NativeTensor {
    return this.#oneDnn("_MklSoftmax", [x]) ?? this.#float("Softmax", x);
  }

  /** x sigmoid(x). */
  silu(x: NativeTensor): NativeTensor {
    return this.#oneDnn("_MklSwish", [x]) ?? this.mul(x, this.sigmoid(x));
  }

  /**
   * Over the last axis of x [..., C], with w, b [C]; undefined if this build of TensorFlow has no single operation for
   * it.
   */
  layerNorm(x: NativeTensor, w: NativeTensor, b: NativeTensor, eps: number): NativeTensor | undefined {
    const epsilon = { name: "epsilon", type: this.#binding.TF_ATTR_FLOAT, value: eps };
    return this.#oneDnn("_MklLayerNorm", [x, w, b], epsilon);
  }

  scalar(value: number): NativeTensor {
    return this.#tensor([], this.#binding.TF_FLOAT, Float32Array.of(value));
  }

  /** `value` everywhere. */
  fill(shape: readonly number[], value: number): NativeTensor {
    return this.#run("Fill", this.#constants.types("index_type"), [this.#integers(shape), this.scalar(value)])[0]!;
  }

  /** Keeps the axes, with size 1. */
  mean(x: NativeTensor, axes: number[]): NativeTensor {
    return this.#run(
      "Mean",
      [this.#bool("keep_dims", true), ...this.#constants.types("Tidx")],
      [x, this.#integers(axes)],
    )[0]!;
  }

  /** Removes the axes, or keeps them with size 1. */
  sum(x: NativeTensor, axes: number[], keepDims = false): NativeTensor {
    return this.#run(
      "Sum",
      [this.#bool("keep_dims", keepDims), ...this.#constants.types("Tidx")],
      [x, this.#integers(axes)],
    )[0]!;
  }

  reshape(x: NativeTensor, shape: readonly number[]): NativeTensor {
    if (x.shape.join() === shape.join()) return x;
    return this.#run("Reshape", this.#constants.types("Tshape"), [x, this.#integers(shape)])[0]!;
  }

  transpose(x: NativeTensor, order: number[]): NativeTensor {
    return this.#run("Transpose", this.#constants.types("Tperm"), [x, this.#integers(order)])[0]!;
  }

  tile(x: NativeTensor, times: number[]): NativeTensor {
    return this.#run("Tile", this.#constants.types("Tmultiples"), [x, this.#integers(times)])[0]!;
  }

  /** A slice of x; a size of -1 means up to the end. */
  slice(x: NativeTensor, begin: number[], size: number[]): NativeTensor {
    return this.#run("Slice", this.#constants.types("Index"), [x, this.#integers(begin), this.#integers(size)])[0]!;
  }

  concat(parts: readonly NativeTensor[], axis: number): NativeTensor {
    if (parts.length === 1) return parts[0]!;
    const count = { name: "N", type: this.#binding.TF_ATTR_INT, value: parts.length };
    return this.#run("ConcatV2", [count, ...this.#constants.types("Tidx")], [...parts, this.#integers(axis)])[0]!;
  }

  /**
   * Runs an operation that overwrites its first operands, which have the values `start`; `inputs` are the other
   * operands. TensorFlow has such operations for variables only, so each value becomes a variable during the operation.
   * The data of a tensor is overwritten if no other tensor shares it, and copied otherwise. A value that is the result
   * of an earlier operation is freed.
   */
  overwrite(name: string, start: readonly NativeTensor[], inputs: readonly NativeTensor[]): NativeTensor[] {
    const number = [this.#numbers("dtype")];
    const variables = start.map((value) => {
      const shape = { name: "shape", type: this.#binding.TF_ATTR_SHAPE, value: value.shape };
      const name = { name: "shared_name", type: this.#binding.TF_ATTR_STRING, value: ANONYMOUS };
      const variable = this.#run("VarHandleOp", [...number, shape, name], [])[0]!;
      this.#run("AssignVariableOp", number, [variable, value], 0);
      return variable;
    });
    const own = start.map(({ dataId }) => (dataId && this.backend.refCount(dataId) === 1 ? dataId : undefined));
    // TensorFlow copies data before it overwrites it, unless only the variable uses it.
    for (const [i, dataId] of own.entries()) {
      if (dataId) this.#binding.deleteTensor(start[i]!.id);
      else this.#freeMade(start[i]!);
    }
    try {
      this.#run(name, [this.#bool("use_locking", false), ...this.#constants.types()], [...variables, ...inputs], 0);
    } finally {
      for (const [i, dataId] of own.entries()) {
        if (dataId) this.backend.tensorMap.get(dataId).id = this.#read(variables[i]!).id;
      }
    }
    const results = variables.map((variable, i): NativeTensor => {
      const dataId = own[i];
      return dataId
        ? { id: this.backend.tensorMap.get(dataId).id, shape: start[i]!.shape, dataId }
        : this.#keep(this.#read(variable));
    });
    for (const variable of variables) this.#run("DestroyResourceOp", [], [variable], 0);
    return results;
  }

  /** Frees a tensor that an operation made, but not a tensor of TensorFlow.js. */
  #freeMade({ id }: NativeTensor): void {
    const index = this.#made.indexOf(id);
    if (index === -1) return;
    this.#made.splice(index, 1);
    this.#binding.deleteTensor(id);
  }

  /** A variable's value, which the caller must free or keep. */
  #read(variable: NativeTensor): NativeTensor {
    return this.#binding.executeOp("ReadVariableOp", [this.#numbers("dtype")], [variable.id], 1)[0]!;
  }

  #keep(made: NativeTensor): NativeTensor {
    this.#made.push(made.id);
    return made;
  }

  /** Halves of the last axis. */
  halves(x: NativeTensor): [NativeTensor, NativeTensor] {
    const count = { name: "num_split", type: this.#binding.TF_ATTR_INT, value: 2 };
    return this.#run("Split", [count, ...this.#constants.types()], [this.#integers(-1), x], 2) as [
      NativeTensor,
      NativeTensor,
    ];
  }

  /**
   * Product of the matrices in the last two axes; either can be transposed first. It does not use TensorFlow's MatMul,
   * although that is faster for small matrices: if a signal arrives while MatMul computes (Ctrl-C, or a profiler's),
   * TensorFlow 2.15 damages its memory.
   */
  matMul(a: NativeTensor, b: NativeTensor, { transposeA = false, transposeB = false } = {}): NativeTensor {
    const turned = [this.#bool("adj_x", transposeA), this.#bool("adj_y", transposeB)];
    return this.#run("BatchMatMulV2", [...turned, ...this.#constants.types()], [a, b])[0]!;
  }

  #tidy(body: () => NativeTensor[]): NativeTensor[] {
    const before = this.#made.length;
    const results = body();
    const kept = new Set(results.map(({ id }) => id));
    for (const id of this.#made.splice(before)) {
      if (kept.has(id)) this.#made.push(id);
      else this.#binding.deleteTensor(id);
    }
    return results;
  }

  #float(name: string, ...inputs: NativeTensor[]): NativeTensor {
    return this.#run(name, this.#constants.types(), inputs)[0]!;
  }

  #oneDnn(kernel: OneDnnKernel, inputs: NativeTensor[], ...attributes: Attribute[]): NativeTensor | undefined {
    if (!hasOneDnn(this.#binding, kernel)) return undefined;
    return this.#run(
      kernel,
      [...attributes, oneDnnLabel(this.#binding, kernel), ...this.#constants.types()],
      inputs,
    )[0]!;
  }

  #run(name: string, attributes: readonly Attribute[], inputs: readonly NativeTensor[], outputs = 1): NativeTensor[] {
    const ids = inputs.map(({ id }) => id);
    const made = this.#binding.executeOp(name, attributes, ids, outputs);
    for (const { id } of made) this.#made.push(id);
    return made;
  }

  #numbers(name: string): Attribute {
    return { name, type: this.#binding.TF_ATTR_TYPE, value: this.#binding.TF_FLOAT };
  }

  #bool(name: string, value: boolean): Attribute {
    return { name, type: this.#binding.TF_ATTR_BOOL, value };
  }

  #integers(values: readonly number[] | number): NativeTensor {
    return this.#constants.integers(values, (id) => void this.#made.push(id));
  }

  #tensor(shape: number[], type: number, values: Float32Array | Int32Array): NativeTensor {
    const id = this.#binding.createTensor(shape, type, values);
    this.#made.push(id);
    return { id, shape };
  }
}
