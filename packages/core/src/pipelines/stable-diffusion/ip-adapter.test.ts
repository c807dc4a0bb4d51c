import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, torchNoise } from "@tfjs-diffusion/schedulers";
import type { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import { loadModel } from "../../models/load-model.js";
import type { ControlNetModel } from "../../models/unet/controlnet.js";
import type { IPAdapter } from "../../models/unet/ip-adapter.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden, loadFixture } from "../../testing/fixture.js";
import {
  writeTinyControlNet,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../../testing/stable-diffusion.js";
import { PipelineOptionError } from "../options/errors.js";
import type { IPAdapterInput } from "./ip-adapter.js";
import { ipAdapterEmbeds } from "./ip-adapter-states.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion-xl.js";

// 10 times what a float32 run of three steps differs from a float64 one in tiny-stable-diffusion-runs.
const TOLERANCE = 1e-4;
/** See the fixture's meta.json. */
const CALL = { prompt: "a red cube", negativePrompt: "a bowl", numInferenceSteps: 3, guidanceScale: 5 };

let folder: string;
let pipeline: StableDiffusionPipeline;
let golden: Golden;
let latents: tf.Tensor4D;
let pictures: tf.Tensor4D;
let masks: tf.Tensor2D[];
let imageEncoder: CLIPVisionModelWithProjection;
const adapters: Record<string, IPAdapter> = {};

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "ip adapter "));
  await writeTinyStableDiffusion(join(folder, "sd"));
  pipeline = await StableDiffusionPipeline.fromPretrained(join(folder, "sd"));
  const betas = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" } as const;
  const further = { clip_sample: false, set_alpha_to_one: false, steps_offset: 1 };
  pipeline.parts.scheduler = new DDIMScheduler({ ...betas, ...further });
  golden = await Golden.read("tiny-ip-adapter");
  latents = golden.tensor("in.latents");
  pictures = golden.tensor("in.pictures");
  masks = tf.tidy(() => tf.unstack(golden.tensor<tf.Tensor3D>("in.masks")) as tf.Tensor2D[]);
  imageEncoder = await loadFixture("clip_vision_proj");
  for (const name of ["base", "plus", "full", "xl"])
    adapters[name] = (await loadModel(fixturePath(`tiny-ip-adapter/${name}.safetensors`))) as IPAdapter;
});
afterAll(() => {
  pipeline.dispose();
  imageEncoder.dispose();
  for (const adapter of Object.values(adapters)) adapter.dispose();
  tf.dispose([latents, pictures, masks]);
  rmSync(folder, { recursive: true });
});

/** Some of the fixture's pictures, [n, H, W, 3]; the caller owns them. */
const picture = (from: number, count = 1) => pictures.slice(from, count);

async function expectRun(
  name: string,
  ipAdapter: IPAdapterInput | IPAdapterInput[],
  options: Partial<StableDiffusionOptions> = {},
): Promise<void> {
  const before = tf.memory().numTensors;
  const errors = new Map<string, number>();
  for await (const step of pipeline.steps({ ...CALL, latents, ipAdapter, ...options }))
    errors.set(`${name} ${step.index}`, golden.error(`${name}.out.latents${step.index}`, step.latents));
  expect(tf.memory().numTensors).toBe(before);
  expect(errors.size).toBe(3);
  expect(above(TOLERANCE, errors)).toEqual([]);
}

const latentsOf = (options: Partial<StableDiffusionOptions>) =>
  pipeline.generateLatents({ ...CALL, latents, ...options });

/** How far a drawing is from another. */
async function difference(a: Partial<StableDiffusionOptions>, b: Partial<StableDiffusionOptions>): Promise<number> {
  const drawn = [await latentsOf(a), await latentsOf(b)] as const;
  const most = tf.tidy(() => drawn[0].sub(drawn[1]).abs().max().dataSync()[0]!);
  tf.dispose(drawn as unknown as tf.Tensor[]);
  return most;
}

