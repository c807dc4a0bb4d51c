import { sizeOf } from "../platform/size-of.js";
import { writeWhole } from "../platform/write-files.js";
import { dtypeBits, encodeNumbers, isDecodable, type NumberArray, type StoredDtype } from "./dtypes.js";
import { MAX_HEADER_BYTES, type TensorInfo } from "./safetensors-header.js";

/**
 * A tensor to be written. A Float32Array is rounded if the dtype is F16 or BF16. Any other array must hold the bits: a
 * Uint16Array those of F16, a Uint8Array the bytes of a dtype that is not decoded here. A function is called when the
 * tensor is written, so that not all tensors are in memory at once.
 */
export interface TensorToWrite extends TensorInfo {
  /** The numbers of the tensor, or their bytes, in row-major order. */
  readonly data: NumberArray | (() => NumberArray | Promise<NumberArray>);
}

/** Tensors by name, as a Map or a plain object. */
export type TensorsToWrite = ReadonlyMap<string, TensorToWrite> | Readonly<Record<string, TensorToWrite>>;

export type Metadata = Readonly<Record<string, string>>;

/**
 * Writes a safetensors file (Node), completely or not at all. It equals the file of the Python package for the same
 * tensors byte for byte. (With more than one entry in `metadata`, Python's order of the entries is random.)
 *
 * @throws TypeError, RangeError for tensors that cannot be written, before anything is written
 */
export async function writeSafetensors(path: string, tensors: TensorsToWrite, metadata?: Metadata): Promise<void> {
  await writeWhole(path, safetensorsChunks(tensors, metadata));
}

/** {@link writeSafetensors} to memory. */
export async function encodeSafetensors(
  tensors: TensorsToWrite,
  metadata?: Metadata,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of safetensorsChunks(tensors, metadata)) chunks.push(chunk);
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0));
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.byteLength;
  }
  return bytes;
}

/** The reference implementation's order of dtypes, in which tensors are laid out from the last to the first. */
const DTYPE_ORDER: readonly StoredDtype[] = [
  ...(["BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8"] as const),
  ...(["F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"] as const),
  ...(["I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64"] as const),
];

/** The parts of the file in order. Everything that can be checked in advance is checked before the first part. */
function safetensorsChunks(tensors: TensorsToWrite, metadata: Metadata | undefined): AsyncGenerator<Uint8Array> {
  const entries = isMap(tensors) ? [...tensors] : Object.entries(tensors);
  for (const [name, tensor] of entries) checkTensor(name, tensor);
  for (const [key, value] of Object.entries(metadata ?? {})) {
    requireUnicode(key);
    if (typeof value !== "string")
      throw new TypeError(`Metadata ${JSON.stringify(key)} is not text, which metadata must be. Use JSON.stringify.`);
    requireUnicode(value);
  }
  const sorted = entries.sort(
    ([nameA, a], [nameB, b]) =>
      DTYPE_ORDER.indexOf(b.dtype) - DTYPE_ORDER.indexOf(a.dtype) || compareCodePoints(nameA, nameB),
  );
  const header = headerBytes(sorted, metadata);
  return (async function* () {
    yield header;
    for (const [name, { dtype, shape, data }] of sorted) {
      const numbers = typeof data === "function" ? await data() : data;
      checkSize(name, dtype, shape, numbers);
      yield encodeNumbers(numbers, dtype);
    }
  })();
}

function isMap(tensors: TensorsToWrite): tensors is ReadonlyMap<string, TensorToWrite> {
  return tensors instanceof Map;
}

function checkTensor(name: string, { dtype, shape, data }: TensorToWrite): void {
  requireUnicode(name);
  if (name === "__metadata__")
    throw new RangeError('No tensor can have the name "__metadata__", which safetensors files use for metadata.');
  if (!DTYPE_ORDER.includes(dtype))
    throw new TypeError(
      `Tensor ${JSON.stringify(name)} has the dtype ${dtype}; expected one of ${DTYPE_ORDER.join(", ")}.`,
    );
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new RangeError(
      `Tensor ${JSON.stringify(name)} has the shape ${JSON.stringify(shape)}; expected whole numbers, 0 or more.`,
    );
  }
  if (typeof data === "function") return;
  if (!ArrayBuffer.isView(data))
    throw new TypeError(
      `Tensor ${JSON.stringify(name)} has data that are not a typed array; give a Float32Array or another typed array.`,
    );
  checkSize(name, dtype, shape, data);
  encodeNumbers(data.subarray(0, 0), dtype);
}

function checkSize(name: string, dtype: StoredDtype, shape: readonly number[], { length }: NumberArray): void {
  const [wanted, unit] = isDecodable(dtype) ? [sizeOf(shape), "numbers"] : [bytesOf(dtype, shape), "bytes"];
  if (length === wanted) return;
  throw new RangeError(
    `Tensor ${JSON.stringify(name)} has ${length} ${unit}; its shape [${shape.join(", ")}] needs ${wanted}.`,
  );
}

/** Bytes of a tensor. */
export function bytesOf(dtype: StoredDtype, shape: readonly number[]): number {
  return (sizeOf(shape) * dtypeBits(dtype)) / 8;
}

function requireUnicode(text: string): void {
  if (/\p{Surrogate}/u.test(text))
    throw new RangeError(`${JSON.stringify(text)} has half a surrogate pair, which UTF-8 cannot represent.`);
}

/** The header: its length, and its JSON padded with spaces to a multiple of 8 bytes. */
function headerBytes(sorted: readonly [string, TensorToWrite][], metadata: Metadata | undefined): Uint8Array {
  let position = 0;
  const described = sorted.map(([name, { dtype, shape }]) => {
    const begin = position;
    position += bytesOf(dtype, shape);
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, position] })}`;
  });
  const parts = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`, ...described] : described;
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES)
    throw new RangeError(
      `The header would have ${length} bytes; readers accept at most ${MAX_HEADER_BYTES}. Shorten the metadata.`,
    );
  const bytes = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

/** Compares by code points, which is the order of the UTF-8 bytes. JavaScript's own comparison is not. */
function compareCodePoints(a: string, b: string): number {
  const [pointsA, pointsB] = [[...a], [...b]];
  for (let i = 0; i < Math.min(pointsA.length, pointsB.length); i++) {
    const difference = pointsA[i]!.codePointAt(0)! - pointsB[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return pointsA.length - pointsB.length;
}
