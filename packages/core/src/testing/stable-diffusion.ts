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
