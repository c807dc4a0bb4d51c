import { notReadable } from "./chunks.js";

/** Deflate makes at most this many bytes of one. */
const LARGEST_RATIO = 1032;

const WRONG_CHECKSUM = "the checksum of its pixels is wrong: it is damaged";

/**
 * Unpacks the zlib stream (RFC 1950) in the joined parts into exactly `size` bytes, and compares its checksum. It stops
 * at the first bytes beyond `size`, so that a small file cannot fill the memory.
 *
 * @throws ImageError
 */
export async function inflateExactly(parts: readonly Uint8Array[], size: number): Promise<Uint8Array> {
  const stream = joined(parts);
  const [method = 0, flags = 0] = stream;
  if (stream.length < 6 || (method & 15) !== 8 || ((method << 8) | flags) % 31 !== 0 || flags & 32) {
    throw notReadable("its pixels are not compressed with zlib");
  }
  const cut = "its pixels are cut off";
  if (size > stream.length * LARGEST_RATIO) throw notReadable(cut);

  const bytes = new Uint8Array(size);
  let filled = 0;
  const reader = new Blob([stream]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const next = () =>
    reader.read().catch((error: Error) => {
      throw notReadable(/data check/.test(error.message) ? WRONG_CHECKSUM : `its pixels: ${error.message}`, error);
    });
  try {
    for (let { done, value } = await next(); !done; { done, value } = await next()) {
      if (filled + value!.length > size) throw notReadable("it has more data than its width and height need");
      bytes.set(value!, filled);
      filled += value!.length;
    }
  } finally {
    void reader.cancel().catch(() => {}); // A stream that has failed cannot be cancelled.
  }
  if (filled < size) throw notReadable(cut);
  // Some systems ignore what follows the stream; no picture may depend on that.
  const checksum = new DataView(stream.buffer, stream.length - 4).getUint32(0);
  if (checksum !== adler32(bytes)) throw notReadable(WRONG_CHECKSUM);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
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
