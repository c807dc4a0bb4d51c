import * as tf from "@tensorflow/tfjs";
import type { RecordedProgram } from "../../../nn/recorded.js";
import { describeProgram, lastUses, type Program } from "../../program.js";
import { release, type WasmBackend } from "../memory.js";

/**
 * A tensor of a recorded computation. Its data changes with each run, so it is not registered with TensorFlow.js. For
 * kernels it is a tensor like any other.
 */
export type Buffer = tf.Tensor;

export function newBuffer({ shape, dtype }: tf.TensorInfo): Buffer {
  return new tf.Tensor(shape, dtype, {}, -1);
}

/** One call of a kernel. */
export interface Step {
  readonly operation: string;
  readonly kernel: tf.KernelFunc;
  readonly inputs: tf.NamedTensorMap;
  readonly attributes: tf.NamedAttrMap | undefined;
  readonly outputs: readonly Buffer[];
}

/**
 * Calls kernels one after the other, without the tensors, scopes and gradients of TensorFlow.js in between. Each
 * intermediate result is freed after its last use. The results have the same bits as the same calls through
 * TensorFlow.js.
 */
export class Replay implements Program<tf.DataId, tf.TensorInfo> {
  readonly #steps: readonly Step[];
  /** For each step, the buffers that no later step reads. */
  readonly #frees: readonly (readonly Buffer[])[];
  /** For each result, whether a run creates it. The others are inputs, or repeat an earlier result. */
  readonly #isOwn: readonly boolean[];

  constructor(
    private readonly inputs: readonly Buffer[],
    steps: readonly Step[],
    private readonly results: readonly Buffer[],
  ) {
    this.#steps = neededSteps(steps, results);
    this.#frees = lastUses(
      this.#steps.map((step) => ({ inputs: buffersRead(step), outputs: step.outputs })),
      results,
    );
    const made = new Set(this.#steps.flatMap(({ outputs }) => outputs));
    this.#isOwn = results.map((buffer) => made.delete(buffer));
  }

  run(given: readonly tf.DataId[]): tf.TensorInfo[] {
    const backend = tf.backend() as WasmBackend;
    const { state } = tf.engine();
    this.inputs.forEach((buffer, i) => (buffer.dataId = given[i]!));
    let done = 0;
    state.kernelDepth++; // As in any kernel, the operations that a kernel calls are not differentiated.
    try {
      for (const { kernel, inputs, attributes, outputs } of this.#steps) {
        const made = kernel({ inputs, attrs: attributes!, backend });
        if (Array.isArray(made)) outputs.forEach((buffer, i) => (buffer.dataId = dataOf(made[i]!, backend)));
        else outputs[0]!.dataId = dataOf(made, backend);
        for (const { dataId } of this.#frees[done]!) release(backend, dataId);
        done++;
      }
    } catch (error) {
      this.#releaseAfter(done, backend);
      throw error;
    } finally {
      state.kernelDepth--;
    }
    return this.results.map(({ dataId, shape, dtype }, i) => {
      if (!this.#isOwn[i]) backend.incRef(dataId);
      return { dataId, shape: [...shape], dtype };
    });
  }

  describe(): RecordedProgram {
    const calls = this.#steps.map((step) => {
      const { operation, attributes = {}, outputs } = step;
      return { operation, attributes, inputs: buffersRead(step), outputs };
    });
    return describeProgram(this.inputs, calls, this.results, (buffer) => buffer);
  }

  /** It holds no memory. */
  dispose(): void {}

  /** Frees the buffers that the first `done` steps created and did not free. */
  #releaseAfter(done: number, backend: WasmBackend): void {
    const alive = new Set(this.#steps.slice(0, done).flatMap(({ outputs }) => outputs));
    for (const buffer of this.#frees.slice(0, done).flat()) alive.delete(buffer);
    for (const { dataId } of alive) release(backend, dataId);
  }
}

/** The data of a kernel's result. A kernel that is written with tf.* returns a registered tensor, which is freed. */
function dataOf(made: tf.TensorInfo, backend: WasmBackend): tf.DataId {
  if (made instanceof tf.Tensor) {
    backend.incRef(made.dataId);
    made.dispose();
  }
  return made.dataId;
}

/** The buffers that `step` reads. */
export function buffersRead({ inputs }: Step): Buffer[] {
  return Object.values(inputs).filter((buffer) => buffer !== undefined && buffer !== null);
}

/** The steps that the results depend on. */
export function neededSteps(steps: readonly Step[], results: readonly Buffer[]): Step[] {
  const needed = new Set(results);
  const kept = [...steps].reverse().filter((step) => {
    if (!step.outputs.some((buffer) => needed.has(buffer))) return false;
    buffersRead(step).forEach((buffer) => needed.add(buffer));
    return true;
  });
  return kept.reverse();
}
