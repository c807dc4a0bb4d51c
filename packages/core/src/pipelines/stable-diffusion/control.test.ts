import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { ControlNetConfig } from "../../models/unet/controlnet-config.js";
import { ControlNetModel } from "../../models/unet/controlnet.js";
import { loadModel } from "../../models/load-model.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden } from "../../testing/fixture.js";
import { writeTinyControlNet, writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import type { Control } from "./control.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";

const META = JSON.parse(readFileSync(fixturePath("tiny-sd-controlnet/meta.json"), "utf8")) as {
  scheduler: Record<string, unknown>;
  calls: Record<string, Record<string, number | boolean>>;
  noise_floor_relrms_f32_vs_f64: Record<string, number>;
};
const OPTIONS = { prompt: "a red cube", negativePrompt: "blurry", numInferenceSteps: 4, width: 32, height: 32 };

let folder: string;
let pipeline: StableDiffusionPipeline;
let model: ControlNetModel;
let golden: Golden;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "control "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  await writeTinyControlNet(join(folder, "controlnet"));
  model = (await loadModel(join(folder, "controlnet"))) as ControlNetModel;
  golden = await Golden.read("tiny-sd-controlnet");
});
afterAll(() => {
  pipeline.dispose();
  model.dispose();
  rmSync(folder, { recursive: true });
});

describe("Stable Diffusion with a ControlNet", () => {
  it.each(Object.entries(META.calls))("draws what diffusers draws: %s", async (name, call) => {
    const [image, latents] = [golden.tensor<tf.Tensor4D>("in.image"), golden.tensor<tf.Tensor4D>("in.latents")];
    const before = tf.memory().numTensors;
    const errors = new Map<string, number>();
    const drawn = await pipeline.generate({
      ...OPTIONS,
      latents,
      scheduler: schedulerFromConfig(META.scheduler),
      guidanceScale: (call.guidance_scale as number | undefined) ?? 5,
      control: {
        model,
        image,
        scale: call.controlnet_conditioning_scale as number | undefined,
        start: call.control_guidance_start as number | undefined,
        end: call.control_guidance_end as number | undefined,
        guessMode: call.guess_mode as boolean | undefined,
      },
      onStep: ({ index, latents }) => {
        errors.set(`latents${index}`, golden.error(`out.${name}.latents${index}`, latents));
      },
    });
    errors.set("image", golden.error(`out.${name}.image`, drawn.images));
    tf.dispose([drawn.images, drawn.latents]);
    expect(errors.size).toBe(5);
    expect(above(Math.max(2e-5, 10 * META.noise_floor_relrms_f32_vs_f64[name]!), errors)).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([image, latents]);
  });

  it("with global pooling adds nothing for the negative prompt, as in diffusers", async () => {
    const pooled = new ControlNetModel({ ...model.config, global_pool_conditions: true });
    const weights = model.parameters();
    for (const [name, parameter] of pooled.namedParameters()) parameter.assign(weights.get(name)!);
    const image = tf.randomUniform<tf.Rank.R3>([32, 32, 3], 0, 1, "float32", 1);
    const draw = async (guessMode?: boolean) => {
      const drawn = await pipeline.generate({ ...OPTIONS, control: { model: pooled, image, guessMode } });
      const values = [...drawn.images.dataSync()];
      tf.dispose([drawn.images, drawn.latents]);
      return values;
    };
    const batches: number[] = [];
    const { forward } = pooled;
    pooled.forward = (x, ...rest) => (batches.push(x.shape[0]), forward.call(pooled, x, ...rest));
    expect(await draw()).toEqual(await draw(true));
    expect(new Set(batches)).toEqual(new Set([1])); // Without the negative prompt's half of the batch.
    pooled.dispose();
    image.dispose();
  });

  it("of several networks adds their residuals, each between its start and its end", async () => {
    const [image, other] = [1, 2].map((seed) => tf.randomUniform<tf.Rank.R3>([32, 32, 3], 0, 1, "float32", seed)) as [
      tf.Tensor3D,
      tf.Tensor3D,
    ];
    const draw = async (control: Control | readonly Control[]) => {
      const drawn = await pipeline.generate({ ...OPTIONS, control });
      const values = [...drawn.latents.dataSync()];
      tf.dispose([drawn.images, drawn.latents]);
      return values;
    };
    const differ = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
    // Residuals are proportional to the scale: two ControlNets on one picture equal one with the sum of the scales.
    const together = await draw([
      { model, image, scale: 0.5 },
      { model, image, scale: 0.75 },
    ]);
    expect(differ(together, await draw({ model, image, scale: 1.25 }))).toBeLessThan(1e-4);
    expect(differ(together, await draw({ model, image, scale: 0.75 }))).toBeGreaterThan(1e-3);
    // One is active before the middle, the other after it.
    const [early, late] = [
      { model, image, end: 0.5 },
      { model, image: other, start: 0.5 },
    ];
    const both = await draw([early, late]);
    expect(both).toEqual(await draw([late, early]));
    for (const alone of [early, late]) expect(differ(both, await draw(alone))).toBeGreaterThan(1e-3);
    expect(await draw([early])).toEqual(await draw(early));
    tf.dispose([image, other]);
  });

  it("of several networks is named in the error if it is wrong", async () => {
    const image = tf.zeros<tf.Rank.R3>([32, 32, 3]);
    const wrong = { model, image, scale: NaN };
    await expect(pipeline.generate({ ...OPTIONS, control: [{ model, image }, wrong] })).rejects.toThrow(
      "control[1].scale: NaN",
    );
    image.dispose();
  });

  it.each<[string, object, string]>([
    ["no network", { model: "canny" }, "control.model: string; expected a ControlNetModel"],
    ["no picture", { image: undefined }, "control.image: undefined; expected a tensor"],
    ["a picture of another size", { image: tf.zeros([16, 32, 3]) }, "control.image: [16, 32, 3]; expected [32, 32, 3]"],
    ["a scale that is not a number", { scale: NaN }, "control.scale: NaN"],
    ["an end before the start", { start: 0.5, end: 0.4 }, "control.end: 0.4; expected a number from 0.5 to 1"],
  ])("refuses %s before any work", async (_, wrong, message) => {
    const image = tf.zeros<tf.Rank.R3>([32, 32, 3]);
    await expect(pipeline.generate({ ...OPTIONS, control: { model, image, ...wrong } })).rejects.toThrow(message);
    image.dispose();
  });

  it.each<[string, Partial<ControlNetConfig>, string]>([
    ["reads wider text", { cross_attention_dim: 48 }, "contextWidth: 48; expected 16, as the pipeline's denoiser has"],
    [
      "has more layers",
      { layers_per_block: 2 },
      "featureMaps: 8x8x16, 8x8x16, 8x8x16, 4x4x16, 4x4x32, 4x4x32, 4x4x32; expected 8x8x16, 8x8x16, 4x4x16, 4x4x32,",
    ],
    ["has wider layers", { block_out_channels: [32, 64] }, "featureMaps: 8x8x32, 8x8x32, 4x4x32, 4x4x64, 4x4x64; exp"],
  ])("refuses a ControlNet that %s than the UNet before any work", async (_, different, message) => {
    const image = tf.zeros<tf.Rank.R3>([32, 32, 3]);
    const other = new ControlNetModel({ ...model.config, ...different });
    const drawing = pipeline.generate({ ...OPTIONS, control: { model: other, image } });
    await expect(drawing).rejects.toThrow(`control.model, ${message}`);
    image.dispose();
  });
});
