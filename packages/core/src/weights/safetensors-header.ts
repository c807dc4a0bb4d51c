import { dtypeBits, isStoredDtype, STORED_DTYPES, type StoredDtype } from "./dtypes.js";
import { wrongFileHint } from "./wrong-file-hint.js";
import { WeightsFormatError } from "./errors.js";
import { jsonFlaw } from "./json-flaw.js";

/** A tensor as a safetensors header describes it; a scalar has the shape []. */
export interface TensorInfo {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
}

/** A tensor and the position of its bytes, counted from the end of the header. */
export interface TensorEntry extends TensorInfo {
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** Largest header that the reference implementation reads. */
export const MAX_HEADER_BYTES = 100_000_000;

/** The longest quotation from a malicious header in an error message. */
const LONGEST_PROBLEM = 500;

/**
 * Length of the JSON header, from the first bytes of a file (at least 8, if it has as many). Checked against the file's
 * size.
 */
export function headerLength(file: string, first: Uint8Array, fileSize: number): number {
  if (fileSize < 8) {
    throw new WeightsFormatError(
      `${file}: ${fileSize} bytes are too few for a safetensors file. It may be an unfinished download.`,
    );
  }
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw new WeightsFormatError(`${file}: ${guessFormat(first, length)}.`);
  if (length + 8n > BigInt(fileSize)) {
    throw new WeightsFormatError(
      `${file}: its header should be ${length} bytes long, but the file has ${fileSize}. It may be an unfinished download.`,
    );
  }
  return Number(length);
}

/** Guesses from its first bytes what a file is that is not safetensors. */
function guessFormat(first: Uint8Array, length: bigint): string {
  const text = String.fromCharCode(...first.subarray(0, 64));
  if (text.startsWith("PK\x03\x04") || first[0] === 0x80) {
    return "this is a PyTorch pickle (.ckpt, .bin, .pt), which can run any code when opened. Convert it to safetensors, or look for a .safetensors file of the same model";
  }
  const other = wrongFileHint(text);
  if (other !== undefined) return other;
  if (text.startsWith("GGUF")) return "this is a GGUF file. Look for the .safetensors file it was made from";
  if (/^[\t\n\r\x20-\x7e]+$/.test(text))
    return `this is a text file, which begins ${JSON.stringify(text)}. Download the file again`;
  return `its header should be ${length} bytes long; at most ${MAX_HEADER_BYTES} are allowed. It is damaged or not a safetensors file`;
}

/** Reads and checks a header: every rule of the reference implementation (its `Metadata::validate`). */
export function parseHeader(file: string, json: Uint8Array, dataSize: number): SafetensorsHeader {
  const fail = (problem: string): never => {
    const said = problem.length > LONGEST_PROBLEM ? `${problem.slice(0, LONGEST_PROBLEM)}…` : problem;
    throw new WeightsFormatError(`${file}: ${said}. The file is damaged or was not written as safetensors.`);
  };
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
    parsed = JSON.parse(text);
  } catch (error) {
    return fail(`its header is not valid JSON (${(error as Error).message})`);
  }
  if (!text.startsWith("{") || !isRecord(parsed)) return fail("its header does not start with {");
  const flaw = jsonFlaw(text);
  if (flaw !== undefined) return fail(`in its header, ${flaw}`);

  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== "__metadata__")
      tensors.set(
        name,
        parseEntry(value, (problem) => fail(`tensor ${JSON.stringify(name)} ${problem}`)),
      );
  }
  checkLayout(tensors, dataSize, fail);
  return { metadata: parseMetadata(parsed.__metadata__, fail), tensors };
}

type Fail = (problem: string) => never;

function parseEntry(value: unknown, fail: Fail): TensorEntry {
  if (!isRecord(value)) return fail("is not described by an object");
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isStoredDtype(dtype))
    return fail(`has the dtype ${JSON.stringify(dtype)}, which is not one of ${STORED_DTYPES.join(", ")}`);
  if (!isCounts(shape)) return fail(`has the shape ${JSON.stringify(shape)}; expected whole numbers, 0 or more`);
  if (!isCounts(offsets) || offsets.length !== 2)
    return fail(`has the data_offsets ${JSON.stringify(offsets)}; expected two whole numbers`);
  // Once the product is too large to be exact it stays infinite, even if a later size is 0.
  const bits = [...shape, dtypeBits(dtype)].reduce(
    (size, count) => (Number.isSafeInteger(size * count) ? size * count : Infinity),
    1,
  );
  const bytes = bits / 8;
  const [begin, end] = offsets as [number, number];
  if (!Number.isFinite(bytes)) return fail(`of shape [${shape.join(", ")}] is too large`);
  if (!Number.isInteger(bytes)) return fail(`of ${dtype} [${shape.join(", ")}] does not fill whole bytes`);
  if (end - begin !== bytes)
    return fail(`of ${dtype} [${shape.join(", ")}] needs ${bytes} bytes, but its data_offsets give ${end - begin}`);
  return { dtype, shape, begin, end };
}

/** Tensors must follow each other from 0 to the end of the file, without a gap and without overlap. */
function checkLayout(tensors: ReadonlyMap<string, TensorEntry>, dataSize: number, fail: Fail): void {
  let position = 0;
  for (const [name, { begin, end }] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position)
      fail(`tensor ${JSON.stringify(name)} begins at byte ${begin}, where ${position} was expected`);
    position = end;
  }
  if (position > dataSize)
    fail(`its tensors need ${position} bytes, but the file has ${dataSize}: it may be an unfinished download`);
  if (position < dataSize) fail(`${dataSize - position} bytes at its end belong to no tensor`);
}

function parseMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value) || Object.values(value).some((entry) => typeof entry !== "string")) {
    return fail("its __metadata__ must only hold texts");
  }
  return value as Record<string, string>;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && (count as number) >= 0);
}