describe("An IP-Adapter equals diffusers'", () => {
  it.each([
    ["base", "base", 0.7, 0],
    ["blocks", "base", { down: { block_0: [0.5] }, up: { block_1: [0, 1] } }, 0],
    ["middle", "base", { mid: [0.8], up: 0.3 }, 0],
    ["plus", "plus", undefined, 0],
    ["full", "full", 0.9, 1],
  ] as const)("run %s, of a picture", async (run, name, scale, index) => {
    const image = picture(index);
    await expectRun(run, { model: adapters[name]!, imageEncoder, image, ...(scale !== undefined && { scale }) });
    image.dispose();
  });

  it("with embeddings in place of the picture, with and without guidance", async () => {
    const imageEmbeds = golden.tensor<tf.Tensor3D>("in.embeds");
    const second = imageEmbeds.slice(1);
    const model = adapters.base!;
    await expectRun("embeds", { model, imageEmbeds });
    await expectRun("alone", { model, imageEmbeds }, { guidanceScale: 1 });
    await expectRun("alone", { model, imageEmbeds: second }, { guidanceScale: 1 });
    tf.dispose([imageEmbeds, second]);
  });

  it("for several pictures, several adapters, and pictures that act only under a mask", async () => {
    const [first, both, third] = [picture(0), picture(0, 2), picture(2)];
    const second = picture(1);
    const { base, plus } = adapters;
    await expectRun("two", [
      { model: base!, imageEncoder, image: both, scale: 0.6 },
      { model: plus!, imageEncoder, image: third, scale: 0.4 },
    ]);
    await expectRun("masks", [
      { model: base!, imageEncoder, image: first, scale: 0.7, mask: masks[0]! },
      { model: base!, imageEncoder, image: second, scale: 0.5, mask: masks[1]! },
    ]);
    tf.dispose([first, both, third, second]);
  });

  it("with perturbed attention, and with a LoRA and a ControlNet", async () => {
    const image = picture(0);
    await expectRun("pag", { model: adapters.plus!, imageEncoder, image }, { pagScale: 2 });
    await writeTinyControlNet(join(folder, "control"));
    const model = (await loadModel(join(folder, "control"))) as ControlNetModel;
    const edges = golden.tensor<tf.Tensor4D>("in.edges");
    await pipeline.loras.load(fixturePath("lora/peft/pytorch_lora_weights.safetensors"), {
      scale: { unet: 0.6, text_encoder: 0 },
    });
    const control = { model, image: edges, scale: 0.8 };
    await expectRun("together", { model: adapters.base!, imageEncoder, image, scale: 0.7 }, { control });
    pipeline.loras.unload();
    model.dispose();
    tf.dispose([image, edges]);
  });

  it("in an inpainted region", async () => {
    const [prompt, image] = [picture(0), golden.tensor<tf.Tensor4D>("in.edges")];
    const painting = { image, mask: masks[0]!, strength: 1, latents: undefined, noise: torchNoise(7) };
    await expectRun("inpaint", { model: adapters.base!, imageEncoder, image: prompt }, painting);
    tf.dispose([prompt, image]);
  });

  it("with prompts that AND joins, one of which has no weight", async () => {
    const image = picture(0);
    const ipAdapter = { model: adapters.base!, imageEncoder, image, scale: 0.7 };
    await expectRun("base", ipAdapter, { prompt: "a red cube AND a hill:0", promptWeighting: true });
    image.dispose();
  });

  it("for XL, in single blocks", async () => {
    await writeTinyStableDiffusionXL(join(folder, "xl"));
    const xl = await StableDiffusionXLPipeline.fromPretrained(join(folder, "xl"));
    const image = picture(0);
    const scale = { down: { block_1: [0.4] }, up: { block_0: [0, 1] } };
    const errors = new Map<string, number>();
    const ipAdapter = { model: adapters.xl!, imageEncoder, image, scale };
    for await (const step of xl.steps({ ...CALL, latents, ipAdapter }))
      errors.set(`xl ${step.index}`, golden.error(`xl.out.latents${step.index}`, step.latents));
    expect(errors.size).toBe(3);
    expect(above(TOLERANCE, errors)).toEqual([]);
    image.dispose();
    xl.dispose();
  });
});

