import { readText } from "../platform/files.js";
import { wrongFileHint } from "./wrong-file-hint.js";
import { WeightsFormatError } from "./errors.js";
import { parseShallowJson } from "./nesting.js";

/** How to parse the file, and what to say if it is invalid. */
export interface ReadJsonOptions {
  /** What to do, as a sentence. */
  remedy: string;
  /** The expected content. Default "a JSON object". */
  expected?: string;
  /** Default: plain JSON. */
  parse?: (text: string) => unknown;
}

/**
 * Reads a file that holds a JSON object.
 *
 * @throws WeightsFormatError that names the file, says what it is instead and what to do
 */
export async function readJsonObject(
  path: string,
  { remedy, expected = "a JSON object", parse = parseShallowJson }: ReadJsonOptions,
): Promise<Record<string, unknown>> {
  let value: unknown;
  let text: string | undefined;
  try {
    text = await readText(path);
    value = parse(text);
  } catch (error) {
    const found = text === undefined ? undefined : wrongFileHint(text);
    throw new WeightsFormatError(
      found ? `${path}: ${found}.` : `${path} cannot be read (${(error as Error).message}). ${remedy}`,
      { cause: error },
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new WeightsFormatError(`${path} is not a JSON object; expected ${expected}. ${remedy}`);
}

/**
 * Python writes `-Infinity` for DPM-Solver's default `lambda_min_clipped`, which is not valid JSON; it is read as null,
 * the default here.
 */
export function parsePythonJson(text: string): unknown {
  return parseShallowJson(text.replace(/(:\s*)-?(?:Infinity|NaN)(?=\s*[,}])/g, "$1null"));
}
