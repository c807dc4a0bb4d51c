import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { writeSafetensors } from "../../weights/write-safetensors.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";

/** A Python with torch, diffusers and transformers; the variable PYTHON names another than the one on the path. */
const PYTHON = process.env["PYTHON"] ?? "python3";
const hasDiffusers =
  spawnSync(PYTHON, [
    "-c",
    "import importlib.util as u, sys; sys.exit(not (u.find_spec('diffusers') and u.find_spec('torch')))",
  ]).status === 0;
// Python is not part of this project; packages/core/README.md says how to run these tests.
const itWithPython = hasDiffusers ? it : it.skip;

let folder: string;
beforeAll(async () => {
  if (!hasDiffusers) console.info(`Skipped: ${PYTHON} has no diffusers; PYTHON=… names another.`);
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "diffusers "));
});
afterAll(() => rmSync(folder, { recursive: true }));

itWithPython(
  "diffusers opens the folder that savePretrained wrote, with its LoRA, and draws the same picture",
  async () => {
    const [tiny, saved, io] = ["tiny", "saved", "io.safetensors"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeTinyStableDiffusion(tiny);
    const pipeline = await StableDiffusionPipeline.fromPretrained(tiny);
    await pipeline.loras.load(fixturePath("lora/kohya/pytorch_lora_weights.safetensors"));
    pipeline.loras.fuse();
    await pipeline.savePretrained(saved);

    const latents = keyedNoise(7).normal([2, 8, 12, 4]) as tf.Tensor4D;
    const call = {
      prompt: ["a red cube", "the queen's crown"],
      num_inference_steps: 5,
      guidance_scale: 5,
      height: 32,
      width: 48,
    };
    const drawn = await pipeline.generate({
      prompt: call.prompt,
      numInferenceSteps: 5,
      guidanceScale: 5,
      height: 32,
      width: 48,
      latents,
    });
    const nchw = (x: tf.Tensor4D) => {
      const turned = x.transpose([0, 3, 1, 2]);
      return { dtype: "F32", shape: turned.shape, data: turned.dataSync() as Float32Array } as const;
    };
    await writeSafetensors(
      io,
      new Map([
        ["latents", nchw(latents)],
        ["images", nchw(drawn.images)],
      ]),
      { call: JSON.stringify(call) },
    );
    pipeline.dispose();

    const script = join(import.meta.dirname, "../../testing/draw_with_diffusers.py");
    const { stdout, stderr, status } = spawnSync(PYTHON, [script, saved, io], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    // Ten times torch's own noise floor of 2e-6 for whole runs, on pixels up to 1.
    expect(Number(stdout.trim().split("\n").at(-1))).toBeLessThan(2e-5);
  },
  300_000,
);
