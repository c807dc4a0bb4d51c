import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { openSafetensors, StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import { type SafetensorsFile } from "@tfjs-diffusion/core/weights";
import { packagePath } from "../../src/package-folder.js";

interface Call {
  prompt: string[];
  negative_prompt?: string[];
  num_inference_steps: number;
  guidance_scale: number;
}

const fixture = (name: string) => packagePath("fixtures", "portraits", name);

describe("The portraits model, opened by Python's diffusers", () => {
  let pipeline: StableDiffusionXLPipeline;
  let stored: SafetensorsFile;
  let calls: [string, Call][];
  beforeAll(async () => {
    await useBackend("wasm");
    pipeline = await StableDiffusionXLPipeline.fromPretrained(packagePath("weights", "portraits"));
    stored = await openSafetensors(fixture("drawn.safetensors"));
    const meta = JSON.parse(await readFile(fixture("meta.json"), "utf8")) as { calls: Record<string, Call> };
    calls = Object.entries(meta.calls);
  });
  afterAll(async () => {
    pipeline.dispose();
    await stored.close();
  });

  it("draws the same pictures from the same latents: guided, with a negative prompt, wide, unguided", async () => {
    expect(calls).toHaveLength(3);
    for (const [name, call] of calls) {
      const latents = await pictures(`${name}.latents`);
      const there = await pictures(`${name}.images`);
      const here = await pipeline.generate({
        prompt: call.prompt,
        negativePrompt: call.negative_prompt,
        numInferenceSteps: call.num_inference_steps,
        guidanceScale: call.guidance_scale,
        latents,
        height: there.shape[1],
        width: there.shape[2],
      });
      const worst = tf.tidy(() => here.images.sub(there).abs().max().dataSync()[0]);
      // Measured: 1e-6 unguided, 9e-6 guided: two float32 programs over 20 steps.
      expect({ name, near: worst! < 1e-4, worst }).toMatchObject({ near: true });
      tf.dispose([latents, there, here.images, here.latents]);
    }
  }, 120_000);

  /** From torch's order, [B, C, H, W], to [B, H, W, C]. */
  async function pictures(name: string): Promise<tf.Tensor4D> {
    const { shape } = stored.tensors.get(name)!;
    const data = (await stored.read(name)) as Float32Array;
    return tf.tidy(() =>
      tf.tensor4d(data, shape as [number, number, number, number]).transpose<tf.Tensor4D>([0, 2, 3, 1]),
    );
  }
});
