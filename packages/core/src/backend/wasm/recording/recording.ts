import * as tf from "@tensorflow/tfjs";
import type { WasmBackend } from "../memory.js";
import { type Buffer, newBuffer, type Step } from "./replay.js";

/** The engine runs every kernel through this method. */
interface Engine {
  runKernel(name: string, inputs: tf.NamedTensorMap, attributes?: tf.NamedAttrMap): tf.Tensor | tf.Tensor[];
}

/**
 * Lists the calls of kernels while a computation runs. Tensors that it makes from JavaScript numbers become constants;
 * all others that it reads must be declared with {@link Recording.input}.
 */
export class Recording {
  /** The calls so far. */
  readonly steps: Step[] = [];
  /** Why this cannot be run again: it reads an undeclared tensor, or the values of a tensor. */
  problem: string | undefined;
  readonly #inputs = new Set<Buffer>();
  readonly #buffers = new Map<tf.DataId, Buffer[]>();
  /** Above 0 while a kernel runs. Kernels that a kernel calls are not listed. */
  #depth = 0;

  /** Declares a tensor that is passed to each run. */
  input(tensor: tf.Tensor): Buffer {
    const isRead = this.#buffers.get(tensor.dataId)?.some((buffer) => this.#inputs.has(buffer));
    if (isRead) this.problem ??= "two of the tensors read are the same";
    const buffer = this.#add(tensor);
    this.#inputs.add(buffer);
    return buffer;
  }

  bufferOf(tensor: tf.Tensor): Buffer {
    const known = this.#known(tensor);
    if (known) return known;
    this.problem ??= "it reads a tensor that is not among its inputs";
    return this.#add(tensor);
  }

  /** Runs `body` while the methods through which all kernel calls and values pass are replaced by recording ones. */
  listen<T>(body: () => T): T {
    const engine = tf.engine() as unknown as Engine;
    const backend = tf.backend() as WasmBackend;
    const own = {
      runKernel: engine.runKernel.bind(engine),
      write: backend.write.bind(backend),
      read: backend.read.bind(backend),
      readSync: backend.readSync.bind(backend),
    };
    const noted = <A extends unknown[], R>(read: (...given: A) => R) => {
      return (...given: A): R => {
        if (this.#depth === 0) this.problem ??= "it looks at the numbers of a tensor";
        return read(...given);
      };
    };
    const methods = { read: noted(own.read), readSync: noted(own.readSync), write: this.#write(own.write) };
    const runKernel = this.#runKernel(own.runKernel);
    return withMethods(backend, methods, () => withMethods(engine, { runKernel }, body));
  }

  #runKernel(run: Engine["runKernel"]): Engine["runKernel"] {
    return (name, given, attributes) => {
      if (this.#depth > 0) return run(name, given, attributes);
      const bufferOf = (tensor: tf.Tensor | undefined | null) => tensor && this.bufferOf(tensor);
      // Some kernels take a list of tensors.
      const inputs = Array.isArray(given)
        ? given.map(bufferOf)
        : Object.fromEntries(Object.entries(given).map(([key, tensor]) => [key, bufferOf(tensor)]));
      this.#depth++;
      try {
        const made = run(name, given, attributes);
        const outputs = [made].flat().map((tensor) => this.#add(tensor));
        const { kernelFunc: kernel } = tf.getKernel(name, tf.getBackend());
        this.steps.push({ operation: name, kernel, inputs: inputs as tf.NamedTensorMap, attributes, outputs });
        return made;
      } finally {
        this.#depth--;
      }
    };
  }

  /** Numbers from JavaScript become a constant, which each run writes again. */
  #write(write: WasmBackend["write"]): WasmBackend["write"] {
    return (values, shape, dtype) => {
      const dataId = write(values, shape, dtype);
      if (this.#depth > 0) return dataId;
      if (dtype === "string") this.problem ??= "it makes a tensor of strings";
      const copy = (values as Float32Array | Int32Array | Uint8Array).slice();
      const buffer = this.#add({ dataId, shape, dtype } as tf.Tensor);
      const kernel: tf.KernelFunc = ({ backend }) => {
        return { dataId: (backend as WasmBackend).write(copy, shape, dtype), shape, dtype };
      };
      this.steps.push({ operation: "Constant", kernel, inputs: {}, attributes: undefined, outputs: [buffer] });
      return dataId;
    };
  }

  #known({ dataId, shape, dtype }: tf.Tensor): Buffer | undefined {
    const buffers = this.#buffers.get(dataId);
    return buffers?.find((buffer) => buffer.dtype === dtype && tf.util.arraysEqual(buffer.shape, shape));
  }

  #add(tensor: tf.Tensor): Buffer {
    const buffer = newBuffer(tensor);
    this.#buffers.set(tensor.dataId, [buffer, ...(this.#buffers.get(tensor.dataId) ?? [])]);
    return buffer;
  }
}

/** Runs `body` while `object` has these methods in place of its own. */
function withMethods<O extends object, T>(object: O, methods: Partial<O>, body: () => T): T {
  const before = Object.keys(methods).map((name) => [name, Object.getOwnPropertyDescriptor(object, name)] as const);
  Object.assign(object, methods);
  try {
    return body();
  } finally {
    for (const [name, own] of before) {
      if (own) Object.defineProperty(object, name, own);
      else Reflect.deleteProperty(object, name);
    }
  }
}
