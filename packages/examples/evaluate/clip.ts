/**
 * Measures the CLIP of stage one: can it tell which caption belongs to which picture, and which attribute it sees?
 * Retrieval among random pictures is easy and says little; the table by attribute shows which attributes the UNet can
 * learn from CLIP.
 *
 *   npm run eval:clip                                             the portraits', as shipped
 *   npm run eval:clip -- --kind faces --clip runs/faces/clip-both
 */
import * as tf from "@tensorflow/tfjs";
import { CLIPTokenizer, useBackend } from "@tfjs-diffusion/core";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTES, type Attribute, type Face, faceExample, HIDDEN_BY_HAT, visible } from "../datasets/faces/index.js";
import { oneOf, wrong } from "../src/cli/options/option-values.js";
import { packagePath } from "../src/package-folder.js";
import { tokenIds } from "../train/clip.js";
import { openClip } from "./clip-model.js";
import { percent } from "../src/percent.js";
import { countOption, kindOption, scriptOptions } from "../train/script-options.js";

const RETRIEVAL = 64;

const { options } = scriptOptions({
  kind: { type: "string", default: "portraits" },
  /** Default, for portraits: the shipped one. */
  clip: { type: "string" },
  /** Folder of its tokenizer; default: the shipped model's. */
  tokenizer: { type: "string" },
  /** "seen" or "held-out" combinations. */
  split: { type: "string", default: "held-out" },
  /** Pictures, a multiple of 64. */
  pictures: { type: "string", default: "512" },
  backend: { type: "string" },
});
const kind = kindOption(options.kind);
const count = countOption("pictures", options.pictures);
const split = oneOf("split", options.split, ["seen", "held-out"] as const);
if (count % RETRIEVAL !== 0) throw wrong("pictures", options.pictures, `a multiple of ${RETRIEVAL}`);

const { name: backend } = await useBackend(options.backend);
const clip = await openClip(options.kind, options.clip);
const tokenizer = await CLIPTokenizer.fromFolder(
  options.tokenizer ?? packagePath("weights", options.kind, "tokenizer"),
);

const examples = Array.from({ length: count }, (_, i) => faceExample(i, { seed: 1, split, style: "full", kind }));
const rights = new Map<Attribute, { right: number; chance: number; asked: number }>(
  kind.attributes.map((name) => [name, { right: 0, chance: 0, asked: 0 }]),
);
const retrieval = { text: 0, image: 0 };

for (let start = 0; start < count; start += RETRIEVAL) {
  const batch = examples.slice(start, start + RETRIEVAL);
  const captions = batch.map(({ caption: { text } }) => text);
  const questions = batch.flatMap(({ face }, picture) =>
    questionsOf(face, start + picture).map((question) => ({ ...question, picture })),
  );
  const similarity = similarities([...captions, ...questions.flatMap(({ texts }) => texts)], batch);
  for (let i = 0; i < RETRIEVAL; i++) {
    const own = similarity.slice(0, RETRIEVAL);
    if (own.every((row) => row[i]! <= own[i]![i]!)) retrieval.text++;
    if (own[i]!.every((value) => value <= own[i]![i]!)) retrieval.image++;
  }
  let next = RETRIEVAL;
  for (const { attribute, picture, texts, truth } of questions) {
    const scores = texts.map(() => similarity[next++]![picture]!);
    const counts = rights.get(attribute)!;
    counts.asked++;
    counts.chance += 1 / texts.length;
    if (scores.every((score, i) => i === truth || score < scores[truth]!)) counts.right++;
  }
}
clip.dispose();

console.log(`${count} ${split} pictures, backend ${backend}.

Retrieval among ${RETRIEVAL}, full captions: caption of a picture ${percent(retrieval.text / count)}, picture of a caption ${percent(retrieval.image / count)}.

Zero-shot: of the full captions that differ in one attribute, is the right one nearest to the picture?

| attribute | right | chance |
|---|---|---|
${[...rights].map(([name, { right, chance, asked }]) => `| ${name} | ${percent(right / asked)} | ${percent(chance / asked)} |`).join("\n")}`);

/** Scaled cosine similarities, [captions][pictures]; captions go through the text tower in parts. */
function similarities(captions: readonly string[], batch: typeof examples): number[][] {
  const rows: number[][] = [];
  for (let i = 0; i < captions.length; i += 512) {
    const part = tf.tidy(() => {
      const bytes = tf.stack(
        batch.map(({ pixels }) => tf.tensor3d(Float32Array.from(pixels), [kind.size, kind.size, 3])),
      );
      const ids = tokenIds(tokenizer, captions.slice(i, i + 512));
      return clip.forward(ids, bytes.div<tf.Tensor4D>(127.5).sub(1)).logitsPerText.arraySync();
    });
    rows.push(...part);
  }
  return rows;
}

/** For each visible attribute, the face's full caption with every value that a face can have there. */
function questionsOf(face: Face, index: number): { attribute: Attribute; texts: string[]; truth: number }[] {
  const describe = kind.wording(face, keyedRandom(1, "eval-clip", index), "full");
  return (Object.keys(visible(face)) as Attribute[]).map((attribute) => {
    const faces = ATTRIBUTES[attribute]
      .map((value) => ({ ...face, [attribute]: value }))
      .filter((changed) => changed.hat === "none" || !HIDDEN_BY_HAT.includes(changed.hair));
    return {
      attribute,
      texts: faces.map((changed) => describe(changed).text),
      truth: faces.findIndex((changed) => changed[attribute] === face[attribute]),
    };
  });
}
