import { describe, expect, it } from "@jest/globals";
import { pythonCode, typescriptCode } from "./drawing-code.js";
import { DEFAULTS, type DrawSettings, fromHash, toHash } from "./settings.js";
import { markUnknown } from "./unknown-words.js";

const changed: DrawSettings = {
  prompt: 'a "man" & a hat #2',
  negativePrompt: "glasses",
  guidanceScale: 4.5,
  steps: 20,
  sampler: "UniPCMultistepScheduler",
  seed: 4294967295,
  width: 48,
  height: 32,
  fewSteps: false,
  strength: 0.4,
};

describe("The settings in an address", () => {
  it("come back as they were, and those that are as usual are left out", () => {
    expect(fromHash(`#${toHash(changed)}`)).toEqual(changed);
    expect(toHash(DEFAULTS)).toBe("");
    expect(toHash({ ...DEFAULTS, seed: 3 })).toBe("seed=3");
  });

  it("keep their ranges, whatever is written there", () => {
    const read = fromHash("#steps=1e9&seed=-4&guidanceScale=NaN&width=7&sampler=toString&strength=&prompt=&zzz=1");
    expect(read).toEqual({ ...DEFAULTS, steps: 50, prompt: "" });
    expect(fromHash("#fewSteps=true&steps=50").steps).toBe(8);
  });
});

describe("The words of a sentence", () => {
  const unknown = (text: string) => markUnknown(text).flatMap((part) => (part.isKnown ? [] : part.text));

  it("are marked if no caption has them", () => {
    expect(unknown("A smiling Woman, with a zebra's hat; naïve 42")).toEqual(["zebra's", "naïve", "42"]);
    expect(unknown("a man with long blonde hair and round glasses")).toEqual([]);
  });

  it("are the sentence, put together again", () => {
    for (const text of ["", "  ", "zebra zebra", "a zebra  - a man!", "(mohawk:1.3)"]) {
      expect(
        markUnknown(text)
          .map((part) => part.text)
          .join(""),
      ).toBe(text);
    }
  });
});

it("The programs that draw the same write texts as their languages do", () => {
  expect(typescriptCode(changed)).toContain('prompt: "a \\"man\\" & a hat #2",');
  expect(pythonCode(changed)).toContain('    "a \\"man\\" & a hat #2",\n    negative_prompt="glasses",');
  expect(pythonCode({ ...changed, fewSteps: true })).toMatch(/LCMScheduler[^]*load_lora_weights[^]*guidance_scale=1,/);
  expect(typescriptCode({ ...DEFAULTS, negativePrompt: "" })).not.toContain("negativePrompt");
});
