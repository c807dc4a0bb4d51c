import * as tf from "@tensorflow/tfjs";
import type { WasmBackend } from "../memory.js";
import { newSlot, type Slot, type Step } from "./replay.js";

/** What is listened to: every operation goes through the engine, every number through the backend. */
interface Engine {
  runKernel(name: string, inputs: tf.NamedTensorMap, attributes?: tf.NamedAttrMap): tf.Tensor | tf.Tensor[];
}

/**
 * Writes down each call of a kernel while a computation runs. Tensors of numbers that it makes become constants; all
 * else that it reads must have been given to {@link Recording.place}.
 */
export class Recording {
  /** Calls up to now. */
  readonly steps: Step[] = [];
  /** Why this cannot be run again: it reads another tensor, or looks at numbers. */
  problem: string | undefined;
  readonly #places = new Set<Slot>();
  readonly #slots = new Map<tf.DataId, Slot[]>();
  /** Above 0, a kernel runs: what it calls is its own affair. */
  #depth = 0;

  /** Where a run will be given this tensor. */
  place(tensor: tf.Tensor): Slot {
    const isRead = this.#slots.get(tensor.dataId)?.some((slot) => this.#places.has(slot));
    if (isRead) this.problem ??= "two of the tensors read are the same";
    const slot = this.#add(tensor);
    this.#places.add(slot);
    return slot;
  }

  slotOf(tensor: tf.Tensor): Slot {
    const known = this.#known(tensor);
    if (known) return known;
    this.problem ??= "it reads a tensor that is not among its inputs";
    return this.#add(tensor);
  }

  listen<T>(body: () => T): T {
    const engine = tf.engine() as unknown as Engine;
    const backend = tf.backend() as WasmBackend;
    const own = {
      runKernel: engine.runKernel.bind(engine),
      write: backend.write.bind(backend),
      read: backend.read.bind(backend),
      readSync: backend.readSync.bind(backend),
    };
    const look = <A extends unknown[], R>(read: (...given: A) => R) => {
      return (...given: A): R => {
        if (this.#depth === 0) this.problem ??= "it looks at the numbers of a tensor";
        return read(...given);
      };
    };
    return withMethods(
      backend,
      { read: look(own.read), readSync: look(own.readSync), write: this.#write(own.write) },
      () => withMethods(engine, { runKernel: this.#runKernel(own.runKernel) }, body),
    );
  }

  #runKernel(run: Engine["runKernel"]): Engine["runKernel"] {
    return (name, given, attributes) => {
      if (this.#depth > 0) return run(name, given, attributes);
      const slotOf = (tensor: tf.Tensor | undefined | null) => tensor && this.slotOf(tensor);
      // A list of tensors is given as such.
      const inputs = Array.isArray(given)
        ? given.map(slotOf)
        : Object.fromEntries(Object.entries(given).map(([key, tensor]) => [key, slotOf(tensor)]));
      this.#depth++;
      try {
        const made = run(name, given, attributes);
        const outputs = [made].flat().map((tensor) => this.#add(tensor));
        const { kernelFunc: kernel } = tf.getKernel(name, tf.getBackend());
        this.steps.push({ kernel, inputs: inputs as tf.NamedTensorMap, attributes, outputs });
        return made;
      } finally {
        this.#depth--;
      }
    };
  }

  /** Numbers that come from JavaScript are a constant, which each run writes anew. */
  #write(write: WasmBackend["write"]): WasmBackend["write"] {
    return (values, shape, dtype) => {
      const dataId = write(values, shape, dtype);
      if (this.#depth > 0) return dataId;
      if (dtype === "string") this.problem ??= "it makes a tensor of strings";
      const copy = (values as Float32Array | Int32Array | Uint8Array).slice();
      const slot = this.#add({ dataId, shape, dtype } as tf.Tensor);
      const kernel: tf.KernelFunc = ({ backend }) => ({
        dataId: (backend as WasmBackend).write(copy, shape, dtype),
        ...{ shape, dtype },
      });
      this.steps.push({ kernel, inputs: {}, attributes: undefined, outputs: [slot] });
      return dataId;
    };
  }

  #known({ dataId, shape, dtype }: tf.Tensor): Slot | undefined {
    return this.#slots.get(dataId)?.find((slot) => slot.dtype === dtype && tf.util.arraysEqual(slot.shape, shape));
  }

  #add(tensor: tf.Tensor): Slot {
    const slot = newSlot(tensor);
    this.#slots.set(tensor.dataId, [slot, ...(this.#slots.get(tensor.dataId) ?? [])]);
    return slot;
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
