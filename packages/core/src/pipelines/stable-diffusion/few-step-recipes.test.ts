import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath, Golden } from "../../testing/fixture.js";
import { writeTinyStableDiffusionXL } from "../../testing/stable-diffusion.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion-xl.js";

/** Drawn by diffusers: fixtures/few-step-recipes/make.py. */
interface Run {
  sampler: string;
  changes: Record<string, unknown>;
  call: { num_inference_steps: number; guidance_scale: number; timesteps?: number[]; eta?: number };
}

const { runs } = JSON.parse(readFileSync(fixturePath("few-step-recipes/meta.json"), "utf8")) as {
  runs: Record<string, Run>;
};

let folder: string;
let pipeline: StableDiffusionXLPipeline;
let golden: Golden;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "recipes "));
  await writeTinyStableDiffusionXL(folder);
  pipeline = await StableDiffusionXLPipeline.fromPretrained(folder);
  golden = await Golden.read("few-step-recipes", "latents.safetensors");
});
afterAll(() => {
  pipeline.dispose();
  rmSync(folder, { recursive: true });
});

// The recipes of docs/drawing.md, "In few steps".
it.each(Object.entries(runs))("The recipe %s draws what it draws in diffusers", async (name, run) => {
  const { num_inference_steps: numInferenceSteps, timesteps, eta, guidance_scale } = run.call;
  const latents = await pipeline.generateLatents({
    prompt: "a red cube",
    width: 32,
    height: 32,
    scheduler: schedulerFromConfig({ ...pipeline.scheduler.config, _class_name: run.sampler, ...run.changes }),
    ...(timesteps ? { timesteps } : { numInferenceSteps }),
    eta,
    guidanceScale: Math.max(guidance_scale, 1), // In diffusers, 0 means no guidance as well.
    noise: torchNoise(7),
  });
  expect(golden.error(name, latents)).toBeLessThan(2e-5);
  latents.dispose();
});
