import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler } from "@tfjs-diffusion/schedulers";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { T2IAdapter } from "../../models/unet/t2i-adapter.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import type { AutoencoderTiny } from "../../models/autoencoder/autoencoder-tiny.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";

// 10 times what a float32 run of three steps differs from a float64 one in tiny-stable-diffusion-runs.
const TOLERANCE = 1e-4;

let folder: string;
let pipeline: StableDiffusionPipeline;
let golden: Golden;
let latents: tf.Tensor4D;
/** See the fixture's meta.json. */
const CALL = { prompt: "a red cube", negativePrompt: "a bowl", numInferenceSteps: 3, guidanceScale: 5 };

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "guidance "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  const betas = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" } as const;
  pipeline.parts.scheduler = new DDIMScheduler({
    ...betas,
    clip_sample: false,
    set_alpha_to_one: false,
    steps_offset: 1,
  });
  golden = await Golden.read("tiny-guidance");
  latents = golden.tensor("in.latents");
});
afterAll(() => {
  pipeline.dispose();
  latents.dispose();
  rmSync(folder, { recursive: true });
});

async function expectRun(name: string, options: Partial<StableDiffusionOptions>): Promise<void> {
  const before = tf.memory().numTensors;
  const errors = new Map<string, number>();
  for await (const step of pipeline.steps({ ...CALL, latents, ...options }))
    errors.set(`${name} ${step.index}`, golden.error(`${name}.out.latents${step.index}`, step.latents));
  expect(errors.size).toBe(3);
  expect(above(TOLERANCE, errors)).toEqual([]);
  expect(tf.memory().numTensors).toBe(before);
}

const latentsOf = (options: Partial<StableDiffusionOptions>) =>
  pipeline.generateLatents({ ...CALL, latents, ...options });

/** How many pictures the denoiser is shown in each call. */
async function batches(options: Partial<StableDiffusionOptions>): Promise<number[]> {
  const unet = pipeline.parts.unet as UNet2DConditionModel;
  const { forward } = unet;
  const seen: number[] = [];
  unet.forward = (x, ...others) => {
    seen.push(x.shape[0]);
    return forward.call(unet, x, ...others);
  };
  try {
    (await latentsOf(options)).dispose();
  } finally {
    delete (unet as Partial<UNet2DConditionModel>).forward;
  }
  return seen;
}

describe("FreeU", () => {
  it("equals diffusers' enable_freeu, and is off by default", async () => {
    await expectRun("plain", {});
    await expectRun("freeu", { freeU: { s1: 0.9, s2: 0.2, b1: 1.5, b2: 1.6 } });
  });

  it("with factors of 1 changes nothing but rounding", async () => {
    await expectRun("plain", { freeU: { s1: 1, s2: 1, b1: 1, b2: 1 } });
  });

  it("is refused without all four factors", async () => {
    await expect(latentsOf({ freeU: { s1: 1 } as never })).rejects.toThrow("expected four numbers above 0");
  });
});

describe("Perturbed-attention guidance", () => {
  it("equals diffusers' pipeline: with guidance, falling on the way and rescaled, and alone", async () => {
    await expectRun("pag", { pagScale: 2.5 });
    await expectRun("pagAdaptive", { pagScale: 3, pagAdaptiveScale: 0.004, guidanceRescale: 0.5 });
    await expectRun("pagAlone", { pagScale: 3, guidanceScale: 1 });
  });

  it("takes one more call a step, and none where its scale has fallen to 0", async () => {
    expect(await batches({})).toEqual([2, 2, 2]);
    expect(await batches({ pagScale: 3 })).toEqual([2, 1, 2, 1, 2, 1]);
    expect(await batches({ pagScale: 3, pagAdaptiveScale: 0.005 })).toEqual([2, 1, 2, 2]);
  });

  it("needs its scale, and a denoiser that knows it", async () => {
    await expect(latentsOf({ pagAdaptiveScale: 1 })).rejects.toThrow(
      "pagAdaptiveScale: 1; expected a pagScale with it",
    );
    const { unet } = pipeline.parts;
    Object.defineProperty(unet, "selfAttentions", { value: undefined, configurable: true });
    await expect(latentsOf({ pagScale: 1 })).rejects.toThrow("pagScale: the denoiser (unet) is of a class that");
    Reflect.deleteProperty(unet, "selfAttentions");
  });

  it("equals diffusers' pipeline in other layers than the middle block's", async () => {
    const [stored, given] = [golden, latents];
    golden = await Golden.read("tiny-pag-layers");
    latents = golden.tensor("in.latents");
    await expectRun("down", { pagAppliedLayers: "down", pagScale: 2.5 });
    await expectRun("up", { pagAppliedLayers: ["up_blocks.1.attentions.1"], pagScale: 3, guidanceScale: 1 });
    const some = ["mid", "up_blocks\\.1\\.attentions\\.(0|2)"];
    await expectRun("some", { pagAppliedLayers: some, pagScale: 2 });
    await expectRun("all", { pagAppliedLayers: ["blocks"], pagScale: 1.5 });
    latents.dispose();
    [golden, latents] = [stored, given];
  });

  it("refuses layers that are not there, names that mean nothing, and layers without a scale", async () => {
    await expect(latentsOf({ pagScale: 1, pagAppliedLayers: ["mid", "down_blocks.1"] })).rejects.toThrow(
      'pagAppliedLayers: "down_blocks.1" is in the name of no self-attention layer; they are down_blocks.0.attentions.0.',
    );
    await expect(latentsOf({ pagScale: 1, pagAppliedLayers: "mid(" })).rejects.toThrow("is no regular expression");
    await expect(latentsOf({ pagAppliedLayers: "mid" })).rejects.toThrow(
      'pagAppliedLayers: "mid"; expected a pagScale with it',
    );
  });
});

