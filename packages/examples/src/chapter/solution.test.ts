import { beforeEach, describe, expect, it } from "@jest/globals";
import { ChapterError, CheckError } from "./errors.js";
import type { Output } from "./output.js";
import { redirectOutput } from "./sink.js";
import { collectSolutions, hint, solution } from "./solution.js";

let shown: Output[];
beforeEach(() => {
  shown = [];
  redirectOutput((output) => shown.push(output));
});

/** In a file of solutions of its own. */
const alone = (run: () => Promise<void>) => collectSolutions(run).then(() => undefined);
type Square = (x: number) => number;
const square: Square = (x) => x * x;

describe("solution", () => {
  it("shows the answer", async () => {
    await solution("pi", Math.PI, 0.01);
    expect(shown).toEqual([{ kind: "check", text: "pi: 3.14159 is right" }]);
  });

  it("refuses a second one of the same name", async () => {
    const twice = alone(async () => {
      await solution("e", Math.E, 0.01);
      await solution("e", Math.E, 0.01);
    });
    await expect(twice).rejects.toThrow(ChapterError);
  });

  it("refuses a judge that accepts a wrong answer", async () => {
    const lax = alone(() => solution("square", square, (given) => hint("2²", given(2), 4, 0), [(x) => 2 * x]));
    await expect(lax).rejects.toThrow('solution "square": the judge accepts wrong answer 1; let it test more.');
  });

  it("refuses a judge that does not accept the right answer", async () => {
    const strict = alone(() => solution("square", square, (given) => hint("3²", given(3), 6, 0), [(x) => x]));
    await expect(strict).rejects.toThrow(CheckError);
    await expect(strict).rejects.toThrow('solution "square": its own answer is refused: 3² is too large.');
  });

  it.each([NaN, -1, Infinity])("refuses the tolerance %p", async (tolerance) => {
    await expect(alone(() => solution("pi", Math.PI, tolerance))).rejects.toThrow(RangeError);
  });

  it("waits for a judge that is asynchronous", async () => {
    const late = alone(() =>
      solution("square", square, async (given) => hint("3²", given(3), 9, 0), [square, (x) => x]),
    );
    await expect(late).rejects.toThrow("accepts wrong answer 1");
  });
});

describe("hint", () => {
  it.each([
    [1.1, undefined],
    [1, undefined],
    [0.8, "the mean is too small"],
    [1.2, "the mean is too large"],
    [NaN, "the mean is not a number"],
  ])("of %p is %p", (got, want) => {
    expect(hint("the mean", got, 1, 0.11)).toBe(want);
  });
});
