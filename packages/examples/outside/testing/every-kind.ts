import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { type AnyPipeline, StableDiffusionDiffEditPipeline, StableDiffusionPipeline } from "@tfjs-diffusion/core";
import { type UNet2DConditionModel, UNet2DModel } from "@tfjs-diffusion/core/models";
import {
  DDIMPipeline,
  DDPMPipeline,
  StableDiffusionDepth2ImgPipeline,
  StableDiffusionInstructPix2PixPipeline,
} from "@tfjs-diffusion/core/pipelines";
import { DDIMScheduler, DDPMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import {
  tinyWideUNet,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../../../core/src/testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../../../core/src/testing/unclip.js";

/** A pipeline of any kind. */
export type Opened = AnyPipeline | StableDiffusionDiffEditPipeline;

/** A kind of pipeline. */
export interface Kind {
  write(folder: string): Promise<void>;
  /** Default: {@link openPipeline}, which opens DiffEdit's folders as Stable Diffusion. */
  open?(folder: string): Promise<Opened>;
}

/** Every kind of pipeline, with random weights of the smallest sizes. */
export const KINDS: Record<string, Kind> = {
  "Stable Diffusion": { write: writeTinyStableDiffusion },
  "Stable Diffusion XL": { write: writeTinyStableDiffusionXL },
  InstructPix2Pix: { write: (folder) => writeWide(StableDiffusionInstructPix2PixPipeline, 8, folder) },
  "depth to image": { write: (folder) => writeWide(StableDiffusionDepth2ImgPipeline, 5, folder) },
  DiffEdit: {
    write: writeTinyStableDiffusion,
    open: (folder) => StableDiffusionDiffEditPipeline.fromPretrained(folder),
  },
  unCLIP: { write: (folder) => writeTinyUnCLIP(folder, "text") },
  "unCLIP image variation": { write: (folder) => writeTinyUnCLIP(folder, "variation") },
  pixels: { write: (folder) => cp(FACES, folder, { recursive: true }) },
  DDPM: { write: (folder) => save(new DDPMPipeline({ unet: tinyUNet(), scheduler: new DDPMScheduler() }), folder) },
  DDIM: { write: (folder) => save(new DDIMPipeline({ unet: tinyUNet(), scheduler: new DDIMScheduler() }), folder) },
  "DDPM with classes": {
    write: (folder) => save(new DDPMPipeline({ unet: tinyUNet(5), scheduler: new DDIMScheduler() }), folder),
  },
};
const FACES = fileURLToPath(new URL("../../weights/faces", import.meta.url));

/** A network with random weights for 8 x 8 pixels and `classes` classes. */
function tinyUNet(classes?: number): UNet2DModel {
  const unet = new UNet2DModel({
    sample_size: 8,
    block_out_channels: [8, 16],
    layers_per_block: 1,
    norm_num_groups: 4,
    down_block_types: ["DownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "UpBlock2D"],
    num_class_embeds: classes,
  });
  unet.initialize(keyedNoise(0));
  return unet;
}

async function save(pipeline: DDPMPipeline, folder: string): Promise<void> {
  await pipeline.savePretrained(folder);
  pipeline.dispose();
}

/** The tiny Stable Diffusion with a UNet of so many channels, as another kind of pipeline. */
async function writeWide(
  Kind: typeof StableDiffusionInstructPix2PixPipeline | typeof StableDiffusionDepth2ImgPipeline,
  channels: number,
  folder: string,
): Promise<void> {
  const from = await mkdtemp(join(tmpdir(), `base ${channels} `));
  await writeTinyStableDiffusion(from);
  const { parts } = await StableDiffusionPipeline.fromPretrained(from);
  const pipeline = new Kind({ ...parts, unet: tinyWideUNet(parts.unet as UNet2DConditionModel, channels) });
  await pipeline.savePretrained(folder);
  pipeline.dispose();
  (parts.unet as UNet2DConditionModel).dispose();
  await rm(from, { recursive: true });
}

/** The inputs that a kind requires; the caller owns them. */
export type Needed = {
  image?: tf.Tensor3D;
  mask?: tf.Tensor2D;
  depthMap?: tf.Tensor2D;
  imageLatents?: tf.Tensor4D[];
};

/** Makes the inputs that this kind requires. */
export async function whatItNeeds(pipeline: Opened): Promise<Needed> {
  const image = () => tf.fill<tf.Rank.R3>([16, 16, 3], 0.5);
  if (pipeline.input === "image") return { image: image() };
  if (pipeline instanceof StableDiffusionInstructPix2PixPipeline) return { image: image() };
  if (pipeline instanceof StableDiffusionDepth2ImgPipeline)
    return { image: image(), depthMap: keyedNoise(0).normal([4, 4]) as tf.Tensor2D };
  if (!(pipeline instanceof StableDiffusionDiffEditPipeline)) return {};
  const picture = image();
  const settings = { prompt: "a blue cube", image: picture, numInferenceSteps: 2, strength: 1 };
  const imageLatents = await pipeline.invert(settings);
  picture.dispose();
  return { mask: tf.ones<tf.Rank.R2>([4, 4]), imageLatents };
}

const GUIDED = {
  text: { prompt: "a red cube", negativePrompt: "blue", guidanceScale: 2 },
  image: { guidanceScale: 2 },
  class: { classLabels: [1], nullClass: 4, guidanceScale: 2 },
  nothing: {},
};

/** The required inputs of this kind, and the options of all kinds. */
export function optionsOf(pipeline: Opened, needed: Needed) {
  const startsFromPicture =
    pipeline instanceof StableDiffusionDiffEditPipeline || pipeline instanceof StableDiffusionDepth2ImgPipeline;
  return {
    ...GUIDED[pipeline.input],
    ...needed,
    ...(startsFromPicture && { strength: 1 }),
    numInferenceSteps: 2,
    seed: 3,
    numImages: 1,
  };
}

/** Draws with options of any kind; the numbers of the result. */
export async function numbersOf(pipeline: Opened, options: object) {
  const { images, latents } = await pipeline.generate(options as never);
  const drawn = { shape: images.shape, images: [...(await images.data())], latents: [...(await latents.data())] };
  tf.dispose([images, latents]);
  return drawn;
}
