import { describe, expect, it } from "@jest/globals";
import { colorDepth, halfBlocks } from "./half-blocks.js";

const pixels = (width: number, height: number, ...data: number[]) => ({ width, height, data: Uint8Array.from(data) });

describe("Half blocks", () => {
  it("show an upper pixel as the block's colour and the lower as its background", () => {
    const picture = pixels(1, 2, 255, 0, 0, 0, 0, 255);
    expect(halfBlocks(picture, 24)).toBe("\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m");
  });

  it("are one line for two rows, and set no background below an odd last row", () => {
    const grey = pixels(2, 3, ...Array<number>(18).fill(128));
    const lines = halfBlocks(grey, 24).split("\n");
    expect(lines).toHaveLength(2);
    expect(lines.map((line) => line.match(/▀/g)?.length)).toEqual([2, 2]);
    expect(lines[1]).toBe(`${"\x1b[38;2;128;128;128;49m▀".repeat(2)}\x1b[0m`);
  });

  it.each([
    [[0, 0, 0], 16],
    [[255, 255, 255], 231],
    [[255, 0, 0], 196],
    [[0, 0, 255], 21],
    [[100, 130, 180], 16 + 36 * 1 + 6 * 2 + 3],
  ])("take the nearest of xterm's colours for %j where there are 256: %d", (rgb, color) => {
    expect(halfBlocks(pixels(1, 1, ...rgb), 8)).toBe(`\x1b[38;5;${color};49m▀\x1b[0m`);
  });
});

describe("Colours of a terminal", () => {
  const terminal = (isTTY: boolean, depth: number) => ({ isTTY, getColorDepth: () => depth }) as NodeJS.WriteStream;

  it("have the depth of the terminal, if that is enough for a picture", () => {
    expect([24, 8, 4, 1].map((depth) => colorDepth(terminal(true, depth), {}))).toEqual([24, 8, undefined, undefined]);
  });

  it("are not written to a file or a pipe, or with NO_COLOR", () => {
    expect(colorDepth(terminal(false, 24), {})).toBeUndefined();
    expect(colorDepth(terminal(true, 24), { NO_COLOR: "1" })).toBeUndefined();
    expect(colorDepth(terminal(true, 24), { NO_COLOR: "" })).toBe(24); // As no-color.org has it: only when not empty.
  });
});
