import * as tf from "@tensorflow/tfjs";
import { customGradient } from "../../nn/custom-gradient.js";
import type { Recorder, Repeated } from "../../nn/recorded.js";
import { Bundles } from "./bundles.js";
import { Graph, type Shelf } from "./graph.js";
import { CannotRecord, cut, type Source } from "./graph-def.js";
import type { NativeBackend, Output } from "./raw.js";
import { record } from "./recording.js";

/**
 * So often a computation without gradient is done before it is recorded: TensorFlow takes as long to make a graph ready as that many forward passes.
 * With a gradient it is recorded at once, so that each step of a training rounds alike, also the first after it went on.
 */
const CALLS_BEFORE = 8;
/** So many computations are kept for an owner: pictures of several sizes, with and without guidance. */
const MOST = 16;

interface Entry {
  readonly key: string;
  calls: number;
  forward?: Graph;
  training?: Training;
  /** Why it runs operation by operation. */
  refused?: string;
}

/** A forward pass that also gives what its gradient needs, and the gradient. */
interface Training {
  forward: Graph;
  /** Reads what the forward pass reads, the gradient of its value, and what the forward pass gave besides its value. */
  backward: Graph;
  /** For each float32 tensor that is read, which of the backward pass's results is its gradient; undefined where it has none. */
  gradients: (number | undefined)[];
}

/** What is known of one computation of an owner: for tests and the curious. */
export interface RecordedState {
  key: string;
  forward: boolean;
  training: boolean;
  refused: string | undefined;
}

/**
 * Repeated computations as TensorFlow graphs: what `tf.function` is in Python. A network of a few million parameters is thousands of small
 * operations, and most of its time would go into asking for each (docs/benchmarks.md).
 */
export class GraphRecorder implements Recorder {
  readonly #entries = new WeakMap<object, Entry[]>();
  readonly #bundles = new Bundles();
  #isRecording = false;

  constructor(private readonly shelf: Shelf) {}

  run(repeated: Repeated): tf.Tensor[] {
    if (this.#isRecording) return repeated.body();
    const entry = this.#entryOf(repeated.owner, repeated.key);
    const isDifferentiated = tf.engine().isTapeOn();
    if (entry.refused === undefined) this.#recordIfDue(repeated, entry, isDifferentiated);
    if (isDifferentiated && entry.training) return [this.#runTraining(repeated, entry.training)];
    if (!isDifferentiated && entry.forward) return this.#runForward(repeated, entry.forward);
    return repeated.body();
  }

  forget(owner: object): void {
    this.#entries.get(owner)?.forEach(disposeEntry);
    this.#entries.delete(owner);
  }

  stateOf(owner: object): RecordedState[] {
    return (this.#entries.get(owner) ?? []).map(({ key, forward, training, refused }) => ({
      key,
      forward: forward !== undefined,
      training: training !== undefined,
      refused,
    }));
  }

