import { describe, expect, it } from "@jest/globals";
import { GRID } from "../faces/artwork.js";
import { FINE, scale2x } from "./scale2x.js";

/** A layer that is opaque red at each x of the drawing. */
function layer(...rows: string[]): Float32Array {
  const cells = new Float32Array(GRID * GRID * 4);
  rows.forEach((row, y) =>
    [...row].forEach((mark, x) => {
      if (mark === "x") cells.set([255, 0, 0, 1], ((y + 4) * GRID + x + 4) * 4);
    }),
  );
  return cells;
}

const draw = (fine: Float32Array, width: number, height: number) =>
  Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (fine[((y + 8) * FINE + x + 8) * 4 + 3] ? "x" : ".")).join(""),
  );

describe("Scale2x", () => {
  it("makes four cells of each, and keeps straight edges straight", () => {
    const fine = scale2x(layer("xx", "xx", "xx"));
    expect(draw(fine, 6, 7).slice(1, 5)).toEqual(["xxxx..", "xxxx..", "xxxx..", "xxxx.."]);
    expect(fine).toHaveLength(FINE * FINE * 4);
  });

  it("rounds corners and smooths stairs", () => {
    expect(draw(scale2x(layer("xx", "xx")), 4, 4)).toEqual([".xx.", "xxxx", "xxxx", ".xx."]);
    expect(draw(scale2x(layer("x..", "xx.", "xxx")), 6, 6)[1]).toBe("xxx...");
  });

  it("keeps a uniform layer uniform up to the border", () => {
    const whole = new Float32Array(GRID * GRID * 4).fill(1);
    expect(scale2x(whole)).toEqual(new Float32Array(FINE * FINE * 4).fill(1));
  });
});
