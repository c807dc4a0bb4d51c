import { deflateSync } from "node:zlib";

/** A picture to write as a PNG file of any kind. */
export interface PngToBuild {
  width: number;
  height: number;
  depth: 1 | 2 | 4 | 8 | 16;
  /** 0 grey, 2 colours, 3 palette, 4 grey and alpha, 6 colours and alpha. */
  colourType: 0 | 2 | 3 | 4 | 6;
  isInterlaced: boolean;
  /** Sample of channel k at (x, y). */
  sample(x: number, y: number, k: number): number;
  /** Filter of the n-th row of the file, 0 to 4. */
  filter?: (n: number) => number;
  /** PLTE and tRNS. */
  palette?: readonly number[];
  transparency?: readonly number[];
  /** Bytes of each IDAT chunk. Default: all in one. */
  split?: number;
}

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Written directly from the specification; shares no code with the reader. */
export function buildPng(png: PngToBuild): Uint8Array {
  const { width, height, depth, colourType, palette, transparency } = png;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colourType, 0, 0, png.isInterlaced ? 1 : 0], 8);
  const data = deflateSync(pictureBytes(png));
  const split = png.split ?? data.length;
  return Buffer.concat([
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk("IHDR", header),
    ...(palette ? [chunk("PLTE", Uint8Array.from(palette))] : []),
    ...(transparency ? [chunk("tRNS", Uint8Array.from(transparency))] : []),
    ...Array.from({ length: Math.ceil(data.length / split) }, (_, i) =>
      chunk("IDAT", data.subarray(i * split, (i + 1) * split)),
    ),
    chunk("IEND", new Uint8Array()),
  ]);
}

export function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc(body));
  return Buffer.concat([length, body, checksum]);
}

/** Bit by bit, as the specification defines it. */
function crc(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return ~c >>> 0;
}

/** The specification's figure of Adam7: the pass of each pixel of a square of 8. */
const FIGURE = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"];

/** The rows of all passes, each with its filter's number and filtered. */
function pictureBytes(png: PngToBuild): Uint8Array {
  const { width, height, depth, colourType, isInterlaced, sample, filter = () => 0 } = png;
  const step = Math.max(1, (depth * CHANNELS[colourType]) / 8);
  const lines: Uint8Array[] = [];
  for (const pass of isInterlaced ? "1234567" : "0") {
    let above: Uint8Array | undefined;
    for (let y = 0; y < height; y++) {
      const columns = Array.from({ length: width }, (_, x) => x).filter(
        (x) => !isInterlaced || FIGURE[y % 8]![x % 8] === pass,
      );
      if (columns.length === 0) continue;
      const samples = columns.flatMap((x) => Array.from({ length: CHANNELS[colourType] }, (_, k) => sample(x, y, k)));
      const line = packed(samples, depth);
      const kind = filter(lines.length);
      lines.push(Uint8Array.of(kind, ...line.map((byte, i) => byte - predicted(kind, line, above, i, step))));
      above = line;
    }
  }
  return Buffer.concat(lines);
}

function packed(samples: readonly number[], depth: number): Uint8Array {
  const bits = samples.map((sample) => sample.toString(2).padStart(depth, "0")).join("");
  const bytes = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0").match(/.{8}/g) ?? [];
  return Uint8Array.from(bytes, (byte) => parseInt(byte, 2));
}

function predicted(kind: number, line: Uint8Array, above: Uint8Array | undefined, i: number, step: number): number {
  const [a, b, c] = [line[i - step] ?? 0, above?.[i] ?? 0, above?.[i - step] ?? 0];
  if (kind === 0) return 0;
  if (kind === 1) return a;
  if (kind === 2) return b;
  if (kind === 3) return Math.floor((a + b) / 2);
  const p = a + b - c;
  const distances = [a, b, c].map((value) => Math.abs(p - value));
  return [a, b, c][distances.indexOf(Math.min(...distances))]!;
}
