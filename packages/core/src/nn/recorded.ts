import * as tf from "@tensorflow/tfjs";
import { areLayersTraced } from "./layer-trace.js";
import { namedParameters } from "./parameter.js";

/** A computation that is done again and again on tensors of the same shapes, as a network's forward pass is. */
export interface Repeated {
  /** Whose it is, and whose parameters it reads. */
  readonly owner: object;
  /** Tells it from others of the same owner: its inputs, with their shapes. */
  readonly key: string;
  /** All that it reads: the inputs, then the parameters, which may be variables. */
  readonly reads: readonly tf.Tensor[];
  /** Computes the results, and depends on nothing else that changes. A gradient is taken of one result only. */
  readonly body: () => tf.Tensor[];
  /** Whether it is part of a training, whose every step must round alike, the first after a pause too. */
  readonly isTraining: boolean;
}

/** Runs repeated computations for a backend: the results are those of `body` but for rounding, and differentiable like it. */
export interface Recorder {
  run(repeated: Repeated): tf.Tensor[];
  /** Forgets what was recorded for `owner`. */
  forget(owner: object): void;
}

const recorders = new Map<string, Recorder>();

/** From now on, what is {@link recorded} on the backend runs by `recorder`. */
export function registerRecorder(backendName: string, recorder: Recorder): void {
  recorders.set(backendName, recorder);
}

/**
 * The result of `body`, which computes from the tensors `inputs` and from the parameters of `owner`, and from nothing else that changes.
 * Where the backend can (native TensorFlow), the operations are recorded and from then on run at once, without returning
 * to JavaScript in between; elsewhere, and while someone listens to the layers, this just calls `body`.
 */
export function recorded<T extends tf.Tensor>(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  body: () => T,
): T {
  const parameters = () => [...namedParameters(owner)].map(([, parameter]) => parameter.value);
  return repeat(owner, inputs, parameters, false, () => [body()])[0] as T;
}

/**
 * The same for a step of a training that is done without gradient: the results of `body`, which computes from `inputs` alone. `owner` only tells one
 * such step from another.
 */
export function recordedStep(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor>>,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  return repeat(owner, inputs, () => [], true, body);
}

function repeat(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  parameters: () => tf.Tensor[],
  isTraining: boolean,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  const recorder = recorders.get(tf.getBackend());
  if (!recorder || areLayersTraced() || tf.engine().state.profiling) return body();
  const given = Object.entries(inputs).filter((entry): entry is [string, tf.Tensor] => entry[1] !== undefined);
  const key = given.map(([name, { dtype, shape }]) => `${name} ${dtype}[${shape.join()}]`).join(" ");
  return recorder.run({
    ...{ owner, key, body, isTraining },
    reads: [...given.map(([, tensor]) => tensor), ...parameters()],
  });
}

/** Frees what a backend recorded of `owner`'s computations. */
export function forgetRecorded(owner: object): void {
  for (const recorder of recorders.values()) recorder.forget(owner);
}
