import * as tf from "@tensorflow/tfjs";
import { customGradient } from "../nn/custom-gradient.js";
import type { Recorder, Repeated } from "../nn/recorded.js";
import type { Bundles } from "./bundles.js";

/** So many computations are kept for an owner: pictures of several sizes, with and without guidance. */
const MOST = 16;

/** What was computed cannot be recorded. */
export class CannotRecord extends Error {
  override name = "CannotRecord";
}

/** A computation that was recorded. `Handle` is by what a backend knows a tensor, `Output` one that the caller owns. */
export interface Program<Handle, Output> {
  run(given: readonly Handle[]): Output[];
  dispose(): void;
}

/** A forward pass, or why there is none, and its results where it was done to be recorded. */
export interface Recorded<Handle, Output> {
  program?: Program<Handle, Output>;
  refused?: string;
  results?: tf.Tensor[];
}

/** A forward pass that also gives what its gradient needs, and the gradient. */
export interface Training<Handle, Output> {
  /** Gives the value, then what is needed. */
  forward: Program<Handle, Output>;
  /** Reads what the forward pass reads, the gradient of its value, and what the forward pass gave besides its value. */
  backward: Program<Handle, Output>;
  /**
   * For each float32 tensor that is read, whether the value depends on it; the backward pass gives the gradients of
   * those that do.
   */
  isDifferentiable: readonly boolean[];
}

interface Entry<Handle, Output> {
  readonly key: string;
  readonly parts: readonly unknown[];
  /** Made without gradient, and with. */
  calls: { forward: number; training: number };
  forward?: Program<Handle, Output>;
  training?: Training<Handle, Output>;
  /** Why it runs operation by operation. */
  refused?: string;
}

/** What is known of one computation of an owner: for tests and the curious. */
export interface RecordedState {
  key: string;
  forward: boolean;
  training: boolean;
  refused: string | undefined;
}

/**
 * Keeps repeated computations as programs, and does without where one cannot be recorded. What a program is, and how
 * one is made, is a backend's.
 */
export abstract class ProgramRecorder<Handle, Output> implements Recorder {
  readonly #entries = new WeakMap<object, Entry<Handle, Output>[]>();
  #isRecording = false;

  /** So often a computation is done before it is recorded, with a gradient and without. */
  protected abstract callsBefore(repeated: Repeated): { forward: number; training: number };
  /** @throws CannotRecord */
  protected abstract recordForward(repeated: Repeated): Recorded<Handle, Output>;
  /** Leaves no tensor behind. @throws CannotRecord */
  protected abstract recordTraining(repeated: Repeated): Training<Handle, Output>;
  protected abstract readonly bundles: Bundles<Handle>;
  protected abstract handlesOf(tensors: readonly tf.Tensor[]): Handle[];
  protected abstract handleOf(output: Output): Handle;
  protected abstract shapeOf(output: Output): number[];
  /** Takes over a float32 tensor. */
  protected abstract tensorOf(output: Output): tf.Tensor;

  run(repeated: Repeated): tf.Tensor[] {
    if (this.#isRecording) return repeated.body();
    const entry = this.#entryOf(repeated);
    const isDifferentiated = tf.engine().isTapeOn();
    // A gradient of a gradient needs each operation of the first.
    if (isDifferentiated && tf.engine().state.gradientDepth > 1) return repeated.body();
    if (entry.refused === undefined) {
      const results = this.#recordIfDue(repeated, entry, isDifferentiated);
      if (results) return results;
    }
    if (isDifferentiated && entry.training) return [this.#runTraining(repeated, entry.training)];
    if (!isDifferentiated && entry.forward) {
      return entry.forward.run(this.handlesOf(repeated.reads)).map((output) => this.tensorOf(output));
    }
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

  #entryOf({ owner, key, parts }: Repeated): Entry<Handle, Output> {
    const entries = this.#entries.get(owner) ?? [];
    this.#entries.set(owner, entries);
    const index = entries.findIndex((entry) => entry.key === key);
    const known = entries[index];
    if (known && isSame(known.parts, parts)) return known;
    if (known || entries.length === MOST) entries.splice(Math.max(0, index), 1).forEach(disposeEntry);
    const entry = { key, parts, calls: { forward: 0, training: 0 } };
    entries.push(entry);
    return entry;
  }

  /** Returns the results where they were computed with it. */
  #recordIfDue(repeated: Repeated, entry: Entry<Handle, Output>, isDifferentiated: boolean): tf.Tensor[] | undefined {
    const pass = isDifferentiated ? "training" : "forward";
    if (entry[pass] || entry.calls[pass]++ < this.callsBefore(repeated)[pass]) return undefined;
    this.#isRecording = true;
    try {
      if (isDifferentiated) {
        entry.training = withoutTape(() => freeingAll(() => this.recordTraining(repeated)));
        return undefined;
      }
      const { program, refused, results } = this.recordForward(repeated);
      [entry.forward, entry.refused] = [program, refused];
      return results;
    } catch (error) {
      // With a gradient it was done for the record only: what is wrong with it shows when it is done in earnest, if it
      // does.
      if (!(error instanceof CannotRecord) && !isDifferentiated) throw error;
      entry.refused = error instanceof Error ? error.message : String(error);
      return undefined;
    } finally {
      this.#isRecording = false;
    }
  }

  #runTraining({ reads }: Repeated, { forward, backward, isDifferentiable }: Training<Handle, Output>): tf.Tensor {
    const differentiable = reads.filter(isFloat).filter((_, i) => isDifferentiable[i]);
    // Variables outlive the gradient's computation; what is saved are clones of what a tidy may free before.
    const isSaved = reads.map((tensor) => !(tensor instanceof tf.Variable));
    return customGradient(
      differentiable,
      () => {
        const [value, ...between] = forward.run(this.handlesOf(reads)) as [Output, ...Output[]];
        const size = between.reduce((sum, output) => sum + tf.util.sizeFromShape(this.shapeOf(output)), 0);
        const bundle = this.bundles.add(
          between.map((output) => this.handleOf(output)),
          size,
        );
        return { value: this.tensorOf(value), saved: [...reads.filter((_, i) => isSaved[i]), bundle] };
      },
      (dy, saved: tf.Tensor[]) => {
        const kept = saved[Symbol.iterator]();
        const again = reads.map((tensor, i) => (isSaved[i] ? (kept.next().value as tf.Tensor) : tensor));
        const between = this.bundles.handlesOf(saved.at(-1)!);
        return backward.run([...this.handlesOf([...again, dy]), ...between]).map((output) => this.tensorOf(output));
      },
    );
  }
}

function isSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((one, i) => Object.is(one, others[i]));
}

export function onlyOne<T>(results: readonly T[]): T {
  if (results.length !== 1) throw new CannotRecord(`a gradient of ${results.length} results`);
  return results[0]!;
}

export function isFloat({ dtype }: tf.Tensor): boolean {
  return dtype === "float32";
}

/** Frees every tensor that `body` makes; its result holds none. */
export function freeingAll<T>(body: () => T): T {
  let result: T;
  tf.tidy(() => {
    result = body();
  });
  return result!;
}

function disposeEntry({ forward, training }: Entry<never, unknown>): void {
  forward?.dispose();
  training?.forward.dispose();
  training?.backward.dispose();
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
