import { writeWhole } from "../platform.js";
import { type BytesFrom, openBytes } from "./byte-source.js";
import { decodeNumbers, type Dtype, DTYPE_BYTES, encodeNumbers, type NumberArray } from "./dtypes.js";
import { headerLength, parseHeader, type TensorInfo } from "./safetensors-header.js";

/** An open safetensors file; its tensors are read one at a time, when asked for. */
export interface SafetensorsFile {
  /** To name it in messages. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** A tensor's numbers; F16, BF16 and F8 come as float32, which holds each of them exactly. Throws RangeError on an unknown name. */
  read(name: string): Promise<NumberArray>;
  /** A tensor's bytes as they lie in the file. */
  readBytes(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file by reading its header alone, whatever its size. Everything the header says is checked first.
 *
 * @throws WeightsFormatError on anything but a sound safetensors file, saying what it is where that can be told
 */
export async function openSafetensors(from: BytesFrom): Promise<SafetensorsFile> {
  const source = await openBytes(from);
  try {
    const length = headerLength(source.name, await source.read(0, Math.min(8, source.size)), source.size);
    const start = 8 + length;
    const { metadata, tensors } = parseHeader(source.name, await source.read(8, start), source.size - start);
    const entry = (name: string) => {
      const found = tensors.get(name);
      if (!found) throw new RangeError(`${source.name} has no tensor ${JSON.stringify(name)}; it has ${[...tensors.keys()].slice(0, 5).join(", ")}, …`);
      return found;
    };
    const readBytes = (name: string) => source.read(start + entry(name).begin, start + entry(name).end);
    return {
      name: source.name,
      metadata,
      tensors,
      readBytes,
      read: async (name) => decodeNumbers(await readBytes(name), entry(name).dtype),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** A tensor to be written. Float arrays are converted to F16 or BF16 when that is the dtype; Uint16Array gives their bits. */
export interface TensorToWrite extends TensorInfo {
  readonly data: NumberArray;
}

/** Tensors by name, as a Map or a plain object. */
export type TensorsToWrite = ReadonlyMap<string, TensorToWrite> | Readonly<Record<string, TensorToWrite>>;

/**
 * Writes a safetensors file, whole or not at all; equal, byte for byte, to what the Python package writes for the same
 * tensors (with more than one entry in `metadata`, Python's order of those is random).
 */
export async function writeSafetensors(path: string, tensors: TensorsToWrite, metadata?: Readonly<Record<string, string>>): Promise<void> {
  await writeWhole(path, safetensorsChunks(tensors, metadata));
}

/** As {@link writeSafetensors}, in memory. */
export function encodeSafetensors(tensors: TensorsToWrite, metadata?: Readonly<Record<string, string>>): Uint8Array {
  const chunks = [...safetensorsChunks(tensors, metadata)];
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0));
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.byteLength;
  }
  return bytes;
}

/** The reference implementation's order of dtypes, in which tensors are laid out from the last to the first. */
const DTYPE_ORDER: readonly Dtype[] = [
  "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64",
]; // prettier-ignore

function* safetensorsChunks(tensors: TensorsToWrite, metadata?: Readonly<Record<string, string>>): Generator<Uint8Array> {
  const entries: [string, TensorToWrite][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const sorted = entries.sort(
    ([nameA, a], [nameB, b]) => DTYPE_ORDER.indexOf(b.dtype) - DTYPE_ORDER.indexOf(a.dtype) || compareCodePoints(nameA, nameB),
  );
  let position = 0;
  const described = sorted.map(([name, { dtype, shape, data }]) => {
    const size = shape.reduce((product, count) => product * count, 1);
    if (data.length !== size) {
      throw new RangeError(`Tensor ${JSON.stringify(name)} has ${data.length} numbers; its shape [${shape.join(", ")}] takes ${size}.`);
    }
    const begin = position;
    position += size * DTYPE_BYTES[dtype];
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, position] })}`;
  });
  const parts = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`, ...described] : described;
  yield* headerChunks(`{${parts.join(",")}}`);
  for (const [, { data, dtype }] of sorted) yield encodeNumbers(data, dtype);
}

/** The header's length and its JSON, filled up with spaces to a multiple of 8 bytes. */
function headerChunks(json: string): Uint8Array[] {
  const text = new TextEncoder().encode(json);
  const padded = new Uint8Array(Math.ceil(text.byteLength / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.byteLength), true);
  return [length, padded];
}

/** Order of the UTF-8 bytes, which that of code points is and that of JavaScript's own comparison is not. */
function compareCodePoints(a: string, b: string): number {
  const [pointsA, pointsB] = [[...a], [...b]];
  for (let i = 0; i < Math.min(pointsA.length, pointsB.length); i++) {
    const difference = pointsA[i]!.codePointAt(0)! - pointsB[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return pointsA.length - pointsB.length;
}
