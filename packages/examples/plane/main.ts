/**
 * Trains every method of the library on a two-dimensional set, and prints how far its samples are from the data, for
 * each number of calls of the network:
 *
 *   npm run train:plane                          the moons; under ten minutes, each training under one
 *   npm run train:plane -- --set bells --steps 500
 *
 * Checkpoints are in `--out`: Ctrl-C saves and stops, the same command goes on.
 */
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { precisionRecall } from "@tfjs-diffusion/core/metrics";
import { keyedNoise, keyedRandom } from "@tfjs-diffusion/schedulers";
import { oneOf } from "../src/cli/options/option-values.js";
import { stopOnInterrupt } from "../src/cli/terminal/interrupt.js";
import { countOption, scriptOptions } from "../train/script-options.js";
import { guidedMethods } from "./guidance.js";
import type { PlaneRun } from "./learn.js";
import { planeMethods } from "./methods.js";
import { PLANE_SETS } from "./sets.js";
import { slicedDistance } from "./sliced-distance.js";

const CALLS = [1, 2, 4, 8, 16, 32];
const SAMPLES = 4000;

const { options } = scriptOptions({
  set: { type: "string", default: "moons" },
  /** Of each training. */
  steps: { type: "string", default: "3000" },
  batch: { type: "string", default: "256" },
  seed: { type: "string", default: "0" },
  out: { type: "string", default: "runs/plane" },
  backend: { type: "string" },
});
const name = oneOf("set", options.set, Object.keys(PLANE_SETS));
const set = PLANE_SETS[name]!;
const steps = countOption("steps", options.steps);
const batchSize = countOption("batch", options.batch);
const seed = Number(options.seed);

const { name: backend } = await useBackend(options.backend);
const pointsOf = (stream: string) => {
  const random = keyedRandom(seed, stream);
  return Array.from({ length: SAMPLES }, () => set.draw(random).at);
};
/** Data of one class. */
function ofClass(label: number): number[][] {
  const random = keyedRandom(seed, "class");
  const points = Array.from({ length: SAMPLES }, () => set.draw(random));
  return points
    .filter((point) => point.label === label)
    .slice(0, 1000)
    .map(({ at }) => [...at]);
}
const data = pointsOf("data");
const floor = slicedDistance(data, pointsOf("more data"));
console.log(`${name}, ${steps} steps of ${batchSize} each, backend ${backend}. 1000 x the distance to the data, after so many calls of the network
(two sets of data: ${(1000 * floor).toFixed(0)}). "Trained" counts trainings, teachers included.

| method | trained | ${CALLS.join(" | ")} | bent |
|---|---|${CALLS.map(() => "---|").join("")}---|`);
await stopOnInterrupt(async (signal) => {
  const run: PlaneRun = { set, steps, batchSize, seed, folder: join(options.out, name), signal };
  for await (const { name, cost, draw, straightness } of planeMethods(run)) {
    const cells = CALLS.map((calls) => {
      const start = keyedNoise(seed).at("start").normal([SAMPLES, 2]) as tf.Tensor2D;
      const drawn = draw(start, calls, keyedNoise(seed).at("fresh"));
      const cell = drawn && (1000 * slicedDistance(drawn.arraySync(), data)).toFixed(0);
      tf.dispose([start, drawn]);
      return cell ?? "";
    });
    console.log(`| ${name} | ${cost} | ${cells.join(" | ")} | ${straightness?.toFixed(3) ?? ""} |`);
  }

  console.log(`
Points of given classes, in 32 steps, next to the data of their class: mean of 1000 x the distance, and precision and recall.

| guidance | distance | precision | recall |
|---|---|---|---|`);
  for await (const { name, draw } of guidedMethods(run)) {
    const apart = Array.from({ length: set.classes }, (_, label) => {
      const real = ofClass(label);
      const drawn = draw(Array<number>(real.length).fill(label));
      const points = drawn.arraySync();
      drawn.dispose();
      return { distance: slicedDistance(points, real), ...precisionRecall(points, real) };
    });
    const mean = (of: (one: (typeof apart)[number]) => number) =>
      apart.reduce((sum, one) => sum + of(one), 0) / apart.length;
    const [distance, precision, recall] = [
      mean((one) => 1000 * one.distance),
      mean((one) => one.precision),
      mean((one) => one.recall),
    ];
    console.log(`| ${name} | ${distance.toFixed(0)} | ${precision.toFixed(3)} | ${recall.toFixed(3)} |`);
  }
});
