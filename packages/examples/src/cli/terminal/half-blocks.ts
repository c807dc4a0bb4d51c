/** A picture in bytes: rows of pixels, red, green, blue. */
export interface Pixels {
  width: number;
  height: number;
  /** height x width x 3 numbers, 0 to 255. */
  data: Uint8Array;
}

/** 24: any colour; 8: the 256 of xterm's palette. */
export type ColorDepth = 8 | 24;

/**
 * The colour depth of the terminal in bits. Undefined if no colours should be written: to a file or a pipe, with
 * NO_COLOR, or on a terminal without colours.
 */
export function colorDepth(
  stream: NodeJS.WriteStream = process.stdout,
  environment = process.env,
): ColorDepth | undefined {
  if (!stream.isTTY || environment.NO_COLOR) return undefined;
  const depth = stream.getColorDepth(environment);
  return depth === 8 || depth === 24 ? depth : undefined;
}

/**
 * The picture as text. Each character is an upper half block: its colour is the upper pixel, its background the lower
 * one, so that pixels are about square. An odd last row has no background.
 */
export function halfBlocks({ width, height, data }: Pixels, depth: ColorDepth): string {
  const pixel = (x: number, y: number) => data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3);
  const color = depth === 24 ? trueColor : paletteColor;
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "";
    for (let x = 0; x < width; x++) {
      const lower = y + 1 < height ? `48;${color(pixel(x, y + 1))}` : "49";
      line += `\x1b[38;${color(pixel(x, y))};${lower}m▀`;
    }
    lines.push(`${line}\x1b[0m`);
  }
  return lines.join("\n");
}

function trueColor(rgb: Uint8Array): string {
  return `2;${rgb.join(";")}`;
}

/** xterm's palette has a 6 x 6 x 6 cube of colours from number 16 on, at these levels in each channel. */
const CUBE_LEVELS = [0, 95, 135, 175, 215, 255];

function paletteColor(rgb: Uint8Array): string {
  const [r, g, b] = Array.from(rgb, nearestLevel) as [number, number, number];
  return `5;${16 + 36 * r + 6 * g + b}`;
}

function nearestLevel(value: number): number {
  const distances = CUBE_LEVELS.map((level) => Math.abs(level - value));
  return distances.indexOf(Math.min(...distances));
}
