/**
 * Measures what `npm run tune:portraits` taught the portraits model, by a judge that has learned nothing: the nearest
 * portrait that can be rendered.
 *
 *   npm run eval:own-parts -- word       does the new word mean the person, and are other words obeyed beside it?
 *   npm run eval:own-parts -- subject    does the LoRA draw the person when asked, and other people otherwise?
 *   … --part FOLDER                      of another training; default: the shipped word and LoRA
 *
 * Writes a sheet of pictures into `--out`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { type Attribute, ATTRIBUTES, type Face } from "../datasets/faces/index.js";
import { pick } from "../datasets/faces/sample.js";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { LU, type Person, picturesOf, ZWX } from "../datasets/portraits/people.js";
import { UsageError } from "../src/cli/options/usage-error.js";
import { packagePath } from "../src/package-folder.js";
import { percent } from "../src/percent.js";
import { ZWX_NAME } from "../train/portraits/subject.js";
import { LORA_FILE } from "../train/portraits/tuning.js";
import { LU_WORD, WORD_FILE } from "../train/portraits/word.js";
import { countOption, guidanceOption, scriptOptions, stepsOption } from "../train/script-options.js";
import { agreement, readPerson, type Reading } from "./own-parts-numbers.js";
import { promptsOf } from "./prompts.js";

const PARTS: Record<string, { part: string; measure: () => Promise<tf.Tensor4D> }> = {
  word: { part: packagePath("weights", "portraits-words", "lu"), measure: measureWord },
  subject: { part: packagePath("weights", "portraits-loras", "zwx"), measure: measureSubject },
};

const { options, word: name = "" } = scriptOptions(
  {
    model: { type: "string", default: packagePath("weights", "portraits") },
    part: { type: "string" },
    out: { type: "string", default: "out/eval-own-parts" },
    pictures: { type: "string", default: "50" },
    guidance: { type: "string", default: "3" },
    steps: { type: "string", default: "10" },
    backend: { type: "string" },
  },
  Object.keys(PARTS),
);
const chosen = Object.hasOwn(PARTS, name) ? PARTS[name]! : undefined;
if (!chosen) throw new UsageError(`"${name}" is not a part that is measured; give ${Object.keys(PARTS).join(", ")}.`);
const part = options.part ?? chosen.part;
const count = countOption("pictures", options.pictures);
const settings = {
  guidanceScale: guidanceOption("guidance", options.guidance),
  numInferenceSteps: stepsOption("steps", options.steps),
};
/** Pictures of a row of the sheet. */
const SHOWN = 12;
const BESIDE: readonly Attribute[] = ["shirtColor", "background"];
/** The person of the new word, in words that the model knows. */
const IN_WORDS = "a dark-skinned person with blue pigtails and glasses, no hat, no beard";

const { name: backend } = await useBackend(options.backend);
const pipeline = await StableDiffusionXLPipeline.fromPretrained(options.model);
console.log(
  `${count} pictures a row, guidance ${settings.guidanceScale}, ${settings.numInferenceSteps} steps, backend ${backend}.\n`,
);
const sheet = await chosen.measure();
mkdirSync(options.out, { recursive: true });
const file = join(options.out, `${name}.png`);
const grid = tf.tidy(() => imageGrid(sheet, { columns: SHOWN, gap: 1, scale: 2 }));
writeFileSync(file, await encodePng(grid));
tf.dispose([sheet, grid]);
pipeline.dispose();
console.log(`\nPictures: ${file}`);

/** Draws pictures of prompts; the caller owns them. */
async function draw(prompts: readonly string[]): Promise<tf.Tensor4D> {
  const parts: tf.Tensor4D[] = [];
  for (let first = 0; first < prompts.length; first += 50) {
    const prompt = prompts.slice(first, first + 50);
    const { images, latents } = await pipeline.generate({ prompt, seed: 1000 + first, ...settings });
    latents.dispose();
    parts.push(images);
  }
  const all = tf.concat(parts);
  tf.dispose(parts);
  return all;
}

async function facesIn(images: tf.Tensor4D): Promise<Face[]> {
  return (await read(images)).map(({ face }) => face);
}

async function read(images: tf.Tensor4D): Promise<Reading[]> {
  const [values, length] = [await images.data(), images.size / images.shape[0]];
  return Array.from({ length: images.shape[0] }, (_, i) =>
    readPerson(values.slice(i * length, (i + 1) * length).map((value) => 255 * value)),
  );
}

