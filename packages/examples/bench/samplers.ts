/**
 * Measures every sampler on data with a known exact solution: `npm run samplers`.
 *
 * Writes the chart docs/public/samplers.svg (error against calls of the network) and the table of samplers in
 * packages/schedulers/README.md and docs/samplers.md, between their markers. Takes about a minute, and gives the same
 * numbers every time.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import {
  keyedNoise,
  measureConvergence,
  orderOfConvergence,
  type Plan,
  type PlanRequest,
  type Scheduler,
  schedulerFromConfig,
} from "@tfjs-diffusion/schedulers";
import { plotSvg } from "../src/plot-svg.js";
import { readArguments, refuse } from "./usage.js";
import { type Sampler, SAMPLERS } from "./samplers-table.js";

const root = new URL("../../../../", import.meta.url);
const inRoot = (path: string) => fileURLToPath(new URL(path, root));

/** Two Gaussians in the plane, and the noise that the samples start from. */
const DATA = {
  means: [
    [0.6, -0.3],
    [-0.5, 0.4],
  ],
  deviation: 0.5,
};
const start = () => keyedNoise(0).normal([32, 2]) as tf.Tensor2D;

/** As Stable Diffusion was trained. */
const TRAINED = { beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 };

const HELP = `Measures every sampler on data with a known exact solution, in about a minute. Takes no options.

  npm run samplers     writes docs/public/samplers.svg, and the tables in packages/schedulers/README.md and
                       docs/samplers.md`;
const { positionals } = readArguments(HELP, {});
if (positionals.length > 0) refuse(`${positionals.join(" ")}: npm run samplers takes no words.`);

await useBackend("cpu");
const measured = SAMPLERS.map((sampler) => ({ sampler, ...measure(sampler) }));
writeFileSync(inRoot("docs/public/samplers.svg"), await chart());
const table = markdown();
for (const file of ["packages/schedulers/README.md", "docs/samplers.md"]) insert(inRoot(file), table);
console.log(table);

function measure({ className, config = {} }: Sampler) {
  const make = (more: object = {}) => schedulerFromConfig({ _class_name: className, ...config, ...more });
  const scheduler = make();
  const { timesteps } = scheduler.plan(20);
  const { network, stochastic, notFromNoise } = scheduler.traits!;
  const flow = network === "flow";
  const exact = (network === "timestep" || flow) && !stochastic && notFromNoise === undefined;
  return {
    calls: timesteps.length / 20,
    noise: stochastic,
    order: exact ? measuredOrder(make({ final_sigmas_type: "zero", lower_order_final: false }), flow) : undefined,
    errors: exact ? errorsByCalls(make(TRAINED), flow) : [],
  };
}

/**
 * The slope of log error from 36 to 72 steps, evenly spaced in log sigma if the method takes noise levels: see
 * convergence.test.ts.
 */
function measuredOrder(scheduler: Scheduler, flow: boolean): number {
  const even = (n: number): PlanRequest =>
    flow ? straight(n) : { sigmas: Array.from({ length: n + 1 }, (_, i) => 80 * (0.2 / 80) ** (i / n)) };
  const [steps, request] = takes(scheduler, even(36)) ? [[36, 72], even] : [[50, 100], (n: number): PlanRequest => n];
  return tf.tidy(() => orderOfConvergence(errorsOf(scheduler, steps, (n) => scheduler.plan(request(n)), flow)));
}

/** A flow's levels from nearly pure noise: at pure noise x / alpha is infinite. */
function straight(n: number): PlanRequest {
  return { sigmas: Array.from({ length: n }, (_, i) => 0.98 * (1 - i / n)) };
}

function takes(scheduler: Scheduler, request: PlanRequest): boolean {
  try {
    scheduler.plan(request);
    return true;
  } catch {
    return false;
  }
}

