/**
 * Trains every method of the library on the same data, and prints how far its samples are from the data, for each
 * number of calls of the network:
 *
 *   npm run train:methods                     points of the plane, two half moons; under ten minutes
 *   npm run train:methods -- bells            other points: bells, spiral
 *   npm run train:methods -- faces            faces of 16 x 16 pixels; two hours of one core, native backend
 *   … --steps 500                             shorter trainings
 *
 * Checkpoints and sheets of pictures are in `--out`: Ctrl-C saves and stops, the same command goes on.
 */
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { type KeyedNoise, keyedNoise } from "@tfjs-diffusion/schedulers";
import { PLANE_SETS } from "./plane/sets.js";
import { planeStudy } from "./plane/study.js";
import { facesStudy } from "./faces/study.js";
import { stopOnInterrupt } from "../src/cli/terminal/interrupt.js";
import { countOption, scriptOptions } from "../train/script-options.js";
import { GUIDED_STEPS, guidedMethods } from "./guidance.js";
import type { StudyRun } from "./learn.js";
import { allMethods, type Drawer } from "./methods.js";
import type { Study } from "./study.js";

const CALLS = [1, 2, 4, 8, 16, 32];
const FACES = "faces";

const { options, word: name = "moons" } = scriptOptions(
  {
    /** Of each training. Default: 3000 of 256 points, 1500 of 64 faces. */
    steps: { type: "string" },
    batch: { type: "string" },
    seed: { type: "string", default: "0" },
    out: { type: "string", default: "runs/methods" },
    backend: { type: "string" },
  },
  [...Object.keys(PLANE_SETS), FACES],
);
const seed = Number(options.seed);
const { name: backend } = await useBackend(options.backend);
if (name === FACES) await compare(await facesStudy(seed), { steps: "1500", batch: "64" });
else await compare(planeStudy(PLANE_SETS[name]!, seed), { steps: "3000", batch: "256" });

async function compare<T extends tf.Tensor>(study: Study<T>, usual: { steps: string; batch: string }): Promise<void> {
  const steps = countOption("steps", options.steps ?? usual.steps);
  const batchSize = countOption("batch", options.batch ?? usual.batch);
  console.log(`${name}, ${steps} steps of ${batchSize} each, backend ${backend}.`);
  try {
    await stopOnInterrupt(async (signal) => {
      const folder = join(options.out, name);
      const run = { subject: study.subject, steps, batchSize, seed, folder, signal, showsProgress: true };
      await compareMethods(study, run);
      await compareGuidance(study, run);
    });
  } finally {
    study.dispose();
  }
}

async function compareMethods<T extends tf.Tensor>(study: Study<T>, run: StudyRun<T>): Promise<void> {
  const { unit, samples, subject, distance } = study;
  console.log(`
${unit}, after so many calls of the network. Other data: ${shown(await study.floor())}. "Trained" counts trainings,
teachers included; "bent" is how far paths are from straight lines.

| method | trained | ${CALLS.join(" | ")} | bent |
|---|---|${CALLS.map(() => "---|").join("")}---|`);
  for await (const drawer of allMethods(run)) {
    const start = keyedNoise(run.seed)
      .at("start")
      .normal([samples, ...subject.shape]) as T;
    const [cells, rows]: [string[], T[]] = [[], []];
    for (const calls of CALLS) {
      const drawn = drawAll(drawer, start, { calls, atOnce: study.atOnce, noise: keyedNoise(run.seed).at("fresh") });
      cells.push(drawn ? shown(await distance(drawn)) : "");
      if (drawn) rows.push(drawn);
    }
    console.log(
      `| ${drawer.name} | ${drawer.cost} | ${cells.join(" | ")} | ${drawer.straightness?.toFixed(3) ?? ""} |`,
    );
    await study.writeSheet?.(join(run.folder!, `${drawer.name.replace(/\W+/g, "-")}.png`), rows);
    tf.dispose([start, ...rows]);
  }
}

/** Draws in parts, as a whole batch of pictures would take much memory; undefined if it cannot take so many calls. */
function drawAll<T extends tf.Tensor>(
  drawer: Drawer<T>,
  start: T,
  { calls, atOnce, noise }: { calls: number; atOnce: number; noise: KeyedNoise },
): T | undefined {
  const parts: T[] = [];
  for (let first = 0; first < start.shape[0]; first += atOnce) {
    const part = start.slice(first, Math.min(atOnce, start.shape[0] - first));
    const drawn = drawer.draw(part, calls, first === 0 ? noise : noise.at(first));
    part.dispose();
    if (!drawn) return undefined;
    parts.push(drawn);
  }
  const whole = tf.concat(parts);
  tf.dispose(parts);
  return whole;
}

async function compareGuidance<T extends tf.Tensor>(study: Study<T>, run: StudyRun<T>): Promise<void> {
  const { columns, samplesOfClass, subject } = study;
  console.log(`
Drawn by class in ${GUIDED_STEPS} steps, next to the data of the class: means over the classes.

| guidance | ${columns.join(" | ")} |
|---|${columns.map(() => "---|").join("")}`);
  let isSaved = false;
  for await (const { name, draw, network } of guidedMethods(run)) {
    const measured: (readonly number[])[] = [];
    const rows: T[] = [];
    for (let label = 0; label < subject.classes; label++) {
      const drawn = draw(Array<number>(samplesOfClass).fill(label));
      measured.push(await study.measureClass(label, drawn));
      rows.push(drawn);
    }
    const means = columns.map((_, i) => measured.reduce((sum, row) => sum + row[i]!, 0) / measured.length);
    console.log(`| ${name} | ${means.map(shown).join(" | ")} |`);
    await study.writeSheet?.(join(run.folder!, `by-class-${name.replace(/\W+/g, "-")}.png`), rows);
    tf.dispose(rows);
    if (!isSaved) await study.saveNetwork?.(network, join(run.folder!, "model"));
    isSaved = true;
  }
}

/** Three digits, or whole numbers. */
function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
