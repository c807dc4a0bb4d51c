import { decodeNumbers, type NumberArray, requireDecodable } from "./dtypes.js";
import { type BytesFrom, openBytes } from "./open-bytes.js";
import type { ByteSource } from "./byte-source.js";
import { WeightsFormatError } from "./errors.js";
import { DEEPEST_NESTING, nestingGuard } from "./nesting.js";
import { headerLength, parseHeader, type TensorInfo } from "./safetensors-header.js";

/** An open safetensors file; its tensors are read one at a time, when asked for. */
export interface SafetensorsFile {
  /** To name it in messages. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * A tensor's numbers; F16, BF16, F8_E4M3 and F8_E5M2 come as float32, which holds each of them exactly. Throws
   * RangeError on an unknown name, WeightsFormatError on a dtype that is listed and not decoded here (F4, C64, …).
   */
  read(name: string): Promise<NumberArray>;
  /** A tensor's bytes as they lie in the file, in a buffer of their own. */
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes the file; what was read stays. */
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
    const length = headerLength(source.name, await source.read(0, Math.min(64, source.size)), source.size);
    const start = 8 + length;
    const { metadata, tensors } = parseHeader(source.name, await readHeader(source, 8, start), source.size - start);
    const entry = (name: string) => {
      const found = tensors.get(name);
      if (!found)
        throw new RangeError(
          `${source.name} has no tensor ${JSON.stringify(name)}; it has ${[...tensors.keys()].slice(0, 5).join(", ")}, …`,
        );
      return found;
    };
    const readBytes = (name: string) => source.read(start + entry(name).begin, start + entry(name).end);
    return {
      name: source.name,
      metadata,
      tensors: new Map([...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
      readBytes,
      read: async (name) => {
        const dtype = requireDecodable(entry(name).dtype, `${source.name}: tensor ${JSON.stringify(name)}`);
        return decodeNumbers(await readBytes(name), dtype);
      },
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Headers of checkpoints are smaller; one that is made to fill the memory is given up after so many bytes. */
const HEADER_PART = 2 ** 20;

async function readHeader(source: ByteSource, begin: number, end: number): Promise<Uint8Array> {
  const passes = nestingGuard();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let at = begin; at < end; at += HEADER_PART) {
    const part = await source.read(at, Math.min(at + HEADER_PART, end));
    if (!passes(part)) {
      throw new WeightsFormatError(
        `${source.name}: its header is nested more than ${DEEPEST_NESTING} deep. The file is damaged or was not written as safetensors.`,
      );
    }
    parts.push(part);
  }
  return parts.length === 1 ? parts[0]! : new Uint8Array(await new Blob(parts).arrayBuffer());
}