describe("An IP-Adapter", () => {
  it("costs nothing if it is left out, and no call of the denoiser if it is used", async () => {
    const image = picture(0);
    const ipAdapter = { model: adapters.base!, imageEncoder, image };
    const unet = pipeline.parts.unet as UNet2DConditionModel;
    const { forward } = unet;
    const seen: [number, boolean][] = [];
    unet.forward = (x, t, context, inputs = {}) => {
      seen.push([x.shape[0], inputs.imageStates !== undefined]);
      return forward.call(unet, x, t, context, inputs);
    };
    (await latentsOf({})).dispose();
    (await latentsOf({ ipAdapter: [] })).dispose();
    (await latentsOf({ ipAdapter, guidanceInterval: [0.34, 1] })).dispose();
    Reflect.deleteProperty(unet, "forward");
    expect(seen.slice(0, 6)).toEqual(Array(6).fill([2, false]));
    expect(seen.slice(6)).toEqual([
      [1, true],
      [2, true],
      [2, true],
    ]);
    image.dispose();
  });

  it("at scale 0 changes nothing, and acts more the higher its scale is", async () => {
    const image = picture(0);
    const at = (scale: IPAdapterInput["scale"]) => ({
      ipAdapter: { model: adapters.base!, imageEncoder, image, scale },
    });
    expect(await difference({}, at(0))).toBe(0);
    expect(await difference({}, at({}))).toBe(0);
    expect(await difference({}, at({ down: 0, mid: 0, up: { block_1: [0, 0] } }))).toBe(0);
    const [weak, strong] = [await difference({}, at(0.1)), await difference({}, at(1))];
    expect(weak).toBeGreaterThan(100 * TOLERANCE);
    expect(strong).toBeGreaterThan(weak);
    image.dispose();
  });

  it("draws each picture of a batch as it draws it alone", async () => {
    const image = picture(0);
    const ipAdapter = { model: adapters.plus!, imageEncoder, image };
    const prompt = ["a red cube", "a hill"];
    const start = tf.tidy(() => latents.tile<tf.Tensor4D>([4, 1, 1, 1]));
    const drawn = await latentsOf({ prompt, numImages: 2, latents: start, ipAdapter });
    const alone = [await latentsOf({ ipAdapter }), await latentsOf({ prompt: prompt[1], ipAdapter })] as const;
    const errors = tf.tidy(() =>
      [0, 0, 1, 1].map((i, row) => drawn.slice(row, 1).sub(alone[i]!).abs().max().dataSync()[0]!),
    );
    expect(Math.max(...errors)).toBeLessThan(1e-5);
    tf.dispose([image, start, drawn, ...alone]);
  });

  it("reads a picture once for many drawings", async () => {
    const image = picture(0);
    for (const name of ["base", "plus"]) {
      const model = adapters[name]!;
      const imageEmbeds = ipAdapterEmbeds(model, imageEncoder, image) as tf.Tensor3D;
      expect(imageEmbeds.shape).toEqual(name === "base" ? [2, 1, 20] : [2, 1, 17, 24]);
      const asGiven = { ipAdapter: { model, imageEmbeds } };
      expect(await difference({ ipAdapter: { model, imageEncoder, image } }, asGiven)).toBe(0);
      imageEmbeds.dispose();
    }
    image.dispose();
  });

  it("is refused before any work if it does not fit, and leaves no tensor", async () => {
    const { base, plus, xl } = adapters;
    const image = picture(0);
    const two = picture(0, 2);
    const small = tf.zeros<tf.Rank.R2>([8, 8]);
    const bytes = tf.fill<tf.Rank.R3>([4, 4, 3], 255);
    const half = tf.zeros<tf.Rank.R3>([1, 1, 20]);
    const { imageEncoder: _, ...bare } = { imageEncoder, model: base!, image };
    const fine = { ...bare, imageEncoder };
    const cases: [IPAdapterInput, string][] = [
      [{ ...fine, model: imageEncoder as never }, "ipAdapter.model: an object of the class CLIPVision"],
      [
        { ...fine, model: xl! },
        "ipAdapter.model, cross_attention_dim: 20; expected 16, as the pipeline's denoiser has",
      ],
      [
        [null] as never,
        "ipAdapter: [null]; expected an IPAdapter with its picture, { model, imageEncoder, image }, or a list",
      ],
      [{ model: base! }, "ipAdapter.image, ipAdapter.imageEmbeds: neither is given"],
      [{ ...fine, imageEmbeds: half }, "ipAdapter.image, ipAdapter.imageEmbeds: both are given"],
      [bare, "ipAdapter.imageEncoder: undefined; expected a CLIPVisionModelWithProjection to read the image with"],
      [{ ...fine, image: small as never }, "ipAdapter.image: a tensor [8, 8]; expected [H, W, 3] or [N, H, W, 3]"],
      [{ ...fine, image: bytes }, "ipAdapter.image: values from 255 to 255; expected values from 0 to 1"],
      [{ model: base!, imageEmbeds: half }, "expected [2, pictures, 20]; the first row is for the negative prompt"],
      [{ model: plus!, imageEmbeds: half }, "expected [2, pictures, states, 24]"],
      [{ model: base!, imageEmbeds: half, imageEncoder }, "ipAdapter.imageEncoder: given with imageEmbeds"],
      [{ ...fine, scale: NaN }, "ipAdapter.scale: NaN; expected a finite number, or one for each block"],
      [{ ...fine, scale: { up: { block_0: 1 } } }, "given for up.block_0, which does not exist; give one of block_1"],
      [{ ...fine, scale: { down: { block_0: [1, 2] } } }, "down.block_0 has 2 scales, but the block has 1 layers"],
      [{ ...fine, scale: { middle: 1 } as never }, "given for middle, which does not exist; give one of down, mid, up"],
      [{ ...fine, mask: small }, "ipAdapter.mask: a tensor [8, 8]; expected [32, 48]"],
      [{ ...fine, image: two, mask: masks[0]! }, "ipAdapter.mask: one for 2 pictures; expected an entry for each"],
    ];
    const before = tf.memory().numTensors;
    for (const [ipAdapter, message] of cases) {
      const drawing = latentsOf({ ipAdapter });
      await expect(drawing).rejects.toThrow(PipelineOptionError);
      await expect(drawing).rejects.toThrow(message);
    }
    const { unet } = pipeline.parts;
    Object.defineProperty(unet, "contextAttentions", { value: undefined, configurable: true });
    await expect(latentsOf({ ipAdapter: [fine] })).rejects.toThrow("ipAdapter[0]: the denoiser (unet) is of a class");
    Reflect.deleteProperty(unet, "contextAttentions");
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([image, two, small, bytes, half]);
  });
});

