import * as tf from "@tensorflow/tfjs";
import { areLayersTraced } from "./layer-trace.js";
import { isLayer, Parameter } from "./parameter.js";

/** A computation that is done again and again on tensors of the same shapes, as a network's forward pass is. */
export interface Repeated {
  /** Whose it is, and whose parameters it reads. */
  readonly owner: object;
  /** Tells it from others of the same owner: its inputs, with their shapes. */
  readonly key: string;
  /** All that it reads: the inputs, then the values of the parameters, which may be variables. */
  readonly reads: readonly tf.Tensor[];
  /**
   * All that can be seen of the owner and its layers: where that is another, as when a layer was put in another's
   * place, so is the computation.
   */
  readonly parts: readonly unknown[];
  /** Computes the results, and depends on nothing else that changes. A gradient is taken of one result only. */
  readonly body: () => tf.Tensor[];
  /** Whether it is part of a training, whose every step must round alike, the first after a pause too. */
  readonly isTraining: boolean;
}

/**
 * Runs repeated computations for a backend: the results are those of `body` but for rounding, and differentiable like
 * it.
 */
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

let isOn = true;

/** Whether computations are recorded from now on. */
export function setRecording(on: boolean): void {
  isOn = on;
}

/**
 * The result of `body`, which computes from the tensors `inputs` and from the parameters of `owner`, and from nothing
 * else that changes. Where the backend can (native TensorFlow, WebAssembly), the operations are recorded and from then
 * on run at once, without TensorFlow.js' accounts in between; elsewhere this just calls `body`, and so it does while
 * someone listens to the layers or has put a method of his own in place of a layer's.
 */
export function recorded<T extends tf.Tensor>(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  body: () => T,
): T {
  return repeat(
    owner,
    inputs,
    () => surveyOf(owner),
    false,
    () => [body()],
  )[0] as T;
}

interface Survey {
  parameters: Parameter[];
  /** Every field of every layer, and its `forward`. */
  parts: unknown[];
  /** Whether a layer has a method that its class has not. */
  isPatched: boolean;
}

function surveyOf(module: object, found: Survey = { parameters: [], parts: [], isPatched: false }): Survey {
  if ("forward" in module) found.parts.push(module.forward);
  // Not by Object.entries: this runs at each call.
  for (const key of Object.keys(module)) {
    const value = (module as Record<string, unknown>)[key];
    found.parts.push(value);
    if (typeof value === "function") found.isPatched ||= key in (Object.getPrototypeOf(module) as object);
    else if (typeof value !== "object") continue;
    else if (value instanceof Parameter) found.parameters.push(value);
    else if (Array.isArray(value) || isLayer(value)) surveyOf(value, found);
  }
  return found;
}

/**
 * The same for a step of a training that is done without gradient: the results of `body`, which computes from `inputs`
 * alone. `owner` only tells one such step from another.
 */
export function recordedStep(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor>>,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  return repeat(owner, inputs, () => ({ parameters: [], parts: [], isPatched: false }), true, body);
}

function repeat(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  survey: () => Survey,
  isTraining: boolean,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  const recorder = recorders.get(tf.getBackend());
  // Whoever traces, profiles or debugs wants to see each operation.
  const isWatched =
    areLayersTraced() || tf.engine().state.profiling || ["DEBUG", "IS_TEST"].some((flag) => tf.env().getBool(flag));
  if (!isOn || !recorder || isWatched) return body();
  const { parameters, parts, isPatched } = survey();
  if (isPatched) return body();
  const given = Object.entries(inputs).filter((entry): entry is [string, tf.Tensor] => entry[1] !== undefined);
  const key = given.map(([name, { dtype, shape }]) => `${name} ${dtype}[${shape.join()}]`).join(" ");
  return recorder.run({
    ...{ owner, key, body, isTraining, parts },
    reads: [...given.map(([, tensor]) => tensor), ...parameters.map(({ value }) => value)],
  });
}

/**
 * Frees what a backend recorded of the computations of `owner`, a model, and of the layers in it: they are recorded
 * anew. For whoever changes what a layer computes with in a way that cannot be seen from outside, as a private field or
 * a variable of a module; weights, fields, layers and methods are seen.
 */
export function forgetRecorded(owner: object): void {
  for (const recorder of recorders.values()) recorder.forget(owner);
  for (const value of Object.values(owner) as unknown[]) {
    if (!(value instanceof Parameter) && (Array.isArray(value) || isLayer(value))) forgetRecorded(value);
  }
}
