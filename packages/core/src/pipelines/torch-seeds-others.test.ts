import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs";
import { batchNoise, type NoiseSource, schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";
import type { UNet2DModel } from "../models/unet/unet-2d.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, Golden, loadFixture } from "../testing/fixture.js";
import { writeTinyStableDiffusionXL } from "../testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../testing/unclip.js";
import { DDIMPipeline, DDPMPipeline } from "./pixels/ddpm.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";
import { UnCLIPPipeline } from "./unclip/unclip.js";

/** Drawn by diffusers with `torch.Generator().manual_seed(seed)`: fixtures/torch-seeds/make_others.py. */
interface Run {
  kind: "xl" | "xl_image" | "xl_inpaint" | "unclip" | "unclip_variation" | "ddpm" | "ddim";
  scheduler: Record<string, unknown> | null;
  /** One generator for the batch, or one for each picture. */
  seed: number | number[];
  call: Record<string, number | string>;
}

const { runs } = JSON.parse(readFileSync(fixturePath("torch-seeds/others.json"), "utf8")) as {
  runs: Record<string, Run>;
};

let folder: string;
let xl: StableDiffusionXLPipeline;
let unclip: UnCLIPPipeline;
let variation: UnCLIPImageVariationPipeline;
let unet: UNet2DModel;
let drawn: Golden;
let picture: Golden;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "torch seeds "));
  await writeTinyStableDiffusionXL(join(folder, "xl"));
  await writeTinyUnCLIP(join(folder, "unclip"), "text");
  await writeTinyUnCLIP(join(folder, "variation"), "variation");
  xl = await StableDiffusionXLPipeline.fromPretrained(join(folder, "xl"));
  unclip = await UnCLIPPipeline.fromPretrained(join(folder, "unclip"));
  variation = await UnCLIPImageVariationPipeline.fromPretrained(join(folder, "variation"));
  unet = await loadFixture("unet2d_ddpm_cifar");
  drawn = await Golden.read("torch-seeds", "others.safetensors");
  picture = await Golden.read("tiny-stable-diffusion-runs", "inpaint4.safetensors");
});
afterAll(() => {
  for (const part of [xl, unclip, variation, unet]) part.dispose();
  rmSync(folder, { recursive: true });
});

/** diffusers' arguments by our names. */
function optionsOf({ call, scheduler }: Run, noise: NoiseSource) {
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const names: Record<string, string> = { num_images_per_prompt: "numImages", batch_size: "numImages" };
  const named = Object.entries(call).map(([name, value]) => [names[name] ?? camel(name), value] as const);
  return { ...Object.fromEntries(named), noise, ...(scheduler && { scheduler: schedulerFromConfig(scheduler) }) };
}

/** Latents of XL, pictures of the others. */
async function draw(run: Run, noise: NoiseSource): Promise<tf.Tensor4D> {
  const options = optionsOf(run, noise);
  const image = picture.tensor<tf.Tensor4D>("in.image");
  const mask = picture.tensor<tf.Tensor4D>("in.mask_image");
  const imageEmbeddings = () => variation.parts.imageEncoder.forward(drawn.tensor("in.pixels")).imageEmbeds;
  const generate = {
    xl: () => xl.generate(options),
    xl_image: () => xl.generate({ ...options, image }),
    xl_inpaint: () => xl.generate({ ...options, image, mask }),
    unclip: () => unclip.generate(options),
    unclip_variation: () => variation.generate({ ...options, imageEmbeddings: imageEmbeddings() }),
    ddpm: () => new DDPMPipeline({ unet, scheduler: schedulerFromConfig(run.scheduler!) }).generate(options),
    ddim: () => new DDIMPipeline({ unet, scheduler: schedulerFromConfig(run.scheduler!) }).generate(options),
  }[run.kind];
  const { images, latents } = await generate();
  return run.kind.startsWith("xl") ? latents : images;
}

it.each(Object.entries(runs))("torchNoise(7) draws what diffusers draws with manual_seed(7): %s", async (name, run) => {
  const noise = Array.isArray(run.seed) ? batchNoise(run.seed.map(torchNoise)) : torchNoise(run.seed);
  // The same bound as for Stable Diffusion: torch-seeds.test.ts.
  expect(drawn.error(name, await draw(run, noise))).toBeLessThan(2e-5);
});