describe("The denoiser", () => {
  it("refuses states of a layer that it does not have, and of other sizes", () => {
    const unet = pipeline.parts.unet as UNet2DConditionModel;
    const name = "mid_block.attentions.0.transformer_blocks.0.attn2";
    const draw = (layer: string, keys: number[], mask?: number[]) =>
      tf.tidy(() => {
        const states = {
          keys: tf.zeros<tf.Rank.R3>(keys as [number, number, number]),
          values: tf.zeros<tf.Rank.R3>([1, 4, 32]),
          mask: mask && tf.ones<tf.Rank.R3>(mask as [number, number, number]),
        };
        return unet.forward(tf.zeros([1, 8, 12, 4]), 1, tf.zeros([1, 5, 16]), { imageStates: { [layer]: [states] } });
      });
    expect(() => draw("mid_block.attn", [1, 4, 32])).toThrow(`its layers of attention to the context are down_blocks`);
    expect(() => draw(name, [1, 4, 16])).toThrow(`imageStates of ${name}, keys is [1, 4, 16] float32, expected`);
    expect(() => draw(name, [1, 3, 32])).toThrow(`values is [1, 4, 32] float32, expected`);
    expect(() => draw(name, [1, 4, 32], [1, 23, 1])).toThrow(`mask is [1, 23, 1] float32, expected`);
    draw(name, [1, 4, 32], [1, 24, 1]).dispose();
  });

  it("names its layers of attention to the context in diffusers' order, with their sizes", () => {
    const layers = (pipeline.parts.unet as UNet2DConditionModel).contextAttentions(9, 12);
    expect(layers.map(({ name, shape }) => [name.replace(".transformer_blocks.0.attn2", ""), ...shape])).toEqual([
      ["down_blocks.0.attentions.0", 9, 12, 16],
      ["up_blocks.1.attentions.0", 9, 12, 16],
      ["up_blocks.1.attentions.1", 9, 12, 16],
      ["mid_block.attentions.0", 5, 6, 32],
    ]);
  });
});
