import { describe, expect, it } from "@jest/globals";
import { PUBLISHED } from "../models/published-configs.js";
import { requireLatentsKept } from "./lost-latents.js";

const NONE = new Map<string, unknown>();
const { sd1, sdxl } = { sd1: PUBLISHED.sd1.vae, sdxl: PUBLISHED.sdxl.vae };

describe("The scale of latents in a single file", () => {
  it.each([
    ["the published one of 1.x", "sd1", sd1],
    ["the published one of 1.x, written", "sd1", { ...sd1, scaling_factor: 0.18215, shift_factor: null }],
    ["the published one of XL", "sdxl", sdxl],
    ["any of another size, which opens only with a config", "sd1", { block_out_channels: [8], scaling_factor: 2 }],
  ] as const)("keeps %s", (_, family, vae) => {
    expect(() => requireLatentsKept("folder", family, vae as typeof sd1, NONE)).not.toThrow();
  });

  it.each([
    ["another factor", "sd1", { ...sd1, scaling_factor: 0.5 }, /scaling_factor 0.5 \(published: 0.18215\)/],
    [
      "the factor of 1.x in XL",
      "sdxl",
      { ...sdxl, scaling_factor: 0.18215 },
      /scaling_factor 0.18215 \(published: 0.13025\)/,
    ],
    ["no factor in XL, which means that of 1.x", "sdxl", { ...sdxl, scaling_factor: undefined }, /published: 0.13025/],
    ["a shift", "sd1", { ...sd1, shift_factor: 0.1 }, /shift_factor 0.1/],
    ["a mean of each channel", "sdxl", { ...sdxl, latents_mean: [1, 2, 3, 4] }, /latents_mean \[1,2,3,4\]/],
  ] as const)("refuses %s", (_, family, vae, message) => {
    expect(() => requireLatentsKept("folder", family, vae as unknown as typeof sd1, NONE)).toThrow(message);
  });

  it("keeps what the file's marks say", () => {
    const vae = { ...sdxl, scaling_factor: 0.5, latents_mean: [1, 2, 3, 4], latents_std: [1, 1, 1, 1] };
    expect(() => requireLatentsKept("folder", "sdxl", vae, new Map([["edm_mean", 0]]))).not.toThrow();
  });
});
