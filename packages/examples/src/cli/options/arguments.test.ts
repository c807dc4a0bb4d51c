import { describe, expect, it } from "@jest/globals";
import { alignYourSteps } from "@tfjs-diffusion/schedulers";
import { type DrawArguments, readDrawArguments } from "./arguments.js";
import { packagePath } from "../../package-folder.js";
import { SHIPPED } from "./shipped.js";
import { UsageError } from "./usage-error.js";

describe("The command line", () => {
  it("without arguments draws the examples, with every option at its default", () => {
    expect(readDrawArguments([])).toEqual({
      shipped: "portraits",
      model: packagePath("weights", "portraits"),
      prompts: [],
      options: { guidanceScale: SHIPPED.portraits.guidance, numInferenceSteps: SHIPPED.portraits.steps },
      seed: 0,
      count: 4,
      paste: false,
      loras: [],
      words: [],
      open: {},
    });
  });

  it("takes every option, before and after the sentence", () => {
    const args =
      "--steps 10 --guidance=-1.5 --seed 7 --count 2 --sampler ddpm --backend cpu --out x.png --negative hat " +
      "--init a.png --mask m.png --mask-blur 2 --strength 0.5 --lora sepia:0.5 --lora few-steps --model faces";
    expect(readDrawArguments([...args.split(" "), "a face"])).toMatchObject({
      shipped: "faces",
      model: packagePath("weights", "faces"),
      image: "a.png",
      mask: "m.png",
      paste: true,
      loras: [
        { from: "sepia", scale: 0.5 },
        { from: "few-steps", scale: 1 },
      ],
      prompts: ["a face"],
      options: { negativePrompt: "hat", guidanceScale: -1.5, numInferenceSteps: 10, maskBlur: 2, strength: 0.5 },
      seed: 7,
      count: 2,
      sampler: "ddpm",
      backend: "cpu",
      out: "x.png",
    });
    expect(readDrawArguments(["a face", ...args.split(" ")])).toEqual(
      readDrawArguments([...args.split(" "), "a face"]),
    );
  });

  it("takes timesteps, a named list of them, or noise levels in place of a number of steps", () => {
    const stepsOf = (...args: string[]) => {
      const { numInferenceSteps, timesteps, sigmas } = (readDrawArguments(args) as DrawArguments).options;
      return { numInferenceSteps, timesteps, sigmas };
    };
    expect(stepsOf("--timesteps", "900,500, 20")).toEqual({ timesteps: [900, 500, 20] });
    expect(stepsOf("--timesteps", "stable-diffusion-xl")).toEqual({ timesteps: alignYourSteps["stable-diffusion-xl"] });
    expect(stepsOf("--sigmas", "14.6,1,0")).toEqual({ sigmas: [14.6, 1, 0] });
  });

  const promptsOf = (...args: string[]) => (readDrawArguments(args) as DrawArguments).prompts;

  it("takes several quoted sentences as several prompts", () => {
    expect(promptsOf("a bald man", "a red hat")).toEqual(["a bald man", "a red hat"]);
  });

  it("takes words without quotation marks as one sentence", () => {
    expect(promptsOf("a", "red", "hat")).toEqual(["a red hat"]);
    expect(promptsOf("hat")).toEqual(["hat"]);
  });

  it("shows help and words whatever else is asked", () => {
    expect(readDrawArguments(["-h"])).toBe("help");
    expect(readDrawArguments(["a face", "--steps", "x", "--help"])).toBe("help");
    expect(readDrawArguments(["--words"])).toEqual({ words: "portraits" });
    expect(readDrawArguments(["--words", "--model", "faces"])).toEqual({ words: "faces" });
  });

  it.each([
    [["--steps", "0"], /--steps 0: expected a whole number from 1 to 1000/],
    [["--steps", "2.5"], /--steps 2.5/],
    [["--steps", "1001"], /--steps 1001/],
    [["--steps", "ten"], /--steps ten/],
    [["--steps", ""], /--steps : expected/],
    [["--steps", "4", "--timesteps", "9,5"], /^--steps, --timesteps: 2 of them were given; give only one\.$/],
    [["--timesteps", "9,,5"], /^--timesteps 9,,5: expected numbers separated by commas\.$/],
    [["--timesteps", "constructor"], /^--timesteps constructor: expected numbers/],
    [["--sigmas", "many"], /^--sigmas many: expected numbers separated by commas/],
    [["--count", "0"], /--count 0/],
    [["--count", "1e9"], /--count 1e9/],
    [["--seed=-1"], /--seed -1: expected a whole number from 0/],
    [["--seed", "9007199254740993"], /--seed/],
    [["--guidance", "strong"], /--guidance strong: expected a number/],
    [["--guidance", "Infinity"], /--guidance Infinity/],
    [["--sampler", "magic"], /--sampler magic: expected one of .*ddim/],
    [["--backend", "abacus"], /--backend abacus: expected one of .*wasm/],
    [["--size", "512"], /^--size: no such option\.$/],
    [["--stpes", "5"], /^--stpes: no such option \(nearest: --steps\)\.$/],
    [["-x"], /^-x: no such option\.$/],
    [["--seed", "-3"], /^--seed -3: expected a whole number from 0/],
    [["--out", "-x.png"], /^--out: the value is missing\. Write a value that begins with a hyphen as --out=-…\.$/],
    [["--model", "sd"], /--model sd: expected one of portraits, faces/],
    [["--strength", "0.5"], /--strength .* add --init/],
    [["--mask", "m.png"], /--mask .* add --init/],
    [["--outpaint", "8"], /--outpaint .* add --init/],
    [["--init", "a.png", "--outpaint", "8", "--mask", "m.png"], /both were given; give one\./],
    [["--init", "a.png", "--strength", "2"], /--strength 2: expected a number from 0 to 1/],
    [["--steps"], /^--steps: the value is missing/],
    [[""], /empty/],
    [["a hat", "  "], /empty/],
  ])("refuses %j with a UsageError that says what it takes", (args, message) => {
    expect(() => readDrawArguments(args)).toThrow(UsageError);
    expect(() => readDrawArguments(args)).toThrow(message);
  });
});
