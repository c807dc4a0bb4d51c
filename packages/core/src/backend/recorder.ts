import * as tf from "@tensorflow/tfjs";
import { customGradient } from "../nn/custom-gradient.js";
import type { Computation, RecordedComputation, Recorder } from "../nn/recorded.js";
import type { Bundles } from "./bundles.js";
import { NotRecordableError, type Program } from "./program.js";

/** The most computations that are kept for an owner: pictures of several sizes, with and without guidance. */
const MOST_COMPUTATIONS = 16;

/** A recorded forward pass, or why it cannot be recorded. Also its results, if recording computed them. */
export interface Recorded<Handle, Output> {
  program?: Program<Handle, Output>;
  refused?: string;
  results?: tf.Tensor[];
}

/** A forward pass that also returns the tensors that its gradient needs, and the gradient. */
export interface Training<Handle, Output> {
  /** Returns the value, then the tensors that the gradient needs. */
  forward: Program<Handle, Output>;
  /** Reads the inputs of the forward pass, the gradient of its value, and its further results. */
  backward: Program<Handle, Output>;
  /**
   * For each float32 tensor that is read, whether the value depends on it. If so, the backward pass returns its
   * gradient.
   */
  isDifferentiable: readonly boolean[];
}

interface Entry<Handle, Output> {
  readonly key: string;
  readonly parts: readonly unknown[];
  /** Calls so far, without a gradient and with one. */
  calls: { forward: number; training: number };
  forward?: Program<Handle, Output>;
  training?: Training<Handle, Output>;
  /** Why it cannot be recorded. */
  refused?: string;
}

/**
 * Keeps computations as programs, and runs the `body` of those that cannot be recorded. A backend defines what a
 * program is, and how it is made.
 */
export abstract class ProgramRecorder<Handle, Output> implements Recorder {
  readonly #entries = new WeakMap<object, Entry<Handle, Output>[]>();
  #isRecording = false;

  /** How often a computation is done before it is recorded, without a gradient and with one. */
  protected abstract callsBefore(computation: Computation): { forward: number; training: number };
  /** @throws NotRecordableError */
  protected abstract recordForward(computation: Computation): Recorded<Handle, Output>;
  /** Leaves no tensor behind. @throws NotRecordableError */
  protected abstract recordTraining(computation: Computation): Training<Handle, Output>;
  protected abstract readonly bundles: Bundles<Handle>;
  protected abstract handlesOf(tensors: readonly tf.Tensor[]): Handle[];
  protected abstract handleOf(output: Output): Handle;
  protected abstract shapeOf(output: Output): number[];
  /** Takes over a float32 tensor. */
  protected abstract tensorOf(output: Output): tf.Tensor;

  run(computation: Computation): tf.Tensor[] {
    if (this.#isRecording) return computation.body();
    const entry = this.#entryOf(computation);
    const isDifferentiated = tf.engine().isTapeOn();
    // A gradient of a gradient needs each operation of the first.
    if (isDifferentiated && tf.engine().state.gradientDepth > 1) return computation.body();
    if (entry.refused === undefined) {
      const results = this.#recordIfDue(computation, entry, isDifferentiated);
      if (results) return results;
    }
    if (isDifferentiated && entry.training) return [this.#runTraining(computation, entry.training)];
    if (!isDifferentiated && entry.forward) {
      return entry.forward.run(this.handlesOf(computation.reads)).map((output) => this.tensorOf(output));
    }
    return computation.body();
  }

  forget(owner: object): void {
    this.#entries.get(owner)?.forEach(disposeEntry);
    this.#entries.delete(owner);
  }

  describe(owner: object): RecordedComputation[] {
    return (this.#entries.get(owner) ?? []).map(({ key, forward, training, refused }) => ({
      key,
      ...(forward && { forward: forward.describe() }),
      ...(training && {
        training: { forward: training.forward.describe(), backward: training.backward.describe() },
      }),
      ...(refused !== undefined && { refused }),
    }));
  }

  #entryOf({ owner, key, parts }: Computation): Entry<Handle, Output> {
    const entries = this.#entries.get(owner) ?? [];
    this.#entries.set(owner, entries);
    const index = entries.findIndex((entry) => entry.key === key);
    const known = entries[index];
    if (known && areSame(known.parts, parts)) return known;
    if (known || entries.length === MOST_COMPUTATIONS) entries.splice(Math.max(0, index), 1).forEach(disposeEntry);
    const entry = { key, parts, calls: { forward: 0, training: 0 } };
    entries.push(entry);
    return entry;
  }

  /** Returns the results if recording computed them. */
  #recordIfDue(
    computation: Computation,
    entry: Entry<Handle, Output>,
    isDifferentiated: boolean,
  ): tf.Tensor[] | undefined {
    const pass = isDifferentiated ? "training" : "forward";
    if (entry[pass] || entry.calls[pass]++ < this.callsBefore(computation)[pass]) return undefined;
    this.#isRecording = true;
    try {
      if (isDifferentiated) {
        entry.training = withoutTape(() => freeingAll(() => this.recordTraining(computation)));
        return undefined;
      }
      const { program, refused, results } = this.recordForward(computation);
      [entry.forward, entry.refused] = [program, refused];
      return results;
    } catch (error) {
      // With a gradient, the computation was run only to record it. If it has an error, the next run throws it.
      if (!(error instanceof NotRecordableError) && !isDifferentiated) throw error;
      entry.refused = error instanceof Error ? error.message : String(error);
      return undefined;
    } finally {
      this.#isRecording = false;
    }
  }

  #runTraining({ reads }: Computation, { forward, backward, isDifferentiable }: Training<Handle, Output>): tf.Tensor {
    const differentiable = reads.filter(isFloat).filter((_, i) => isDifferentiable[i]);
    // Variables outlive the gradient's computation. A tidy may free the other tensors before, so clones are saved.
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
        const clones = saved[Symbol.iterator]();
        const given = reads.map((tensor, i) => (isSaved[i] ? (clones.next().value as tf.Tensor) : tensor));
        const between = this.bundles.handlesOf(saved.at(-1)!);
        return backward.run([...this.handlesOf([...given, dy]), ...between]).map((output) => this.tensorOf(output));
      },
    );
  }
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((one, i) => Object.is(one, others[i]));
}

/** @throws NotRecordableError unless there is exactly one */
export function singleResult<T>(results: readonly T[]): T {
  if (results.length !== 1) throw new NotRecordableError(`a gradient of ${results.length} results`);
  return results[0]!;
}

export function isFloat({ dtype }: tf.Tensor): boolean {
  return dtype === "float32";
}

/** Frees every tensor that `body` makes; the result of `body` contains no tensor. */
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

/** Runs `body` outside the gradient that is being computed, so that it can take one of its own. */
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
