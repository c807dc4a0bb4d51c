import * as tf from "@tensorflow/tfjs";
import type { Program } from "../../recorder.js";
import { release, type WasmBackend } from "../memory.js";

/**
 * A tensor of a recorded computation. What it stands for changes with each run, so TensorFlow.js keeps no account of
 * it; to a kernel it is a tensor like any other.
 */
export type Slot = tf.Tensor;

export function newSlot({ shape, dtype }: tf.TensorInfo): Slot {
  return new tf.Tensor(shape, dtype, {}, -1);
}

/** One call of a kernel. */
export interface Step {
  readonly kernel: tf.KernelFunc;
  readonly inputs: tf.NamedTensorMap;
  readonly attributes: tf.NamedAttrMap | undefined;
  readonly outputs: readonly Slot[];
}

/** A step, and what nobody reads after it. */
interface Planned extends Step {
  readonly dead: readonly Slot[];
}

/**
 * Calls of kernels one after the other, without TensorFlow.js' accounts of tensors, scopes and gradients in between;
 * each intermediate result is freed when it has been read for the last time. The bits are those of the same calls
 * through TensorFlow.js.
 */
export class Replay implements Program<tf.DataId, tf.TensorInfo> {
  readonly #steps: readonly Planned[];
  /** The results that a run makes, each once; the others are given, or are results already. */
  readonly #isOwn: readonly boolean[];

  constructor(
    private readonly places: readonly Slot[],
    steps: readonly Step[],
    private readonly results: readonly Slot[],
  ) {
    this.#steps = planned(neededSteps(steps, results), results);
    const made = new Set(this.#steps.flatMap(({ outputs }) => outputs));
    this.#isOwn = results.map((slot) => made.delete(slot));
  }

  run(given: readonly tf.DataId[]): tf.TensorInfo[] {
    const backend = tf.backend() as WasmBackend;
    const { state } = tf.engine();
    this.places.forEach((slot, i) => (slot.dataId = given[i]!));
    let done = 0;
    state.kernelDepth++; // what kernels do by tf.* is not differentiated, as in any kernel
    try {
      for (const { kernel, inputs, attributes, outputs, dead } of this.#steps) {
        const made = kernel({ inputs, attrs: attributes!, backend });
        if (Array.isArray(made)) outputs.forEach((slot, i) => (slot.dataId = dataOf(made[i]!, backend)));
        else outputs[0]!.dataId = dataOf(made, backend);
        for (const { dataId } of dead) release(backend, dataId);
        done++;
      }
    } catch (error) {
      const alive = new Set<Slot>();
      for (const { outputs, dead } of this.#steps.slice(0, done)) {
        outputs.forEach((slot) => alive.add(slot));
        dead.forEach((slot) => alive.delete(slot));
      }
      for (const { dataId } of alive) release(backend, dataId);
      throw error;
    } finally {
      state.kernelDepth--;
    }
    return this.results.map(({ dataId, shape, dtype }, i) => {
      if (!this.#isOwn[i]) backend.incRef(dataId);
      return { dataId, shape: [...shape], dtype };
    });
  }

  /** It holds nothing. */
  dispose(): void {}
}

/**
 * The data of a kernel's result. Some kernels are written with tf.* and return a tensor, which TensorFlow.js has an
 * account of: it is closed.
 */
function dataOf(made: tf.TensorInfo, backend: WasmBackend): tf.DataId {
  if (made instanceof tf.Tensor) {
    backend.incRef(made.dataId);
    made.dispose();
  }
  return made.dataId;
}

/** What `step` reads, in no order. */
export function slotsRead({ inputs }: Step): Slot[] {
  return Object.values(inputs).filter((slot) => slot !== undefined && slot !== null);
}

/** The steps without which there are no results. */
export function neededSteps(steps: readonly Step[], results: readonly Slot[]): Step[] {
  const needed = new Set(results);
  const kept = [...steps].reverse().filter((step) => {
    if (!step.outputs.some((slot) => needed.has(slot))) return false;
    slotsRead(step).forEach((slot) => needed.add(slot));
    return true;
  });
  return kept.reverse();
}

function planned(steps: readonly Step[], results: readonly Slot[]): Planned[] {
  const made = new Set(steps.flatMap(({ outputs }) => outputs));
  const seen = new Set(results);
  const backwards = [...steps].reverse().map((step) => {
    const last = new Set([...step.outputs, ...slotsRead(step)].filter((slot) => made.has(slot) && !seen.has(slot)));
    last.forEach((slot) => seen.add(slot));
    return { ...step, dead: [...last] };
  });
  return backwards.reverse();
}
