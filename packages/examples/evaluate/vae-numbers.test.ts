import { describe, expect, it } from "@jest/globals";
import { latentStatistics } from "./vae-numbers.js";

describe("The statistics of latents", () => {
  it("are computed over all numbers, and for each channel", () => {
    const { mean, deviation, channels } = latentStatistics([Float32Array.of(1, 10, 3, 10), Float32Array.of(5, 10)], 2);
    expect(channels[0]!.mean).toBeCloseTo(3, 6);
    expect(channels[0]!.deviation).toBeCloseTo(Math.sqrt(8 / 3), 6);
    expect(channels[1]).toEqual({ mean: 10, deviation: 0 });
    expect(mean).toBeCloseTo(6.5, 6);
    expect(deviation).toBeCloseTo(Math.sqrt((1 + 9 + 25 + 300) / 6 - 6.5 ** 2), 5);
  });
});
