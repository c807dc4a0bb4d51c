/**
 * Trains the faces model from scratch, in two stages. First CLIP learns, in three lessons, which picture a caption
 * describes. Then the UNet learns to draw from captions.
 *
 *   npm run train:faces               the shipped model's settings; about two hours on the native backend
 *   npm run train:faces -- --quick    a small network that draws soft faces after about two minutes
 *
 * Ctrl-C saves and stops; the same command resumes. All output is in runs/faces (--out): the model's folder,
 * checkpoints, logs, loss curves and a sheet of pictures. Curves and sheet are redrawn with each checkpoint.
 */
import { FACES } from "../datasets/faces/index.js";
import { fixedParts } from "./faces/folder.js";
import { clipConfig, SETTINGS } from "./faces/settings.js";
import { drawSheet } from "./faces/sheet.js";
import { trainUnet } from "./faces/unet.js";
import { runClipLessons, trainingScript } from "./training-script.js";

await trainingScript({ name: "faces", settings: SETTINGS, parts: fixedParts }, async (script) => {
  const { settings, tokenizer, model, out, run } = script;
  const clipFolder = await runClipLessons(script, { kind: FACES, config: clipConfig() });
  const { drawing } = settings;
  await run(
    "unet",
    model,
    (files) => trainUnet({ settings, tokenizer, clipFolder, ...files }),
    () => drawSheet(model, out, { ...drawing, rows: 1 }),
  );
  console.log(`The model is in ${model}, and its pictures in ${await drawSheet(model, out, drawing)}.`);
});
