/**
 * Measures editing with the portraits model: image-to-image (does the requested attribute change, does the rest stay?),
 * inpainting (a hat on a bare head; repainted parts) and outpainting (is there a seam?).
 *
 *   npm run eval:edits                                the shipped model
 *   … --inpainting runs/portraits/inpainting/unet    compares the UNet of 9 channels with the blend
 *
 * Writes sheets into --out.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import {
  encodePng,
  imageGrid,
  loadModel,
  outpaintCanvas,
  StableDiffusionXLPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import { type UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { caption, captionWith, type Face } from "../datasets/faces/index.js";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { renderPortrait } from "../datasets/portraits/index.js";
import { loadClassifier } from "../classifier/classifier-files.js";
import {
  type Change,
  changeOne,
  changeOutside,
  changeShares,
  differenceWithin,
  innerEdge,
  seamRatio,
} from "./edit-numbers.js";
import { percent } from "../src/percent.js";
import { readings01 } from "./context.js";
import { countOption, guidanceOption, scriptOptions, stepsOption } from "../train/script-options.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));
const { options } = scriptOptions({
  model: { type: "string", default: join(WEIGHTS, "portraits") },
  classifier: { type: "string", default: join(WEIGHTS, "portraits-classifier") },
  /** Folder of a UNet of 9 channels. */
  inpainting: { type: "string" },
  pictures: { type: "string", default: "200" },
  guidance: { type: "string", default: "3" },
  steps: { type: "string", default: "20" },
  batch: { type: "string", default: "50" },
  out: { type: "string", default: "out/eval-edits" },
  backend: { type: "string" },
});
const count = countOption("pictures", options.pictures);
const guidanceScale = guidanceOption("guidance", options.guidance);
const numInferenceSteps = stepsOption("steps", options.steps);
const batchSize = countOption("batch", options.batch);
const { size } = PORTRAITS_2;
const STRENGTHS = [0.3, 0.5, 0.7, 0.9];
/** A seed that no training and no other measurement uses. */
const SEED = 501;
/** Rows of a picture from its top that a hat can take. */
const HAT_ROWS = 12;

const { name: backend } = await useBackend(options.backend);
const classifier = await loadClassifier(options.classifier);
const pipeline = await StableDiffusionXLPipeline.fromPretrained(options.model);
const wide = options.inpainting && ((await loadModel(options.inpainting)) as UNet2DConditionModel);
/** The ways to inpaint. */
const painters: [string, StableDiffusionXLPipeline][] = [["blend", pipeline]];
if (wide) painters.push(["9 channels", new StableDiffusionXLPipeline({ ...pipeline.parts, unet: wide })]);
const common = { guidanceScale, numInferenceSteps };
console.log(`${count} pictures, guidance ${guidanceScale}, ${numInferenceSteps} steps, backend ${backend}.`);
await mkdir(options.out, { recursive: true });

await imageToImage();
await inpainting();
await repainting();
await outpainting();
if (wide) wide.dispose();
pipeline.dispose();
classifier.dispose();

/** A change, the caption of the changed face, and the picture of the face as it was. */
interface Edit extends Change {
  prompt: string;
  pixels: Uint8Array;
}

function editOf(index: number, change: (face: Face, random: ReturnType<typeof keyedRandom>) => Change): Edit {
  const random = keyedRandom(SEED, index);
  const changed = change(PORTRAITS_2.sample(random), random);
  const { wording } = caption(changed.face, random, "full");
  const { text } = captionWith(changed.changed, wording);
  return { ...changed, prompt: text, pixels: PORTRAITS_2.render(changed.face, random) };
}

/** Runs `body` on the edits in batches, with their pictures in [0, 1]. */
async function inBatches(edits: Edit[], body: (batch: Edit[], images: tf.Tensor4D, first: number) => Promise<void>) {
  for (let first = 0; first < edits.length; first += batchSize) {
    const batch = edits.slice(first, first + batchSize);
    const bytes = Float32Array.from(batch.flatMap(({ pixels }) => [...pixels]));
    const images = tf.tidy(() => tf.tensor4d(bytes, [batch.length, size, size, 3]).div<tf.Tensor4D>(255));
    await body(batch, images, first);
    images.dispose();
  }
}

