import { createHash } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as tf from "@tensorflow/tfjs";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import type { Parameter } from "../nn/parameter.js";
import { openSafetensors } from "../weights/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";
import { fixturePath } from "./fixture.js";

/**
 * Puts the tiny Stable Diffusion of the fixtures together, with CLIP's vocabulary of 49,408, as a folder of diffusers
 * in `folder`.
 */
export async function writeTinyStableDiffusion(folder: string): Promise<void> {
  await cp(fixturePath("tiny-stable-diffusion"), folder, { recursive: true });
  await mkdir(join(folder, "tokenizer"), { recursive: true });
  for (const name of ["vocab.json", "merges.txt"]) {
    const packed = await readFile(fixturePath(`tokenizer/${name}.gz`));
    await writeFile(join(folder, "tokenizer", name), gunzipSync(packed));
  }
  for (const [name, hash] of Object.entries(HALF_PRECISION)) await writeHalf(join(folder, name), hash);
}

/** SHA-256 of what diffusers' save_pretrained(variant="fp16") wrote beside each of these files. */
const HALF_PRECISION = {
  "text_encoder/model": "05884c780b579e227693c70d7aa50e9cdd65bec6cfe5c15f7673ca35d8cd12a9",
  "unet/diffusion_pytorch_model": "81a1071c3edc25554b906709220fcdc3af4ec1630badb261e0faf30485307c25",
  "vae/diffusion_pytorch_model": "4184fe2f8881e00e2de046d4b207c84608d65a533189ab3aa6c87812fdeaa83f",
};

/** Writes a file's fp16 variant beside it: its weights are stored once. */
async function writeHalf(path: string, hash: string): Promise<void> {
  await writeAsItWas(`${path}.fp16.safetensors`, await readTensors(`${path}.safetensors`, "F16"), hash);
}

/**
 * Puts the tiny Stable Diffusion together as one file of half precision, as the first code's checkpoints are, in
 * `folder`, and returns its path. Of the file, only what the weights of diffusers' folder do not hold is stored.
 */
export async function writeTinySingleFile(folder: string): Promise<string> {
  const from = fixturePath("tiny-sd-single-file");
  const names = JSON.parse(await readFile(join(from, "names.json"), "utf8")) as Record<string, Record<string, string>>;
  const tensors = await readTensors(join(from, "own.safetensors"));
  for (const path of Object.keys(HALF_PRECISION)) {
    const weights = await readTensors(fixturePath(`tiny-stable-diffusion/${path}.safetensors`), "F16");
    for (const [name, source] of Object.entries(names[dirname(path)]!)) {
      const { shape, ...weight } = weights.get(source)!;
      // The first code's autoencoder attends with convolutions of 1 x 1.
      const isConvolution = /attn_1\.(q|k|v|proj_out)\.weight$/.test(name);
      tensors.set(name, { ...weight, shape: isConvolution ? [...shape, 1, 1] : shape });
    }
  }
  const path = join(folder, "tiny-sd.fp16.safetensors");
  await writeAsItWas(path, tensors, "541e1be5ac2bd32af1adc03f794ce72ad51e58d353dd52b1dcb7350ec9894af9");
  return path;
}

/** Puts the ControlNet of the tiny Stable Diffusion together in `folder`; most of its weights are the UNet's. */
export async function writeTinyControlNet(folder: string): Promise<void> {
  const from = fixturePath("tiny-sd-controlnet");
  await mkdir(folder, { recursive: true });
  await cp(join(from, "config.json"), join(folder, "config.json"));
  const tensors = await readTensors(join(from, "own.safetensors"));
  const unet = await readTensors(fixturePath("tiny-stable-diffusion/unet/diffusion_pytorch_model.safetensors"));
  for (const [name, weight] of unet) if (!/^(up_blocks|conv_norm_out|conv_out)\./.test(name)) tensors.set(name, weight);
  const path = join(folder, "diffusion_pytorch_model.safetensors");
  await writeAsItWas(path, tensors, "4f36b0d3ac4c71de6f45eb7ca0a53dd69485fb41d6609a514bb84d15ddd2af53");
}

