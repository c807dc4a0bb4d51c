import { BackendUnavailableError } from "../backend/errors.js";
import { ImageError } from "../image/image-error.js";
import { ModelConfigError, ModelInputError } from "../models/errors.js";
import { NonFiniteResultError } from "../pipelines/drawing/errors.js";
import { PipelineFolderError, PipelineOptionError, PipelinePartsError } from "../pipelines/options/errors.js";
import { DisposedError } from "../platform/disposed.js";
import * as training from "../training/errors.js";
import * as weights from "../weights/errors.js";

/** An error as a message: a structured clone would lose its class and its fields. */
export interface CarriedError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** Its own fields that are plain values, such as the `step` of a NonFiniteResultError. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause?: CarriedError;
}

/** Any class of errors, whatever its constructor takes. */
export type ErrorClass = new (...args: never[]) => Error;

/** The classes that a page knows again without being told; their files import nothing heavy. */
const KNOWN: readonly ErrorClass[] = [
  ...[EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError],
  ...[PipelineOptionError, PipelineFolderError, PipelinePartsError, NonFiniteResultError],
  ...[BackendUnavailableError, ImageError, ModelConfigError, ModelInputError, DisposedError],
  ...Object.values(training),
  ...Object.values(weights),
];

/** Causes of causes are carried up to this depth: an error may be its own cause. */
const DEPTH = 5;

/** Whatever was thrown, as a message. */
export function carried(thrown: unknown, depth = DEPTH): CarriedError {
  // Not instanceof: a DOMException may be of another realm.
  const isError = typeof (thrown as Partial<Error> | null)?.message === "string";
  if (!isError) return { name: "Error", message: String(thrown), fields: {} };
  const { name, message, stack, cause } = thrown as Error;
  const isPlain = (value: unknown) => value === null || ["string", "number", "boolean"].includes(typeof value);
  const fields = Object.fromEntries(Object.entries(thrown as Error).filter(([, value]) => isPlain(value)));
  const withCause = cause === undefined || depth === 0 ? {} : { cause: carried(cause, depth - 1) };
  return { name, message, ...(stack !== undefined && { stack }), fields, ...withCause };
}

/**
 * The error of a message, of its own class if that is known. Its stack is the one in the worker.
 *
 * @param own further classes, looked up first
 */
export function revived({ name, message, stack, fields, cause }: CarriedError, own: readonly ErrorClass[]): Error {
  const error = new Error(message, cause && { cause: revived(cause, own) });
  const Class = [...own, ...KNOWN].find((Known) => Known.name === name);
  // The constructor is not called: each class has its own arguments.
  if (Class) Object.setPrototypeOf(error, Class.prototype as object);
  else if (name !== error.name) define(error, "name", name);
  if (stack !== undefined) define(error, "stack", stack);
  return Object.assign(error, fields);
}

function define(error: Error, property: string, value: string): void {
  Object.defineProperty(error, property, { value, configurable: true, writable: true });
}