function first(images: tf.Tensor4D): tf.Tensor4D {
  return images.slice([0, 0, 0, 0], [Math.min(SHOWN, images.shape[0]), -1, -1, -1]);
}

/** Clothes and places to ask for beside a person, and the end of a prompt that asks for them. */
function settingsOf(seed: number): { text: string; face: Partial<Face> }[] {
  return Array.from({ length: count }, (_, i) => {
    const random = keyedRandom(seed, i);
    const [shirtColor, background] = [pick(ATTRIBUTES.shirtColor, random), pick(ATTRIBUTES.background, random)];
    return { text: `with a ${shirtColor} shirt on a ${background} background`, face: { shirtColor, background } };
  });
}

async function measureWord(): Promise<tf.Tensor4D> {
  await pipeline.loadTextualInversion(join(part, WORD_FILE), LU_WORD);
  const own = Object.keys(LU.always) as Attribute[];
  const beside = settingsOf(601);
  const rows = [real(LU)];
  console.log("| prompt | the person's attributes | all of them | shirt and background |\n|---|---|---|---|");
  for (const [shown, texts, asked] of [
    ["a portrait of a person", beside.map(() => "a portrait of a person"), undefined],
    ["a portrait of <lu>", beside.map(() => `a portrait of ${LU_WORD}`), undefined],
    ["<lu> with a red shirt on a blue background, and others", beside.map(({ text }) => `${LU_WORD} ${text}`), beside],
    [`${IN_WORDS}`, beside.map(() => IN_WORDS), undefined],
  ] as const) {
    const images = await draw(texts);
    const faces = await facesIn(images);
    const is = agreement(
      faces,
      faces.map(() => LU.always),
      own,
    );
    const obeyed = asked
      ? percent(
          agreement(
            faces,
            asked.map(({ face }) => face),
            BESIDE,
          ).each,
        )
      : "";
    console.log(`| ${shown} | ${percent(is.each)} | ${percent(is.all)} | ${obeyed} |`);
    rows.push(first(images));
    images.dispose();
  }
  return together(rows);
}

async function measureSubject(): Promise<tf.Tensor4D> {
  const beside = settingsOf(602);
  const others = promptsOf({ purpose: "reporting", split: "seen", style: "short" }, count, PORTRAITS_2);
  const rows = [real(ZWX)];
  console.log("| LoRA | prompt | blue beard | what else is asked |\n|---|---|---|---|");
  for (const isLoaded of [false, true]) {
    if (isLoaded) await pipeline.loras.load(join(part, LORA_FILE));
    const withPerson = beside.map(({ text }) => `${ZWX_NAME} ${text}`);
    for (const [shown, texts, obeyed] of [
      [ZWX_NAME, beside.map(() => ZWX_NAME), undefined],
      [
        `${ZWX_NAME} with a red shirt on a blue background, and others`,
        withPerson,
        (faces: Face[]) =>
          agreement(
            faces,
            beside.map(({ face }) => face),
            BESIDE,
          ).each,
      ],
      ["other people", others.map(({ text }) => text), (faces: Face[]) => shareAsked(faces, others)],
    ] as const) {
      const images = await draw(texts);
      const readings = await read(images);
      const share = (is: (reading: Reading) => boolean) => percent(readings.filter(is).length / readings.length);
      const beard = share(({ beardColor }) => beardColor === "blue");
      const asked = obeyed ? percent(obeyed(readings.map(({ face }) => face))) : "";
      console.log(`| ${isLoaded ? "yes" : "no"} | ${shown} | ${beard} | ${asked} |`);
      rows.push(first(images));
      images.dispose();
    }
  }
  return together(rows);
}

/** The share of the attributes that prompts mention which pictures show. */
function shareAsked(faces: readonly Face[], prompts: ReturnType<typeof promptsOf>): number {
  const right = prompts.flatMap(({ face, mentioned }, i) => mentioned.map((name) => faces[i]![name] === face[name]));
  return right.filter(Boolean).length / right.length;
}

/** Pictures of a person as in training, for the first row of a sheet. */
function real(person: Person): tf.Tensor4D {
  const { size, sample } = PORTRAITS_2;
  const pixels = picturesOf(person, { count: SHOWN, seed: 0, sample }).flatMap(({ pixels }) => [...pixels]);
  return tf.tidy(() => tf.tensor4d(pixels, [SHOWN, size, size, 3]).div<tf.Tensor4D>(255));
}

function together(rows: tf.Tensor4D[]): tf.Tensor4D {
  const all = tf.concat(rows);
  tf.dispose(rows);
  return all;
}
