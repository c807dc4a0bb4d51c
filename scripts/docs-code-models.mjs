import { cpSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { encodePng } from "../packages/core/src/image/png/encode-png.js";
import { StableDiffusionXLPipeline } from "../packages/core/src/pipelines/stable-diffusion/stable-diffusion-xl.js";
import {
  tinyRefinerUNet,
  writeTinyControlNet,
  writeTinySingleFile,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../packages/core/src/testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../packages/core/src/testing/unclip.js";
import { root } from "./run.mjs";

const fixture = (name) => join(root, "packages", "core", "fixtures", name);

/**
 * What the snippets of the documents open, in `folder`: tiny networks and plain pictures under the names that readers
 * give to theirs, so that the code runs as it stands.
 */
export async function writeDocumentedFiles(folder) {
  symlinkSync(join(root, "packages"), join(folder, "packages"), "junction");
  const models = join(folder, "models");
  mkdirSync(models);
  symlinkSync(join(root, "packages", "examples", "weights", "portraits"), join(models, "portraits"), "junction");
  await writeTinyStableDiffusion(join(models, "sd-v1-5"));
  await writeTinyControlNet(join(models, "control_v11p_sd15_canny"));
  renameSync(await writeTinySingleFile(folder), join(folder, "sd-v1-5.safetensors"));
  await writeTinyUnCLIP(join(models, "karlo-image-variations"), "variation");
  await writeTinySDXL(join(models, "sdxl-base"), join(models, "sdxl-refiner"));
  for (const [from, to] of [
    ["tiny-ip-adapter/base.safetensors", "models/ip-adapter_sd15.safetensors"],
    ["clip_vision_proj", "models/image_encoder"],
    ["lora/peft/pytorch_lora_weights.safetensors", "style.safetensors"],
    ["lora/kohya/pytorch_lora_weights.safetensors", "detail.safetensors"],
    ["textual_inversion/learned_embeds.safetensors", "learned_embeds.safetensors"],
  ])
    cpSync(fixture(from), join(folder, to), { recursive: true });
  for (const name of ["cat.png", "dog.png", "fruits.png", "edges.png"]) {
    const picture = tf.tidy(() => tf.randomUniform([32, 32, 3], 0, 1, "float32", name.charCodeAt(0)));
    writeFileSync(join(folder, name), await encodePng(picture));
    picture.dispose();
  }
}

/** A tiny SDXL, and the refiner that goes with it. */
async function writeTinySDXL(base, refiner) {
  await writeTinyStableDiffusionXL(base);
  const pipeline = await StableDiffusionXLPipeline.fromPretrained(base);
  const unet = tinyRefinerUNet(pipeline.parts.unet);
  await new StableDiffusionXLPipeline({
    ...pipeline.parts,
    unet,
    textEncoder: undefined,
    tokenizer: undefined,
    forceZerosForEmptyPrompt: false,
  }).savePretrained(refiner);
  unet.dispose();
  pipeline.dispose();
}
