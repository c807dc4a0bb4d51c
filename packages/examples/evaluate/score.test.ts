import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { type Face, PORTRAIT_ATTRIBUTE_NAMES as ATTRIBUTE_NAMES } from "../datasets/faces/index.js";
import { promptsOf } from "./prompts.js";
import { confusions, judge, packReading, score, scorePairs, unpackReading } from "./score.js";

const FACE: Face = {
  background: "blue",
  skin: "tan",
  hair: "long",
  hairColor: "brown",
  hat: "cap",
  hatColor: "red",
  eyewear: "none",
  beard: "no",
  mouth: "smiling",
  shirt: "plain",
  shirtColor: "red",
};

describe("a verdict", () => {
  it("marks mentioned attributes as right or wrong and leaves out the rest", () => {
    const verdict = judge({ face: FACE, mentioned: ["background", "hat", "hatColor"] }, { ...FACE, hatColor: "blue" });
    expect(verdict).toBe("1---10------");
    expect(verdict).toHaveLength(ATTRIBUTE_NAMES.length);
  });

  it("counts the colour of a missing hat as wrong", () => {
    const { hatColor: _, ...bareheaded } = { ...FACE, hat: "none" } as const;
    expect(judge({ face: FACE, mentioned: ["hatColor"] }, bareheaded)).toBe("-----0------");
  });
});

describe("mistakes", () => {
  it("are counted by requested and drawn value, most frequent first", () => {
    const prompt = { face: FACE, mentioned: ["hat", "hatColor", "beard"] as const };
    const bare = { ...FACE, hat: "none", hatColor: undefined } as const;
    expect(confusions([prompt, prompt, prompt], [FACE, bare, { ...bare, hat: "beanie" }])).toEqual([
      { attribute: "hatColor", asked: "red", drawn: "nothing", count: 2 },
      { attribute: "hat", asked: "cap", drawn: "none", count: 1 },
      { attribute: "hat", asked: "cap", drawn: "beanie", count: 1 },
    ]);
  });
});

describe("a packed reading", () => {
  it("unpacks to the same reading, without attributes that are not shown", () => {
    const { hatColor: _, ...shown } = FACE;
    expect(unpackReading(packReading(shown))).toEqual(shown);
    expect(packReading(shown)).toHaveLength(ATTRIBUTE_NAMES.length);
  });
});

describe("scores", () => {
  it("weight all mentioned attributes equally, and count a picture only if all of them are right", () => {
    const { mean, allRight, attributes } = score([["11111111111", "0----------", "-1---------"]], keyedRandom(0));
    expect(mean.share).toBeCloseTo(12 / 13, 12);
    expect(allRight.share).toBeCloseTo(2 / 3, 12);
    expect(attributes.background?.share).toBe(0.5);
    expect(attributes.skin?.share).toBe(1);
  });

  it("leave out attributes that no prompt mentions", () => {
    expect(Object.keys(score([["1----------"]], keyedRandom(0)).attributes)).toEqual(["background"]);
  });

  it("have the interval of a binomial share when prompts are independent", () => {
    const random = keyedRandom(1);
    const verdicts = Array.from({ length: 1000 }, () => (random.uniform() < 0.9 ? "1-----------" : "0-----------"));
    const { mean } = score([verdicts], keyedRandom(2));
    const halfWidth = 1.96 * Math.sqrt((mean.share * (1 - mean.share)) / 1000);
    // The percentile of 1,000 resamples has a standard error of about 6 % of the half width.
    expect(mean.high - mean.share).toBeGreaterThan(0.8 * halfWidth);
    expect(mean.high - mean.share).toBeLessThan(1.2 * halfWidth);
    expect(mean.share - mean.low).toBeGreaterThan(0.8 * halfWidth);
  });

  it("do not treat three seeds of one prompt as three prompts", () => {
    const verdicts = Array.from({ length: 300 }, (_, i) => (i % 10 === 0 ? "0-----------" : "1-----------"));
    const width = (seeds: string[][]) => {
      const { low, high } = score(seeds, keyedRandom(3)).mean;
      return high - low;
    };
    expect(width([verdicts, verdicts, verdicts]) / width([verdicts])).toBeCloseTo(1, 1);
  });
});

describe("the score of held-out pairs", () => {
  const bound: Face = { ...FACE, hatColor: "red", hairColor: "blue" };
  const prompt = { face: bound, mentioned: ["hatColor", "hairColor"] as const };
  it("counts a pair only if both attributes are right", () => {
    const swapped: Face = { ...bound, hatColor: "blue", hairColor: "green" };
    const half: Face = { ...bound, hairColor: "black" };
    expect(scorePairs([prompt, prompt, prompt, prompt], [[bound, swapped, half, bound]], keyedRandom(0))?.share).toBe(
      0.5,
    );
  });
  it("is undefined if no prompt asks for a pair", () => {
    expect(scorePairs([{ ...prompt, mentioned: ["hatColor"] }], [[bound]], keyedRandom(0))).toBeUndefined();
    expect(
      scorePairs([{ face: FACE, mentioned: ["hatColor", "hairColor"] }], [[FACE]], keyedRandom(0)),
    ).toBeUndefined();
  });
});

describe("prompts", () => {
  it("for choosing a setting are not those for reporting it", () => {
    const [choosing, reporting] = (["choosing", "reporting"] as const).map((purpose) =>
      promptsOf({ purpose, split: "seen", style: "full" }, 200).map(({ text }) => text),
    );
    expect(choosing!.filter((text) => reporting!.includes(text))).toEqual([]);
  });

  it("are the same at each call", () => {
    const set = { purpose: "reporting", split: "held-out", style: "short" } as const;
    expect(promptsOf(set, 10)).toEqual(promptsOf(set, 20).slice(0, 10));
  });
});