/** The error by the number of calls, for plans as users make them: plan(n). */
function errorsByCalls(scheduler: Scheduler, flow: boolean) {
  // Divisors of 1,000, because DDIM and PNDM go down in whole strides and other numbers would leave a remainder.
  const steps = [4, 5, 8, 10, 20, 25, 40, 50].filter((n) => takes(scheduler, n));
  return errorsOf(scheduler, steps, (n) => scheduler.plan(flow ? straight(n) : n), flow).filter(
    ({ calls }) => calls <= 51,
  );
}

function errorsOf(scheduler: Scheduler, steps: number[], planOf: (n: number) => Plan, flow: boolean) {
  const predicts = flow ? ("flow_prediction" as const) : ("epsilon" as const);
  return tf.tidy(() => [...measureConvergence(scheduler, DATA, start(), { steps, planOf, predicts })]);
}

/** The error at 20 calls, interpolated between measurements in their logarithms. */
function errorAt20(errors: { calls: number; error: number }[]): string {
  const above = errors.findIndex(({ calls }) => calls >= 20);
  if (above < 0) return "";
  const [a, b] = [errors[Math.max(above - 1, 0)]!, errors[above]!];
  const share = a.calls === b.calls ? 0 : Math.log(20 / a.calls) / Math.log(b.calls / a.calls);
  return (a.error * (b.error / a.error) ** share).toPrecision(2);
}

function markdown(): string {
  const rows = measured.map(({ sampler, order, calls, noise, errors }) => {
    const told = order?.toFixed(1) ?? "";
    const perStep = sampler.calls ?? String(Math.round(calls));
    return [
      sampler.label,
      told,
      perStep,
      sampler.noise ?? (noise ? "yes" : "no"),
      errorAt20(errors),
      sampler.bestFor ?? "",
      sampler.paper ?? "",
    ];
  });
  const head = [
    "`_class_name` without `Scheduler`",
    "order",
    "calls a step",
    "noise",
    "error, 20 calls",
    "best for",
    "paper",
  ];
  const widths = head.map((title, c) => Math.max(...[head, ...rows].map((row) => row[c]!.length), title.length));
  const line = (cells: string[]) => `| ${cells.map((cell, c) => cell.padEnd(widths[c]!)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}

function insert(file: string, lines: string): void {
  const text = readFileSync(file, "utf8");
  const marked = /(<!-- npm run samplers -->\n)[^]*?(<!-- end -->)/;
  if (!marked.test(text))
    throw new Error(`${file} has no place for the table, between <!-- npm run samplers --> and <!-- end -->.`);
  writeFileSync(
    file,
    text.replace(marked, (_, before: string, after: string) => `${before}\n${lines}\n\n${after}`),
  );
}

function chart(): Promise<string> {
  const lines = measured
    .filter(({ sampler }) => sampler.inChart)
    .map(({ sampler, errors }) => ({ name: sampler.short ?? sampler.label, errors }));
  const points = lines.flatMap(({ name, errors }) => errors.map((point) => ({ ...point, name })));
  return plotSvg({
    width: 760,
    height: 480,
    marginRight: 130,
    x: { label: "calls of the network", type: "log", ticks: [4, 5, 8, 10, 20, 25, 40, 50], tickFormat: "d" },
    y: { label: "error", type: "log", tickFormat: "~e" },
    marks: [
      Plot.line(points, { x: "calls", y: "error", stroke: "name", strokeWidth: 1.7 }),
      Plot.dot(points, { x: "calls", y: "error", fill: "name", r: 2 }),
      Plot.text(labelsApart(lines), { x: 53, y: "error", text: "name", fill: "name", textAnchor: "start" }),
    ],
  });
}

/** Each line's name at the height of its end, but no two nearer than a factor of 1.35. */
function labelsApart(lines: { name: string; errors: { error: number }[] }[]): { name: string; error: number }[] {
  const falling = lines
    .map(({ name, errors }) => ({ name, error: errors.at(-1)!.error }))
    .sort((a, b) => b.error - a.error);
  let above = Infinity;
  return falling.map(({ name, error }) => ({ name, error: (above = Math.min(error, above / 1.35)) }));
}
