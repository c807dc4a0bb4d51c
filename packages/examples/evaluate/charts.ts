/**
 * Draws a chart for each setting of the portraits model: guidance, steps, seeds, samplers, the negative prompt.
 *
 *   npm run eval:charts -- --model runs/portraits/model --out docs/public/portraits-charts
 *
 * Takes a quarter of an hour on one core with the native backend. Results are kept in `charts.json`, in `--store`; the
 * same command resumes.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { useBackend } from "@tfjs-diffusion/core";
import { loadClassifier } from "../classifier/classifier-files.js";
import {
  type ChartSettings,
  measureGuidance,
  measureNegative,
  measureSamplers,
  measureSeeds,
  measureSteps,
} from "./chart-measurements.js";
import { fingerprint, ResultStore } from "./store.js";
import { type ChartForm, type ChartPoint, lineChart } from "../train/line-chart.js";
import { countOption, guidanceOption, scriptOptions } from "../train/script-options.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));
const { options } = scriptOptions({
  model: { type: "string", default: join(WEIGHTS, "portraits") },
  classifier: { type: "string", default: join(WEIGHTS, "portraits-classifier") },
  out: { type: "string", default: "out/eval-charts" },
  store: { type: "string", default: "out/eval-charts" },
  /** The guidance scale of all charts except that of guidance. */
  guidance: { type: "string", default: "3" },
  /** Pictures for each point. */
  pictures: { type: "string", default: "128" },
  backend: { type: "string" },
});

const settings = {
  model: options.model,
  guidance: guidanceOption("guidance", options.guidance),
  pictures: countOption("pictures", options.pictures),
};

const { name: backend } = await useBackend(options.backend);
const classifier = await loadClassifier(options.classifier);
const store = new ResultStore(join(options.store, "charts.json"), fingerprint(options.model, options.classifier));
const charts: ChartSettings = { ...settings, classifier, store };
console.log(`Measuring on the backend "${backend}".`);
mkdirSync(options.out, { recursive: true });
const SHARE = { label: "share of the attributes asked for", domain: [0.85, 1] };
const CALLS = { type: "log", label: "steps", tickFormat: "d" } as const;

const guidances = await measureGuidance(charts);
const facts = ["accuracy", "saturation", "diversity"] as const;
await write(
  "guidance",
  guidances.flatMap(({ guidance, ...point }) => facts.map((name) => ({ name, x: guidance, y: point[name] }))),
  { title: "Guidance: DDIM, 20 steps, short captions", x: { label: "guidance" }, y: { label: null, domain: [0, 1] } },
);
await write(
  "steps",
  (await measureSteps(charts)).map(({ name, steps, accuracy }) => ({ name, x: steps, y: accuracy })),
  { title: `Steps: guidance ${settings.guidance}, full captions, held-out combinations`, x: CALLS, y: SHARE },
);
await write(
  "seeds",
  (await measureSeeds(charts)).map(({ seed, accuracy }) => ({ name: "DDIM", x: seed, y: accuracy })),
  { title: "Seeds: the same captions from other noise", x: { label: "seed" }, y: SHARE },
);
await write(
  "samplers",
  (await measureSamplers(charts)).map(({ name, steps, distance }) => ({ name, x: steps, y: distance })),
  {
    title: "Samplers: distance from 200 steps of DDIM, from the same noise",
    x: CALLS,
    y: { type: "log", tickFormat: "~g", label: "root mean square over pixels, 1 is from black to white" },
  },
);
await write(
  "negative",
  (await measureNegative(charts)).map(({ negative, guidance, share }) => ({
    name: `negative: ${negative}`,
    x: guidance,
    y: share,
  })),
  {
    title: "Negative prompt: who wears glasses, unasked",
    x: { label: "guidance" },
    y: { label: "share of the pictures", zero: true },
  },
);
classifier.dispose();

async function write(name: string, points: ChartPoint[], form: ChartForm): Promise<void> {
  const file = join(options.out, `${name}.svg`);
  writeFileSync(file, await lineChart(points, form));
  console.log(`${file}\n${points.map((point) => `  ${point.name} ${point.x}: ${point.y.toFixed(3)}`).join("\n")}`);
}