async function writeSheet(name: string, rows: tf.Tensor4D[]): Promise<void> {
  const columns = rows[0]!.shape[0];
  const sheet = tf.tidy(() => imageGrid(tf.concat(rows), { columns, gap: 1, scale: 3 }));
  const file = join(options.out, `${name}.png`);
  await writeFile(file, await encodePng(sheet));
  tf.dispose([sheet, rows]);
  console.log(`\n${file}`);
}

function firsts(images: tf.Tensor4D): tf.Tensor4D {
  return images.slice([0, 0, 0, 0], [Math.min(16, images.shape[0]), -1, -1, -1]);
}

async function imageToImage(): Promise<void> {
  const edits = Array.from({ length: count }, (_, i) => editOf(i, changeOne));
  const sheet: tf.Tensor4D[] = [];
  console.log(`
| image to image, strength | requested attribute changed | the rest stayed |
|---|---|---|`);
  for (const strength of STRENGTHS) {
    const readings: Partial<Face>[] = [];
    await inBatches(edits, async (batch, image, first) => {
      const prompt = batch.map(({ prompt }) => prompt);
      const { images, latents } = await pipeline.generate({ ...common, prompt, image, strength, seed: first });
      readings.push(...(await readings01(classifier, images)));
      if (first === 0) sheet.push(...(sheet.length === 0 ? [firsts(image)] : []), firsts(images));
      tf.dispose([images, latents]);
    });
    const { done, stayed } = changeShares(edits, readings);
    console.log(`| ${strength} | ${percent(done)} | ${percent(stayed)} |`);
  }
  await writeSheet("image-to-image", sheet);
}

async function inpainting(): Promise<void> {
  const hats = ["beanie", "cap", "fedora"] as const;
  const edits = Array.from({ length: count }, (_, i) =>
    editOf(i, (any, random) => {
      const face: Face = { ...any, hair: ["bald", "short", "long", "pigtails"][i % 4] as Face["hair"], hat: "none" };
      return { face, changed: { ...face, hat: hats[random.integer(hats.length)]! }, attribute: "hat" };
    }),
  );
  const mask = maskOf([0, 0, HAT_ROWS, size]);
  const sheet: tf.Tensor4D[] = [];
  console.log(`
| inpainting: a hat, into the upper ${HAT_ROWS} rows | hat as requested | the rest stayed | largest change outside | across the mask's edge against elsewhere |
|---|---|---|---|---|`);
  for (const [name, painter] of painters) {
    const readings: Partial<Face>[] = [];
    const ratios: number[] = [];
    let outside = 0;
    await inBatches(edits, async (batch, image, first) => {
      const prompt = batch.map(({ prompt }) => prompt);
      const request = { ...common, prompt, image, mask, pasteBack: true, seed: first };
      const { images, latents } = await painter.generate(request);
      readings.push(...(await readings01(classifier, images)));
      outside = Math.max(outside, changeOutside(image, images, mask));
      const turned = tf.tidy(() => images.transpose<tf.Tensor4D>([0, 2, 1, 3]));
      ratios.push(seamRatio(turned, [HAT_ROWS]));
      if (first === 0) sheet.push(...(sheet.length === 0 ? [firsts(image)] : []), firsts(images));
      tf.dispose([images, latents, turned]);
    });
    const { done, stayed } = changeShares(edits, readings);
    const ratio = ratios.reduce((sum, value) => sum + value, 0) / ratios.length;
    console.log(`| ${name} | ${percent(done)} | ${percent(stayed)} | ${outside} | ${ratio.toFixed(2)} |`);
  }
  const real = tf.tidy(() => seamRatio(realOnes(edits, 0).transpose<tf.Tensor4D>([0, 2, 1, 3]), [HAT_ROWS]));
  console.log(`| real pictures with such hats | | | | ${real.toFixed(2)} |`);
  mask.dispose();
  await writeSheet("inpainting", sheet);
}

/**
 * Repaints the region under a mask from the same caption. Measures how far the new pixels are from the old ones, at the
 * mask's edge and in total.
 */
