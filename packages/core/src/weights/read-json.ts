import { decodeText, readText } from "../platform/files.js";
import { wrongFileHint } from "./wrong-file-hint.js";
import { WeightsFormatError } from "./errors.js";
import { parseShallowJson } from "../platform/nesting.js";

/** What to say if a file is invalid. */
export interface ReadJsonOptions {
  /** What to do, as a sentence. */
  remedy: string;
  /** The expected content. Default "a JSON object". */
  expected?: string;
  /** The class of the error. Default WeightsFormatError. */
  Failure?: new (message: string, options?: ErrorOptions) => Error;
}

/** An object of a JSON file whose values are not checked yet. */
export type JsonObject = Record<string, unknown>;

/**
 * Reads a file that holds a JSON object, as Python writes it: see {@link parsePythonJson}.
 *
 * @throws WeightsFormatError, or the class of the options, that names the file, says what it is instead and what to do
 */
export async function readJsonObject(path: string, options: ReadJsonOptions): Promise<JsonObject> {
  return jsonObject(path, await readText(path).catch((error: Error) => error), options);
}

/** The same for a text, or for the bytes of a file, or for the error of reading one. */
export function jsonObject(
  name: string,
  content: string | Uint8Array | Error,
  { remedy, expected = "a JSON object", Failure = WeightsFormatError }: ReadJsonOptions,
): JsonObject {
  let value: unknown;
  let text: string | undefined;
  try {
    if (content instanceof Error) throw content;
    text = typeof content === "string" ? content : decodeText(content);
    value = parsePythonJson(text);
  } catch (error) {
    const found = text === undefined ? undefined : wrongFileHint(text);
    throw new Failure(
      found ? `${name}: ${found}.` : `${name} cannot be read (${(error as Error).message}). ${remedy}`,
      {
        cause: error,
      },
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new Failure(`${name} is not a JSON object; expected ${expected}. ${remedy}`);
}

/** A text, or one of the values that Python's json writes and JSON does not have. */
const TEXT_OR_NON_FINITE = /"(?:[^"\\]|\\[\s\S])*"?|NaN|-?Infinity/g;

/**
 * Python writes `-Infinity` for DPM-Solver's default `lambda_min_clipped`, which is not valid JSON; it is read as null,
 * the default here, and so is NaN.
 *
 * @throws SyntaxError also for a text that is nested too deeply
 */
function parsePythonJson(text: string): unknown {
  const isPlain = !/NaN|Infinity/.test(text);
  return parseShallowJson(
    isPlain ? text : text.replace(TEXT_OR_NON_FINITE, (found) => (found.startsWith('"') ? found : "null")),
  );
}
