/**
 * Trains the portraits model, a small Stable Diffusion, from scratch: the autoencoder, then CLIP in three lessons, then
 * the UNet that draws latents.
 *
 *   npm run train:portraits               the shipped model's settings
 *   npm run train:portraits -- --quick    a small run that shows the loss fall
 *
 * Ctrl-C saves and stops; the same command resumes. All output is in runs/portraits (--out): the model's folder,
 * checkpoints, logs and loss curves.
 */
import { join } from "node:path";
import { PORTRAITS } from "../datasets/portraits/index.js";
import { fixedParts } from "./portraits/folder.js";
import { clipConfig, SETTINGS } from "./portraits/settings.js";
import { trainLatentUnet } from "./portraits/unet.js";
import { trainVae } from "./portraits/vae.js";
import { runClipLessons, trainingScript } from "./training-script.js";

await trainingScript({ name: "portraits", settings: SETTINGS, parts: fixedParts() }, async (script) => {
  const { settings, tokenizer, model, run } = script;
  const vaeFolder = join(model, "vae");
  await run("vae", vaeFolder, (files) => trainVae({ settings, ...files }));
  const clipFolder = await runClipLessons(script, { kind: PORTRAITS, config: clipConfig() });
  await run("unet", model, (files) => trainLatentUnet({ settings, tokenizer, clipFolder, vaeFolder, ...files }));
  console.log(`The model is in ${model}.`);
});
