import { ImageError } from "../image-error.js";

/** One part of a PNG file: four letters that say what it is, and its data (a view of the file's bytes). */
export interface Chunk {
  type: string;
  data: Uint8Array;
}

/** An error that says what is wrong with a file. */
export function notReadable(problem: string, cause?: unknown): ImageError {
  return new ImageError(`this is not a readable PNG file (${problem}).`, { cause });
}

export const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

/** Whether the bytes begin with PNG's signature. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/**
 * The chunks of a PNG file up to IEND, each with its checksum compared (PNG specification, 5.3). Bytes after IEND are
 * ignored.
 *
 * @throws ImageError for a file that is cut off, damaged, or not a PNG file
 */
export function* readChunks(bytes: Uint8Array): Generator<Chunk> {
  if (!isPng(bytes)) throw notReadable("it does not begin with PNG's signature");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; ;) {
    if (at + 12 > bytes.length) throw notReadable("it is cut off before its last chunk, IEND");
    const length = view.getUint32(at);
    const end = at + 8 + length;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (end + 4 > bytes.length) throw notReadable(`it is cut off in its chunk ${JSON.stringify(type)}`);
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw notReadable(`the checksum of its chunk ${JSON.stringify(type)} is wrong: it is damaged`);
    }
    if (type === "IEND") return;
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + 4;
  }
}

/** A PNG file of these chunks, with its signature, checksums and IEND. */
export function writeChunks(chunks: readonly Chunk[]): Uint8Array {
  const all = [...chunks, { type: "IEND", data: new Uint8Array() }];
  const bytes = new Uint8Array(SIGNATURE.length + all.reduce((size, { data }) => size + 12 + data.length, 0));
  const view = new DataView(bytes.buffer);
  bytes.set(SIGNATURE);
  let at = SIGNATURE.length;
  for (const { type, data } of all) {
    const end = at + 8 + data.length;
    view.setUint32(at, data.length);
    for (let i = 0; i < 4; i++) bytes[at + 4 + i] = type.charCodeAt(i);
    bytes.set(data, at + 8);
    view.setUint32(end, crc32(bytes.subarray(at + 4, end)));
    at = end + 4;
  }
  return bytes;
}

/** CRC-32 of a byte: the remainder of its bits divided by the polynomial 0xEDB88320, bits in reverse order. */
const CRC_OF_BYTE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
  return remainder;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_OF_BYTE[(crc ^ bytes[i]!) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