  get #backend(): NativeBackend {
    return tf.backend() as NativeBackend;
  }

  #entryOf(owner: object, key: string): Entry {
    const entries = this.#entries.get(owner) ?? [];
    this.#entries.set(owner, entries);
    const known = entries.find((entry) => entry.key === key);
    if (known) return known;
    if (entries.length === MOST) disposeEntry(entries.shift()!);
    const entry = { key, calls: 0 };
    entries.push(entry);
    return entry;
  }

  #recordIfDue(repeated: Repeated, entry: Entry, isDifferentiated: boolean): void {
    const isDue = isDifferentiated
      ? !entry.training
      : !entry.forward && ++entry.calls > (repeated.isTraining ? 0 : CALLS_BEFORE);
    if (!isDue) return;
    this.#isRecording = true;
    try {
      if (isDifferentiated) entry.training = withoutTape(() => freeingAll(() => this.#recordTraining(repeated)));
      else entry.forward = freeingAll(() => this.#recordForward(repeated));
    } catch (error) {
      if (!(error instanceof CannotRecord)) throw error;
      entry.refused = error.message;
    } finally {
      this.#isRecording = false;
    }
  }

  #recordForward({ reads, body }: Repeated): Graph {
    const { values, places } = record(this.#backend, reads, ({ sourceOf }) => body().map(sourceOf));
    return new Graph(this.#backend.binding, this.shelf, places, values);
  }

  #recordTraining({ reads, body }: Repeated): Training {
    const dy = tf.ones(onlyOne(tf.tidy(body)).shape);
    const { values, places } = record(this.#backend, [...reads, dy], ({ operations, sourceOf }) => {
      let value: Source | undefined;
      let before = new Set<Source["node"]>();
      const forward = () => {
        const y = onlyOne(body());
        [value, before] = [sourceOf(y), new Set(operations)];
        return y;
      };
      const { grads } = tf.engine().gradients(forward, reads.filter(isFloat), dy, true);
      return { value: value!, before, gradients: grads.map((gradient) => gradient && sourceOf(gradient)) };
    });
    const known = values.gradients.filter((source) => source !== undefined);
    const after = cut(known, values.before);
    const { binding } = this.#backend;
    const forward = new Graph(binding, this.shelf, places, [values.value, ...after.given]);
    try {
      const backward = new Graph(binding, this.shelf, [...places, ...after.places], after.results);
      let next = 0;
      return { forward, backward, gradients: values.gradients.map((source) => (source ? next++ : undefined)) };
    } catch (error) {
      forward.dispose();
      throw error;
    }
  }

  #runForward({ reads }: Repeated, graph: Graph): tf.Tensor[] {
    return graph.run(this.#ids(reads)).map((output) => this.#tensor(output));
  }

  #runTraining({ reads }: Repeated, { forward, backward, gradients }: Training): tf.Tensor {
    const differentiable = reads.filter(isFloat);
    // Variables outlive the gradient's computation; what is saved are clones of what a tidy may free before.
    const isSaved = reads.map((tensor) => !(tensor instanceof tf.Variable));
    return customGradient(
      differentiable,
      () => {
        const [value, ...between] = forward.run(this.#ids(reads));
        const bundle = this.#bundles.add(this.#backend, between);
        return { value: this.#tensor(value!), saved: [...reads.filter((_, i) => isSaved[i]), bundle] };
      },
      (dy, saved: tf.Tensor[]) => {
        const kept = saved[Symbol.iterator]();
        const again = reads.map((tensor, i) => (isSaved[i] ? (kept.next().value as tf.Tensor) : tensor));
        const between = this.#bundles.idsOf(saved.at(-1)!);
        const results = backward.run([...this.#ids([...again, dy]), ...between]);
        return differentiable.map((tensor, i) => {
          const result = gradients[i];
          return result === undefined ? tf.zeros(tensor.shape) : this.#tensor(results[result]!);
        });
      },
    );
  }

  #ids(tensors: readonly tf.Tensor[]): number[] {
    return this.#backend.getInputTensorIds([...tensors]);
  }

  /** Takes over a float32 tensor of TensorFlow's. */
  #tensor({ id, shape }: Output): tf.Tensor {
    const { binding, tensorMap } = this.#backend;
    const dataId = {};
    tensorMap.set(dataId, { id, shape, dtype: binding.TF_FLOAT, values: null, refCount: 1 });
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype: "float32" });
  }
}

function onlyOne(results: tf.Tensor[]): tf.Tensor {
  if (results.length !== 1) throw new CannotRecord(`a gradient of ${results.length} results`);
  return results[0]!;
}

function isFloat({ dtype }: tf.Tensor): boolean {
  return dtype === "float32";
}

function disposeEntry({ forward, training }: Entry): void {
  forward?.dispose();
  training?.forward.dispose();
  training?.backward.dispose();
}

/** Frees every tensor that `body` makes; its result holds none. */
function freeingAll<T>(body: () => T): T {
  let result: T;
  tf.tidy(() => {
    result = body();
  });
  return result!;
}

/** Runs `body` as if nobody took a gradient of it, so that it can take one of its own. */
function withoutTape<T>(body: () => T): T {
  const { state } = tf.engine();
  const { gradientDepth, activeTape } = state;
  [state.gradientDepth, state.activeTape] = [0, undefined as never];
  try {
    return body();
  } finally {
    [state.gradientDepth, state.activeTape] = [gradientDepth, activeTape];
  }
}
