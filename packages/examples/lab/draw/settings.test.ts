import { describe, expect, it } from "@jest/globals";
import { pythonCode, typescriptCode } from "./drawing-code.js";
import { defaultsOf, type DrawModel, type DrawSettings, fromHash, PORTRAITS, toHash } from "./settings.js";
import { markUnknown } from "./unknown-words.js";

const DEFAULTS = defaultsOf(PORTRAITS);
const changed: DrawSettings = {
  model: "portraits",
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

/** A model of a server: no negative prompt, and no few steps. */
const LARGE: DrawModel = {
  name: "large",
  width: 512,
  height: 512,
  steps: 20,
  guidanceScale: 7.5,
  samplers: { Euler: "Euler", UniPC: "UniPC" },
  sampler: "Euler",
  takes: { negativePrompt: false, guidanceScale: true, image: false, mask: false, fewSteps: false },
};

describe("The settings in an address", () => {
  it("come back as they were, and those that are as usual are left out", () => {
    expect(fromHash(`#${toHash(changed, [PORTRAITS])}`, [PORTRAITS])).toEqual(changed);
    expect(toHash(DEFAULTS, [PORTRAITS])).toBe("");
    expect(toHash({ ...DEFAULTS, seed: 3 }, [PORTRAITS])).toBe("seed=3");
  });

  it("are read for their model", () => {
    const models = [PORTRAITS, LARGE];
    const settings = { ...defaultsOf(LARGE), width: 1024, steps: 3 };
    expect(toHash(settings, models)).toBe("model=large&steps=3&width=1024");
    expect(fromHash("#model=large&steps=3&width=1024&fewSteps=true&sampler=UniPCMultistepScheduler", models)).toEqual(
      settings,
    );
    expect(fromHash("#model=unknown&width=1024", models)).toEqual(DEFAULTS);
  });

  it("keep their ranges, whatever is written there", () => {
    const read = fromHash("#steps=1e9&seed=-4&guidanceScale=NaN&width=7&sampler=toString&strength=&prompt=&zzz=1", [
      PORTRAITS,
    ]);
    expect(read).toEqual({ ...DEFAULTS, steps: 50, prompt: "" });
    expect(fromHash("#fewSteps=true&steps=50", [PORTRAITS]).steps).toBe(8);
  });
});

describe("The words of a sentence", () => {
  const unknown = (text: string) =>
    markUnknown(text, PORTRAITS.words!).flatMap((part) => (part.isKnown ? [] : part.text));

  it("are marked if no caption has them", () => {
    expect(unknown("A smiling Woman, with a zebra's hat; naïve 42")).toEqual(["zebra's", "naïve", "42"]);
    expect(unknown("a man with long blonde hair and round glasses")).toEqual([]);
  });

  it("are the sentence, put together again", () => {
    for (const text of ["", "  ", "zebra zebra", "a zebra  - a man!", "(mohawk:1.3)"]) {
      expect(
        markUnknown(text, PORTRAITS.words!)
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
