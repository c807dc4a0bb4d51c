import { decodeNumbers, type NumberArray } from "./dtypes.js";
import { type BytesFrom, openBytes } from "./open-bytes.js";
import { headerLength, parseHeader, type TensorInfo } from "./safetensors-header.js";

/** An open safetensors file; its tensors are read one at a time, when asked for. */
export interface SafetensorsFile {
  /** To name it in messages. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * A tensor's numbers; F16, BF16 and F8 come as float32, which holds each of them exactly. Throws RangeError on an
   * unknown name.
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
    const { metadata, tensors } = parseHeader(source.name, await source.read(8, start), source.size - start);
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
      read: async (name) => decodeNumbers(await readBytes(name), entry(name).dtype),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}
