import { decodeNumbers, type NumberArray, requireDecodable } from "./dtypes.js";
import { requireLive } from "../platform/disposed.js";
import { type BytesFrom, openBytes } from "./open-bytes.js";
import type { ByteSource } from "./byte-source.js";
import { WeightsFormatError } from "./errors.js";
import { DEEPEST_NESTING, nestingGuard } from "../platform/nesting.js";
import { headerLength, parseHeader, type TensorInfo } from "./safetensors-header.js";

/** An open safetensors file. `read` reads one tensor. */
export interface SafetensorsFile {
  /** Its name in messages. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * A tensor's numbers. F16, BF16, F8_E4M3 and F8_E5M2 become float32, which represents each of them exactly.
   * @throws RangeError for an unknown name; WeightsFormatError for a dtype that is not decoded here (F4, C64, …);
   *   DisposedError after {@link close}
   */
  read(name: string): Promise<NumberArray>;
  /** A tensor's bytes as in the file, in a new buffer. */
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes the file. Tensors that were read stay valid. */
  close(): Promise<void>;
}

/**
 * Opens a safetensors file of any size by reading only its header, which is checked completely.
 *
 * @throws WeightsFormatError for any other or damaged file, saying what it probably is
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
    let isClosed = false;
    const readBytes = async (name: string) => {
      requireLive(isClosed, source.name, "open it again to read from it");
      return source.read(start + entry(name).begin, start + entry(name).end);
    };
    return {
      name: source.name,
      metadata,
      tensors: new Map([...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
      readBytes,
      read: async (name) => {
        const dtype = requireDecodable(entry(name).dtype, `${source.name}: tensor ${JSON.stringify(name)}`);
        return decodeNumbers(await readBytes(name), dtype);
      },
      close: async () => {
        isClosed = true;
        await source.close();
      },
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Headers of checkpoints are smaller. Larger ones are read in parts of this size, so that a malicious header is refused
 * before it fills the memory.
 */
const HEADER_PART = 2 ** 20;

async function readHeader(source: ByteSource, begin: number, end: number): Promise<Uint8Array> {
  const passes = nestingGuard();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let at = begin; at < end; at += HEADER_PART) {
    const part = await source.read(at, Math.min(at + HEADER_PART, end));
    if (!passes(part)) {
      throw new WeightsFormatError(
        `${source.name}: its header is nested more than ${DEEPEST_NESTING} levels deep. The file is damaged or was not written as safetensors.`,
      );
    }
    parts.push(part);
  }
  return parts.length === 1 ? parts[0]! : new Uint8Array(await new Blob(parts).arrayBuffer());
}
