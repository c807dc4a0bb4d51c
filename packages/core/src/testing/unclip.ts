import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fixturePath } from "./fixture.js";

/**
 * Puts a tiny unCLIP of the fixtures together in `folder`, as diffusers saves it: from text, or for variations of
 * pictures.
 */
export async function writeTinyUnCLIP(folder: string, kind: "text" | "variation"): Promise<void> {
  const index = JSON.parse(await readFile(fixturePath(`tiny-unclip/${kind}_index.json`), "utf8")) as object;
  const className = kind === "text" ? "UnCLIPPipeline" : "UnCLIPImageVariationPipeline";
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model_index.json"), JSON.stringify({ _class_name: className, ...index }));
  const own = (await readdir(fixturePath("tiny-unclip"), { withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  );
  const parts = Object.keys(index);
  for (const { name } of own.filter(({ name }) => parts.includes(name)))
    await cp(fixturePath(`tiny-unclip/${name}`), join(folder, name), { recursive: true });
  for (const [from, to] of [
    ["tiny-sdxl/text_encoder_2", "text_encoder"],
    ["tiny-sdxl/tokenizer", "tokenizer"],
  ] as const)
    await cp(fixturePath(from), join(folder, to), { recursive: true });
  for (const [from, to] of [
    ["unclip_decoder", "decoder"],
    ["unclip_superres", "super_res_first"],
  ] as const)
    for (const file of ["config.json", "diffusion_pytorch_model.safetensors"])
      await cp(fixturePath(`${from}/${file}`), join(folder, to, file));
}
