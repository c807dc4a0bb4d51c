import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath, Golden } from "../../testing/fixture.js";
import { hasModules, PYTHON, runPython } from "../../testing/python.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { writeSafetensors } from "../../weights/write-safetensors.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";

const hasDiffusers = hasModules("diffusers", "torch");
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

    const difference = runPython("draw_with_diffusers.py", saved, io);
    // Ten times torch's own noise floor of 2e-6 for whole runs, on pixels up to 1.
    expect(Number(difference)).toBeLessThan(2e-5);
  },
  600_000,
);

itWithPython(
  "the folder and the LoRAs that diffusers writes open here, and draw what they draw there",
  async () => {
    const [tiny, saved, out] = ["tiny first", "tiny saved", "written"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeTinyStableDiffusion(tiny);
    const base = await StableDiffusionPipeline.fromPretrained(tiny);
    await base.savePretrained(saved);
    base.dispose();
    const call = JSON.parse(runPython("write_with_diffusers.py", saved, out)) as Record<string, string | number>;
    const drawn = await Golden.read(relative(fixturePath(""), out), "drawn.safetensors");
    const pipeline = await StableDiffusionPipeline.fromPretrained(join(out, "model"), { variant: "fp16" });
    const request = {
      prompt: call["prompt"] as string,
      numInferenceSteps: call["num_inference_steps"] as number,
      guidanceScale: call["guidance_scale"] as number,
      latents: drawn.tensor<tf.Tensor4D>("latents"),
    };
    const error = async (name: string) => drawn.error(name, (await pipeline.generate(request)).images);
    expect(await error("model")).toBeLessThan(2e-5);
    for (const lora of drawn.has("lora") ? ["lora", "pipeline-lora"] : []) {
      await pipeline.loras.load(join(out, lora));
      expect(await error("lora")).toBeLessThan(2e-5);
      expect(await error("model")).toBeGreaterThan(1e-3);
      pipeline.loras.unload();
    }
    pipeline.dispose();
  },
  600_000,
);
