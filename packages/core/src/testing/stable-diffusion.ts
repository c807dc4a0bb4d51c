import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { fixturePath } from "./fixture.js";

/** Puts the tiny Stable Diffusion of the fixtures together, with CLIP's vocabulary of 49,408, as a folder of diffusers in `folder`. */
export async function writeTinyStableDiffusion(folder: string): Promise<void> {
  await cp(fixturePath("tiny-stable-diffusion"), folder, { recursive: true });
  await mkdir(join(folder, "tokenizer"), { recursive: true });
  for (const name of ["vocab.json", "merges.txt"]) {
    const packed = await readFile(fixturePath(`tokenizer/${name}.gz`));
    await writeFile(join(folder, "tokenizer", name), gunzipSync(packed));
  }
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