/** A file's tensors, rounded if a dtype is given. */
async function readTensors(path: string, rounded?: "F16"): Promise<Map<string, TensorToWrite>> {
  const file = await openSafetensors(path);
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, { dtype, shape }] of file.tensors) {
    tensors.set(name, { dtype: rounded ?? dtype, shape, data: await file.read(name) });
  }
  await file.close();
  return tensors;
}

/** Writes a file that was stored once, and compares it, by its SHA-256, with the original. */
async function writeAsItWas(path: string, tensors: Map<string, TensorToWrite>, hash: string): Promise<void> {
  await writeSafetensors(path, tensors, { format: "pt" });
  const written = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  if (written !== hash) throw new Error(`${path}: these are not the bytes of the original file.`);
}

/** Puts the tiny Stable Diffusion XL of the fixtures together in `folder`. */
export async function writeTinyStableDiffusionXL(folder: string): Promise<void> {
  const parts = ["scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "model_index.json"];
  for (const part of parts) await cp(fixturePath(`tiny-sdxl/${part}`), join(folder, part), { recursive: true });
  for (const file of ["config.json", "diffusion_pytorch_model.safetensors"]) {
    await cp(fixturePath(`unet_sdxl/${file}`), join(folder, "unet", file));
    await cp(fixturePath(`tiny-stable-diffusion/vae/${file}`), join(folder, "vae", file));
  }
}

/** A refiner's UNet of weights of the tiny XL's: it reads one text encoder and five sizes. The caller owns it. */
export function tinyRefinerUNet(base: UNet2DConditionModel): UNet2DConditionModel {
  const config = { cross_attention_dim: 12, projection_class_embeddings_input_dim: 52 };
  return derivedUNet(base, config, (weight, { shape }) =>
    weight.slice(
      weight.shape.map(() => 0),
      shape,
    ),
  );
}

/**
 * An inpainting UNet of weights of another's: conv_in once more for the masked picture, and its first channel for the
 * mask. The caller owns it.
 */
export function tinyInpaintUNet(base: UNet2DConditionModel): UNet2DConditionModel {
  return derivedUNet(base, { in_channels: 9 }, (weight, { shape }) =>
    weight.shape.join() === shape.join()
      ? weight.clone()
      : tf.concat([weight, weight, weight.slice([0, 0, 0, 0], [-1, -1, 1, -1])], 2),
  );
}

/** A UNet of weights of another's, whose conv_in has them once more for further channels. The caller owns it. */
export function tinyWideUNet(base: UNet2DConditionModel, channels: number): UNet2DConditionModel {
  return derivedUNet(base, { in_channels: channels }, (weight, { shape }) =>
    weight.shape.join() === shape.join()
      ? weight.clone()
      : tf.concat([weight, weight], 2).slice([0, 0, 0, 0], [-1, -1, channels, -1]),
  );
}

/** An autoencoder with the weights of another, and some of its config changed. The caller owns it. */
export function derivedVae(base: AutoencoderKL, changes: Partial<AutoencoderKL["config"]>): AutoencoderKL {
  const vae = new AutoencoderKL({ ...base.config, ...changes });
  const weights = base.parameters();
  for (const [name, parameter] of vae.namedParameters()) parameter.assign(weights.get(name)!);
  return vae;
}

function derivedUNet(
  base: UNet2DConditionModel,
  changes: Partial<UNet2DConditionModel["config"]>,
  edit: (weight: tf.Tensor, parameter: Parameter) => tf.Tensor,
): UNet2DConditionModel {
  const unet = new UNet2DConditionModel({ ...base.config, ...changes });
  const weights = base.parameters();
  for (const [name, parameter] of unet.namedParameters()) {
    tf.tidy(() => parameter.assign(edit(weights.get(name)!, parameter)));
  }
  return unet;
}
