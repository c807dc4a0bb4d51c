/**
 * Measures with recording and without, in turns; started by recorder.ts. Arguments: backend, threads, rounds, parts of
 * the names of the workloads to measure.
 */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { packagePath } from "../src/package-folder.js";
import { stepOf, workload } from "./workloads.js";

/** Milliseconds of pairs of runs, without recording and with. */
export interface Comparison {
  name: string;
  wall: [off: number, on: number][];
  processor: [off: number, on: number][];
}

/** Does the work once, and waits until it is finished. */
type Run = () => Promise<void>;

const PORTRAITS = packagePath("weights", "portraits");
/** After these runs, V8 has compiled both variants. */
const WARM_UP_MS = 6000;

const WORKLOADS: Record<string, () => Promise<Run>> = {
  ...Object.fromEntries(
    ["faces forward", "faces train step", "mini-sd forward", "mini-sd train step"].map((name) => [
      name,
      async () => awaited(workload(name).run),
    ]),
  ),
  "portraits forward": async () => {
    const { predict } = portraitsUNet();
    return awaited(() => [predict()]);
  },
  "portraits train step": async () => awaited(stepOf(portraitsUNet())),
  "portraits drawing, 20 steps": async () => drawing(),
};

const [backend, threads, rounds, ...parts] = process.argv.slice(2) as [string, string, string, ...string[]];
await useBackend(backend, backend === "wasm" ? { threads: Number(threads) } : {});
for (const [name, prepare] of Object.entries(WORKLOADS)) {
  if (parts.length > 0 && !parts.some((part) => name.includes(part))) continue;
  process.send!(await compare(name, await prepare(), Number(rounds)));
  tf.disposeVariables();
}
process.disconnect();

async function compare(name: string, run: Run, rounds: number): Promise<Comparison> {
  const begin = performance.now();
  for (let i = 0; i < 8 || performance.now() - begin < WARM_UP_MS; i++) {
    for (const record of [false, true]) await timed(run, record);
  }
  const comparison: Comparison = { name, wall: [], processor: [] };
  for (let round = 0; round < rounds; round++) {
    // Each variant is first in every other round.
    const order = round % 2 === 0 ? [false, true] : [true, false];
    const times = new Map<boolean, { wall: number; processor: number }>();
    for (const record of order) times.set(record, await timed(run, record));
    const [off, on] = [times.get(false)!, times.get(true)!];
    comparison.wall.push([off.wall, on.wall]);
    comparison.processor.push([off.processor, on.processor]);
  }
  return comparison;
}

/** Short work is repeated, so that garbage collection is spread evenly. */
async function timed(run: Run, record: boolean): Promise<{ wall: number; processor: number }> {
  await useBackend(backend, { record });
  const before = process.cpuUsage();
  const begin = performance.now();
  let runs = 0;
  do {
    await run();
    runs++;
  } while (performance.now() - begin < 300);
  const wall = (performance.now() - begin) / runs;
  const { user, system } = process.cpuUsage(before);
  return { wall, processor: (user + system) / 1000 / runs };
}

function awaited(compute: () => tf.Tensor[]): Run {
  return async () => {
    const results = tf.tidy(compute);
    await results[0]!.data();
    tf.dispose(results);
  };
}

/** The UNet that draws the portraits, with random weights, on the batch of two that guidance takes. */
function portraitsUNet() {
  const model = new UNet2DConditionModel(JSON.parse(readFileSync(`${PORTRAITS}/unet/config.json`, "utf8")) as object);
  model.initialize(keyedNoise(0));
  const noise = keyedNoise(1);
  const x = noise.normal([2, 8, 8, 4]) as tf.Tensor4D;
  const context = noise.normal([2, 24, model.config.cross_attention_dim as number]) as tf.Tensor3D;
  const textEmbeds = noise.normal([2, 128]) as tf.Tensor2D;
  const timeIds = tf.tensor2d([64, 64, 0, 0, 64, 64, 64, 64, 0, 0, 64, 64], [2, 6]);
  return { model, predict: () => model.forward(x, 500, context, { textEmbeds, timeIds }) };
}

/** One picture with guidance, from the prompt to the pixels. */
async function drawing(): Promise<Run> {
  const pipeline = await StableDiffusionXLPipeline.fromPretrained(PORTRAITS);
  return async () => {
    const options = { prompt: "a smiling woman", numInferenceSteps: 20, guidanceScale: 3, seed: 1 };
    const drawn = await pipeline.generate(options);
    await drawn.images.data();
    tf.dispose([drawn.images, drawn.latents]);
  };
}