describe("Guidance of single steps", () => {
  it("in an interval costs half outside it, and equals no guidance there", async () => {
    expect(await batches({ guidanceInterval: [0.34, 1] })).toEqual([1, 2, 2]);
    const [none, off] = [await latentsOf({ guidanceInterval: [0, 0] }), await latentsOf({ guidanceScale: 1 })];
    expect(none.dataSync()).toEqual(off.dataSync());
    tf.dispose([none, off]);
    await expectRun("plain", { guidanceInterval: [0, 1] });
  });

  it("follows a function of the step", async () => {
    const seen: unknown[] = [];
    const guidanceFunction = (step: { index: number; total: number; timestep: number; noise: number }) => {
      seen.push([step.index, step.total, step.timestep, step.noise > 0]);
      return 5;
    };
    await expectRun("plain", { guidanceFunction, guidanceScale: 1 });
    expect(seen).toEqual([
      [0, 3, 667, true],
      [1, 3, 334, true],
      [2, 3, 1, true],
    ]);
    await expect(latentsOf({ guidanceFunction: () => NaN })).rejects.toThrow("returned NaN for step 0 of 3");
    await expect(latentsOf({ guidanceInterval: [0.5, 0.2] })).rejects.toThrow("expected two numbers from 0 to 1");
  });
});

describe("A preview", () => {
  it("is decoded by a small autoencoder that is given, at full size", async () => {
    const previewDecoder = await loadFixture<AutoencoderTiny>("vae_tiny");
    const before = tf.memory().numTensors;
    for await (const step of pipeline.steps({ ...CALL, latents, previewDecoder })) {
      const [preview, expected] = [step.preview(), previewDecoder.decode(step.latents)];
      expect(preview.shape).toEqual([1, 32, 48, 3]);
      tf.tidy(() => {
        const unit = expected.add(1).div(2).clipByValue(0, 1);
        expect(preview.sub(unit).abs().max().dataSync()[0]).toBeLessThan(1e-6);
      });
      tf.dispose([preview, expected]);
    }
    expect(tf.memory().numTensors).toBe(before);
    previewDecoder.dispose();
  });
});

describe("A T2I-Adapter", () => {
  let model: T2IAdapter;
  let io: Golden;
  let image: tf.Tensor4D;
  beforeAll(async () => {
    model = await loadFixture<T2IAdapter>("tiny-t2i-adapter");
    io = await Golden.read("tiny-t2i-adapter");
    image = io.tensor("in.picture");
  });
  afterAll(() => {
    model.dispose();
    image.dispose();
  });

  it("equals diffusers: its features, and a drawing with them", async () => {
    const features = model.forward(image);
    const errors = new Map(features.map((feature, i) => [`feature ${i}`, io.error(`out.feature${i}`, feature)]));
    tf.dispose(features);
    const before = tf.memory().numTensors;
    for await (const step of pipeline.steps({ ...CALL, latents, adapter: { model, image, scale: 0.8 } }))
      errors.set(`step ${step.index}`, io.error(`run.out.latents${step.index}`, step.latents));
    expect(errors.size).toBe(5);
    expect(above(TOLERANCE, errors)).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("of the light form equals diffusers', also where halves are rounded up", async () => {
    const light = await loadFixture<T2IAdapter>("tiny-t2i-adapter-light");
    const io = await Golden.read("tiny-t2i-adapter-light");
    const errors = new Map<string, number>();
    for (const size of ["even", "odd"]) {
      const picture = io.tensor<tf.Tensor4D>(`${size}.in.picture`);
      const before = tf.memory().numTensors;
      const features = light.forward(picture);
      for (const [i, feature] of features.entries())
        errors.set(`${size} ${i}`, io.error(`${size}.out.feature${i}`, feature));
      tf.dispose(features);
      expect(tf.memory().numTensors).toBe(before);
      picture.dispose();
    }
    light.dispose();
    expect(errors.size).toBe(6);
    expect(above(1e-5, errors)).toEqual([]);
  });

  it("is left out after its share of the steps, and refused with a picture of another size", async () => {
    await expectRun("plain", { adapter: { model, image, factor: 0 } });
    const small = tf.zeros<tf.Rank.R4>([1, 32, 32, 3]);
    await expect(latentsOf({ adapter: { model, image: small } })).rejects.toThrow(
      "adapter.image: [1, 32, 32, 3]; expected [32, 48, 3]",
    );
    await expect(latentsOf({ adapter: { model: {} as T2IAdapter, image } })).rejects.toThrow("expected a T2IAdapter");
    tf.tidy(() => expect(() => model.forward(tf.zeros([1, 30, 32, 3]))).toThrow("multiples of 4"));
    small.dispose();
  });
});
