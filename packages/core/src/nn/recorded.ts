import * as tf from "@tensorflow/tfjs";
import { areLayersTraced } from "./layer-trace.js";
import { isLayer, Parameter } from "./parameter.js";

/** A computation that is repeated on tensors of the same shapes, such as a network's forward pass. */
export interface Computation {
  /** The object whose parameters it reads. */
  readonly owner: object;
  /** Distinguishes the computations of an owner: the inputs with their shapes. */
  readonly key: string;
  /** All tensors that it reads: the inputs, then the values of the parameters, which may be variables. */
  readonly reads: readonly tf.Tensor[];
  /** Every field of the owner and its layers. If one changes, as when a layer is replaced, the recording is dropped. */
  readonly parts: readonly unknown[];
  /** Computes the results from `reads` alone. Only one result can have a gradient. */
  readonly body: () => tf.Tensor[];
  /** Whether it is part of training, where all steps must have the same rounding, also the first one after a pause. */
  readonly isTraining: boolean;
}

/**
 * Runs computations for a backend. The results are those of `body`, apart from rounding, and differentiable like them.
 */
export interface Recorder {
  run(computation: Computation): tf.Tensor[];
  /** Drops the recordings of `owner`. */
  forget(owner: object): void;
  /** The recordings of `owner`. */
  describe(owner: object): RecordedComputation[];
}

/** The recording of one computation. */
export interface RecordedComputation {
  /** Its inputs, with their shapes. */
  readonly key: string;
  /** Without a gradient. */
  readonly forward?: RecordedProgram;
  /** With a gradient: the forward pass also returns what the backward pass needs. */
  readonly training?: { readonly forward: RecordedProgram; readonly backward: RecordedProgram };
  /** The reason, if it cannot be recorded. */
  readonly refused?: string;
}

/** A list of calls, for printing. Buffers are named "%0", "%1" ... */
export interface RecordedProgram {
  /** The inputs of each run: "%0 float32[2,8,8,4]". */
  readonly inputs: readonly string[];
  readonly calls: readonly RecordedCall[];
  readonly results: readonly string[];
}

/** One call of a kernel, or one operation of a TensorFlow graph. */
export interface RecordedCall {
  readonly operation: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly string[];
  /** The buffers that it makes: "%7 float32[2,8,8,80]". */
  readonly outputs: readonly string[];
  /** The buffers that are freed because no later call reads them. */
  readonly frees: readonly string[];
}

const recorders = new Map<string, Recorder>();
let isOn = true;

/** Makes `recorder` run the {@link recorded} computations of the backend from now on. */
export function registerRecorder(backendName: string, recorder: Recorder): void {
  recorders.set(backendName, recorder);
}

/** Switches recording on or off for all backends: the option `record` of `useBackend`. */
export function setRecording(on: boolean): void {
  isOn = on;
}

/**
 * The result of `body`, which computes from the tensors `inputs` and the parameters of `owner`, and from nothing else
 * that changes. On native TensorFlow and on WebAssembly the operations are recorded, and from then on run without
 * TensorFlow.js in between. Elsewhere this calls `body`, and also while someone listens to the layers, or has replaced
 * a layer's method.
 */
export function recorded<T extends tf.Tensor>(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  body: () => T,
): T {
  return run(
    owner,
    inputs,
    () => surveyOf(owner),
    false,
    () => [body()],
  )[0] as T;
}

/**
 * The same for a step of a training that is done without a gradient: the results of `body`, which computes from
 * `inputs` alone. `owner` only tells one such step from another.
 */
export function recordedStep(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor>>,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  return run(owner, inputs, () => ({ parameters: [], parts: [], isPatched: false }), true, body);
}

/**
 * Drops the recordings of `owner`, a model, and of its layers; they are recorded again. Call it after a change that
 * cannot be seen from outside, such as that of a private field or of a variable of a module. Changes of weights,
 * fields, layers and methods are seen.
 */
export function forgetRecorded(owner: object): void {
  for (const one of ownersIn(owner)) for (const recorder of recorders.values()) recorder.forget(one);
}

/** What was recorded of `owner`, a model, and of its layers, on the current backend: docs/recording.md. */
export function describeRecorded(owner: object): RecordedComputation[] {
  const recorder = recorders.get(tf.getBackend());
  return recorder ? ownersIn(owner).flatMap((one) => recorder.describe(one)) : [];
}

/** The object and all layers in it. */
function ownersIn(owner: object): object[] {
  const inside = Object.values(owner).filter(
    (value: unknown): value is object => !(value instanceof Parameter) && (Array.isArray(value) || isLayer(value)),
  );
  return [owner, ...inside.flatMap(ownersIn)];
}

interface Survey {
  parameters: Parameter[];
  /** Every field of every layer, and its `forward`. */
  parts: unknown[];
  /** Whether a method of a layer was replaced. */
  isPatched: boolean;
}

function surveyOf(module: object, found: Survey = { parameters: [], parts: [], isPatched: false }): Survey {
  if ("forward" in module) found.parts.push(module.forward);
  // Not by Object.entries, which is slower: this runs at each call.
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

function run(
  owner: object,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  survey: () => Survey,
  isTraining: boolean,
  body: () => tf.Tensor[],
): tf.Tensor[] {
  const recorder = isOn ? recorders.get(tf.getBackend()) : undefined;
  if (!recorder || isWatched()) return body();
  const { parameters, parts, isPatched } = survey();
  if (isPatched) return body();
  const given = Object.entries(inputs).filter((entry): entry is [string, tf.Tensor] => entry[1] !== undefined);
  const key = given.map(([name, { dtype, shape }]) => `${name} ${dtype}[${shape.join()}]`).join(" ");
  const reads = [...given.map(([, tensor]) => tensor), ...parameters.map(({ value }) => value)];
  return recorder.run({ owner, key, reads, parts, body, isTraining });
}

/** Whether someone traces, profiles or debugs, and so wants to see each operation. */
function isWatched(): boolean {
  return areLayersTraced() || tf.engine().state.profiling || tf.env().getBool("DEBUG") || tf.env().getBool("IS_TEST");
}
