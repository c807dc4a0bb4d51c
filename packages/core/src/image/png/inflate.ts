import { Inflate } from "fflate";
import { notReadable } from "./chunks.js";

/** Bytes unpacked at a time: deflate makes at most 1032 bytes of one, so a step never takes more than 4 MB. */
const STEP = 4096;
const LARGEST_RATIO = 1032;

/**
 * Unpacks the zlib stream (RFC 1950) in the joined parts into exactly `size` bytes, and compares its checksum. It stops
 * at the first byte beyond `size`, so that a small file cannot fill the memory.
 *
 * @throws ImageError
 */
export function inflateExactly(parts: readonly Uint8Array[], size: number): Uint8Array {
  const stream = joined(parts);
  const [method = 0, flags = 0] = stream;
  if (stream.length < 6 || (method & 15) !== 8 || ((method << 8) | flags) % 31 !== 0 || flags & 32) {
    throw notReadable("its pixels are not compressed with zlib");
  }
  const packed = stream.subarray(2, -4);
  const cut = "its pixels are cut off";
  if (size > packed.length * LARGEST_RATIO) throw notReadable(cut);

  const bytes = new Uint8Array(size);
  let filled = 0;
  const inflate = new Inflate((part) => {
    if (filled + part.length > size) throw notReadable("it has more data than its width and height need");
    bytes.set(part, filled);
    filled += part.length;
  });
  try {
    for (let at = 0; at < packed.length; at += STEP) {
      inflate.push(packed.subarray(at, at + STEP), at + STEP >= packed.length);
    }
  } catch (error) {
    // Only errors of fflate have a code.
    if (error instanceof Error && "code" in error) throw notReadable(`its pixels: ${error.message}`, error);
    throw error;
  }
  if (filled < size) throw notReadable(cut);
  const checksum = new DataView(stream.buffer, stream.byteOffset + stream.length - 4).getUint32(0);
  if (checksum !== adler32(bytes)) throw notReadable("the checksum of its pixels is wrong: it is damaged");
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** zlib's checksum: the sum of all bytes, and the sum of those sums, each modulo 65521. */
function adler32(bytes: Uint8Array): number {
  /** After this many bytes the sums are still below 2^53, and the remainder is taken. */
  const block = 1 << 16;
  let [a, b] = [1, 0];
  for (let start = 0; start < bytes.length; start += block) {
    const end = Math.min(start + block, bytes.length);
    for (let i = start; i < end; i++) {
      a += bytes[i]!;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b * 65536 + a;
}
