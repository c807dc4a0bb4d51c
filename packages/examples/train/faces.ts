/**
 * Trains the faces model from scratch, in two stages. First CLIP learns, in three lessons, which picture a caption
 * describes. Then the UNet learns to draw from captions.
 *
 *   npm run train:faces               the shipped model's settings; about two hours on the native backend
 *   npm run train:faces -- --quick    a small run that shows the loss fall, in under three minutes
 *
 * Ctrl-C saves and stops; the same command resumes. All output is in runs/faces (--out): the model's folder,
 * checkpoints, logs, loss curves and a sheet of pictures.
 */
import { FACES } from "../datasets/faces/index.js";
import { fixedParts } from "./faces/folder.js";
import { clipConfig, SETTINGS } from "./faces/settings.js";
import { drawSheet } from "./faces/sheet.js";
import { trainUnet } from "./faces/unet.js";
import { runClipLessons, trainingScript } from "./training-script.js";

await trainingScript({ name: "faces", settings: SETTINGS, parts: fixedParts() }, async (script) => {
  const { settings, tokenizer, model, out, run } = script;
  const clipFolder = await runClipLessons(script, { kind: FACES, config: clipConfig() });
  await run("unet", model, (files) => trainUnet({ settings, tokenizer, clipFolder, ...files }));
  console.log(`The model is in ${model}; a sheet of its pictures is ${await drawSheet(model, out)}.`);
});
