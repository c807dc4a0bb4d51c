import { beforeEach, describe, expect, it } from "@jest/globals";
import { check } from "./check.js";
import { CheckError } from "./errors.js";
import type { Output } from "./output.js";
import { redirectOutput } from "./sink.js";

let shown: Output[];
beforeEach(() => {
  shown = [];
  redirectOutput((output) => shown.push(output));
});

describe("check", () => {
  it("shows both numbers and the tolerance", () => {
    check("pi", 3.14159, Math.PI, 1e-5);
    expect(shown).toEqual([{ kind: "check", text: "pi: got 3.14159, want 3.14159 ± 0.00001" }]);
  });

  it("lets a difference of the tolerance pass, and not a little more", () => {
    expect(() => check("edge", 1.5, 1, 0.5)).not.toThrow();
    expect(() => check("edge", 1.5000001, 1, 0.5)).toThrow(CheckError);
  });

  it("names both numbers where it fails, and shows nothing", () => {
    expect(() => check("sum", 5, 4, 0.1)).toThrow("sum: got 5, want 4; they differ by 1, more than 0.1.");
    expect(shown).toEqual([]);
  });

  it.each([
    [NaN, 1],
    [1, NaN],
    [Infinity, 1],
    [-Infinity, Infinity],
  ])("fails for got %p, want %p", (got, want) => {
    expect(() => check("number", got, want, 1e9)).toThrow(CheckError);
  });

  it.each([NaN, -1, Infinity])("refuses the tolerance %p, with which everything or nothing would pass", (tolerance) => {
    expect(() => check("number", 1, 1, tolerance)).toThrow(RangeError);
  });
});
