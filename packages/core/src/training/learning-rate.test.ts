import { describe, expect, it } from "@jest/globals";
import { warmupCosine } from "./learning-rate.js";

describe("warmupCosine", () => {
  const rate = warmupCosine({ learningRate: 0.02, warmupSteps: 10, totalSteps: 109 });

  it("rises linearly to the full rate at the last warm-up step", () => {
    expect(rate(1)).toBeCloseTo(0.002, 12);
    expect(rate(5)).toBeCloseTo(0.01, 12);
    expect(rate(10)).toBe(0.02);
  });

  it("has fallen by half in the middle of the remaining steps, and is still positive at the last step", () => {
    expect(rate(60)).toBeCloseTo(0.01, 12);
    expect(rate(109)).toBeGreaterThan(0);
    expect(rate(109)).toBeLessThan(1e-5);
    expect(rate(110)).toBeCloseTo(0, 12);
    expect(rate(10_000)).toBeCloseTo(0, 12);
  });

  it("ends at the given fraction", () => {
    const floor = warmupCosine({ learningRate: 1, warmupSteps: 0, totalSteps: 9, finalFraction: 0.1 });
    expect(floor(10)).toBeCloseTo(0.1, 12);
    expect(floor(5)).toBeCloseTo(0.55, 12);
  });

  it("refuses rates that are not positive and a warm-up longer than the run", () => {
    expect(() => warmupCosine({ learningRate: 0, warmupSteps: 1, totalSteps: 2 })).toThrow("learningRate is 0");
    expect(() => warmupCosine({ learningRate: 1, warmupSteps: 3, totalSteps: 2 })).toThrow("3 warm-up steps of 2");
    expect(() => warmupCosine({ learningRate: 1, warmupSteps: 0.5, totalSteps: 2 })).toThrow(RangeError);
    expect(() => warmupCosine({ learningRate: 1, warmupSteps: 0, totalSteps: 2, finalFraction: 2 })).toThrow(
      "finalFraction is 2",
    );
  });
});
