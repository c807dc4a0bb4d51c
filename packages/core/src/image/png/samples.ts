import { notReadable } from "./chunks.js";
import { type Pass, passesOf, type PngHeader } from "./header.js";

/** The size in bytes of a picture's rows before compression; each row begins with the number of its filter. */
export function rawSize(header: PngHeader): number {
  return passesOf(header).reduce((size, { rows, rowBytes }) => size + rows * (1 + rowBytes), 0);
}

/** The samples of a picture, row by row, `channels` per pixel. Works in place in `raw`, the unpacked bytes. */
export function unpackSamples(header: PngHeader, raw: Uint8Array): Uint8Array | Uint16Array {
  const { width, height, channels, depth } = header;
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  let at = 0;
  for (const pass of passesOf(header)) {
    const bytes = raw.subarray(at, at + pass.rows * (1 + pass.rowBytes));
    undoFilters(bytes, pass, Math.ceil((depth * channels) / 8));
    copySamples(bytes, pass, header, samples);
    at += bytes.length;
  }
  return samples;
}

/** Filters (9.2) by number: the value added to a byte, from its neighbours to the left, above, and above left. */
const FILTERS: readonly ((left: number, above: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_, above) => above,
  (left, above) => (left + above) >> 1,
  paeth,
];

/** The neighbour that is nearest to left + above - corner. */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** Turns the rows of a pass, in place, from differences into bytes; `step` bytes to the left is the same channel. */
function undoFilters(bytes: Uint8Array, { rows, rowBytes }: Pass, step: number): void {
  const stride = 1 + rowBytes;
  for (let row = 0; row < rows; row++) {
    const start = row * stride + 1;
    const filter = FILTERS[bytes[start - 1]!];
    if (!filter) throw notReadable(`row ${row} has the filter ${bytes[start - 1]}; there are 0 to 4`);
    for (let i = 0; i < rowBytes; i++) {
      const at = start + i;
      const left = i < step ? 0 : bytes[at - step]!;
      const above = row === 0 ? 0 : bytes[at - stride]!;
      const corner = row === 0 || i < step ? 0 : bytes[at - stride - step]!;
      bytes[at]! += filter(left, above, corner);
    }
  }
}

/** Puts the samples of a pass in their place. Samples of fewer than 8 bits fill a byte from its highest bit. */
function copySamples(
  bytes: Uint8Array,
  { x, y, dx, dy, columns, rows, rowBytes }: Pass,
  { width, channels, depth }: PngHeader,
  samples: Uint8Array | Uint16Array,
): void {
  const mask = 2 ** depth - 1;
  for (let row = 0; row < rows; row++) {
    const start = row * (1 + rowBytes) + 1;
    for (let i = 0; i < columns * channels; i++) {
      const bit = i * depth;
      const at = start + (bit >> 3);
      const sample = depth === 16 ? (bytes[at]! << 8) | bytes[at + 1]! : (bytes[at]! >> (8 - depth - (bit & 7))) & mask;
      const pixel = (y + row * dy) * width + x + Math.floor(i / channels) * dx;
      samples[pixel * channels + (i % channels)] = sample;
    }
  }
}