async function repainting(): Promise<void> {
  const masks = [
    ["the left half", [0, 0, size, size / 2]],
    ["the right half", [0, size / 2, size, size / 2]],
    ["the upper 12 rows", [0, 0, HAT_ROWS, size]],
    ["the lower half", [size / 2, 0, size / 2, size]],
    ["the middle, 16 x 16", [8, 8, 16, 16]],
  ] as const;
  const edits = Array.from({ length: count }, (_, i) =>
    editOf(i, (face) => ({ face, changed: face, attribute: "hat" })),
  );
  console.log(`
| redrawn | by | root mean square error at the mask's edge | under the whole mask |
|---|---|---|---|`);
  for (const [part, box] of masks) {
    const mask = maskOf(box);
    const edge = innerEdge(mask);
    for (const [name, painter] of painters) {
      const squares = [0, 0];
      await inBatches(edits, async (batch, image, first) => {
        const prompt = batch.map(({ prompt }) => prompt);
        const { images, latents } = await painter.generate({
          ...common,
          prompt,
          image,
          mask,
          pasteBack: true,
          seed: first,
        });
        [edge, mask].forEach((at, i) => (squares[i]! += batch.length * differenceWithin(images, image, at) ** 2));
        tf.dispose([images, latents]);
      });
      const errors = squares.map((square) => Math.sqrt(square / count).toFixed(3));
      console.log(`| ${part} | ${name} | ${errors.join(" | ")} |`);
    }
    tf.dispose([mask, edge]);
  }
}

/** A mask [1, size, size, 1] that is 1 in a rectangle: its top, left, height and width. The caller owns it. */
function maskOf([top, left, height, width]: readonly [number, number, number, number]): tf.Tensor4D {
  const around = [
    [0, 0],
    [top, size - top - height],
    [left, size - left - width],
    [0, 0],
  ] as const;
  return tf.tidy(() =>
    tf.ones<tf.Rank.R4>([1, height, width, 1]).pad<tf.Tensor4D>(around as unknown as [number, number][]),
  );
}

async function outpainting(): Promise<void> {
  const edits = Array.from({ length: count }, (_, i) =>
    editOf(i, (face) => ({ face, changed: face, attribute: "background" })),
  );
  console.log(`
| outpainting to | across the old border against elsewhere | without painting (edges repeated) | in real pictures so wide |
|---|---|---|---|`);
  for (const border of [8, 16]) {
    const ratios: number[][] = [[], [], []];
    const borders = [border, border + size];
    const sheet: tf.Tensor4D[] = [];
    await inBatches(edits, async (batch, picture, first) => {
      const canvas = outpaintCanvas(picture, { left: border, right: border });
      const prompt = batch.map(({ prompt }) => prompt);
      const width = size + 2 * border;
      const request = { ...common, ...canvas, prompt, width, height: size, pasteBack: true, seed: first };
      const { images, latents } = await pipeline.generate(request);
      ratios[0]!.push(seamRatio(images, borders));
      ratios[1]!.push(seamRatio(canvas.image, borders));
      const real = realOnes(batch, border);
      ratios[2]!.push(seamRatio(real, borders));
      if (first === 0) sheet.push(firsts(canvas.image), firsts(images));
      tf.dispose([images, latents, real, canvas.image, canvas.mask]);
    });
    const means = ratios.map((each) => each.reduce((sum, value) => sum + value, 0) / each.length);
    console.log(`| ${size + 2 * border} x ${size} | ${means.map((mean) => mean.toFixed(2)).join(" | ")} |`);
    await writeSheet(`outpainting-${size + 2 * border}`, sheet);
  }
}

/** Real pictures of the changed faces, with `border` columns added on either side, in [0, 1]. */
function realOnes(edits: Edit[], border: number): tf.Tensor4D {
  const width = size + 2 * border;
  const bytes = edits.flatMap(({ changed }, i) => [
    ...renderPortrait(changed, keyedRandom(SEED, "real", i), { width, left: border }),
  ]);
  return tf.tidy(() => tf.tensor4d(bytes, [edits.length, size, width, 3]).div(255));
}
