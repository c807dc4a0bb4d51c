import { notReadable } from "./chunks.js";

/** The content of IHDR (PNG specification, 11.2.1). */
export interface PngHeader {
  width: number;
  height: number;
  /** Bits per sample. */
  depth: number;
  /** Samples per pixel: 1 grey or palette index, 2 grey and alpha, 3 colours, 4 colours and alpha. */
  channels: 1 | 2 | 3 | 4;
  /** Samples are indices into the palette. */
  hasPalette: boolean;
  isInterlaced: boolean;
}

/** By colour type: samples per pixel, and the allowed depths (table 11.1). */
const COLOUR_TYPES = new Map<number, { channels: PngHeader["channels"]; depths: readonly number[] }>([
  [0, { channels: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { channels: 3, depths: [8, 16] }],
  [3, { channels: 1, depths: [1, 2, 4, 8] }],
  [4, { channels: 2, depths: [8, 16] }],
  [6, { channels: 4, depths: [8, 16] }],
]);
const PALETTE = 3;

/** @throws ImageError for a header that the specification does not allow */
export function parseHeader(data: Uint8Array): PngHeader {
  if (data.length !== 13) throw notReadable(`its header has ${data.length} bytes; expected 13`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colourType, compression, filter, interlace] = [...data.subarray(8)] as [
    ...[number, number, number, number, number],
  ];
  const kind = COLOUR_TYPES.get(colourType);
  if (!kind?.depths.includes(depth)) throw notReadable(`colour type ${colourType} of ${depth} bits does not exist`);
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw notReadable(`compression ${compression}, filter ${filter}, interlace ${interlace} are unknown`);
  }
  return {
    width,
    height,
    depth,
    channels: kind.channels,
    hasPalette: colourType === PALETTE,
    isInterlaced: interlace === 1,
  };
}

/** One pass of the file: every dx-th pixel of every dy-th row, beginning at (x, y). */
export interface Pass {
  x: number;
  y: number;
  dx: number;
  dy: number;
  columns: number;
  rows: number;
  /** Bytes of a row, without its filter byte. */
  rowBytes: number;
}

/** Adam7 (8.2): x, y, dx, dy of the seven passes. */
const ADAM7: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** The passes that have pixels, in the order of the file: one, or up to seven if it is interlaced. */
export function passesOf({ width, height, depth, channels, isInterlaced }: PngHeader): Pass[] {
  const grids = isInterlaced ? ADAM7 : [[0, 0, 1, 1] as const];
  return grids
    .map(([x, y, dx, dy]) => {
      const columns = Math.ceil((width - x) / dx);
      const rows = Math.ceil((height - y) / dy);
      return { x, y, dx, dy, columns, rows, rowBytes: Math.ceil((columns * channels * depth) / 8) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}
