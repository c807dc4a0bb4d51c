import { describe, expect, it } from "@jest/globals";
import { PIPELINE_CLASSES } from "@tfjs-diffusion/core/pipelines";
import { flagHelp, flagOf, flagOptions, FLAGS, readFlags } from "./table-options.js";
import { UsageError } from "./usage-error.js";

describe("The options of the pipelines on the command line", () => {
  it("are those that have a flag in the table of any pipeline, each under one name", () => {
    const flagged = PIPELINE_CLASSES.flatMap(({ options }) =>
      Object.entries(options).flatMap(([option, { flag }]) =>
        flag ? [[flag.usage.split(/[ ]/)[0], option].join()] : [],
      ),
    );
    const offered = [...FLAGS].map(([name, { option }]) => [`--${name}`, option].join());
    expect(new Set(offered)).toEqual(new Set(flagged));
    expect(new Set(offered.map((pair) => pair.split(",")[1])).size).toBe(offered.length);
  });

  it("have the table's limits and help", () => {
    expect(readFlags({ steps: "1000", unknown: "x" })).toEqual({ numInferenceSteps: 1000 });
    expect(readFlags({ class: "3,1", "null-class": "10" })).toEqual({ classLabels: [3, 1], nullClass: 10 });
    expect(() => readFlags({ steps: "1001" })).toThrow(UsageError);
    expect(() => readFlags({ "clip-skip": "-1" })).toThrow(/^--clip-skip -1: expected a whole number from 0 to 100\.$/);
    expect(() => readFlags({ rescale: "2" })).toThrow(/^--rescale 2: expected a number from 0 to 1\.$/);
    expect(readFlags({ negative: undefined })).toEqual({});
    expect(flagHelp(12, { steps: " (default 20)" }, ["steps"])).toBe(
      "  --steps N   steps from noise to picture (default 20)",
    );
  });

  it("without a value are switches", () => {
    expect(flagOptions(["prompt-weights", "steps"])).toEqual({
      "prompt-weights": { type: "boolean" },
      steps: { type: "string" },
    });
    expect(readFlags({ "prompt-weights": true })).toEqual({ promptWeighting: true });
  });

  it("are explained with the default that all pipelines have, in lines that a terminal shows whole", () => {
    expect(flagHelp(20, {}, ["seed"])).toMatch(/\(default 0\)$/);
    expect(flagHelp(10, {}, ["steps"])).toMatch(/\(default: the model's\)$/);
    expect(
      Math.max(
        ...flagHelp(29)
          .split("\n")
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(120);
  });

  it("are found by the name that the library gives them", () => {
    expect(flagOf("numInferenceSteps")).toBe("--steps");
    expect(flagOf("latents")).toBeUndefined();
  });
});
