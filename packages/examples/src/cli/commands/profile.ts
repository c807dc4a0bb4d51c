import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { loadModel, useBackend } from "@tfjs-diffusion/core";
import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { type Model, modelFromConfig } from "@tfjs-diffusion/core/models";
import { traceLayers } from "@tfjs-diffusion/core/nn";
import { parameterGradients } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { kernelCosts } from "../../../bench/kernel-costs.js";
import { shippedFolder } from "../options/shipped.js";
import { modelFrom } from "../options/model-from.js";
import { parseOptions, whole } from "../options/option-values.js";
import { withDownloadLine } from "../terminal/download-line.js";
import { examplePass } from "./profile-pass.js";
import { UsageError } from "../options/usage-error.js";
import { percent } from "../../percent.js";

export const PROFILE_HELP = `Shows where the time of a network goes.

  npm start -- profile                             the UNet of the faces

  --model PATH      the folder of a model or of a pipeline (its UNet), or a config.json (random weights)
  --backend NAME    ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
  --batch N         pictures at once (default 8)
  --tokens N        tokens of the prompt, for networks that read one (default 16)
  --train           run forward and backward, instead of forward only
  --depth N         levels of layers in the table (default 3)
  --help            this text
`;

/** The time of one layer, with and without the layers inside it. */
interface LayerCost {
  kind: string;
  calls: number;
  milliseconds: number;
  own: number;
}

/** `diffusion profile`: prints time by kernel and by layer of one pass of a network. */
export async function profile(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === "help") return console.log(PROFILE_HELP);
  const { name, detail } = await useBackend(options.backend);
  const model = await openModel(options.model ? modelFrom(options.model) : join(shippedFolder("faces"), "unet"));
  const { forward, inputs } = examplePass(model, options.batch, options.tokens);
  try {
    const parameters = model.parameters();
    const pass = options.train ? () => parameterGradients(() => forward().square().mean(), parameters) : forward;
    // Native TensorFlow turns repeated work into a graph: time that first.
    for (let i = 0; i < 10; i++) finish(pass);
    const whole = Math.min(...Array.from({ length: 5 }, () => finish(pass)));
    const kernels = await kernelCosts(() => tf.tidy(() => void pass()));
    const flop = kernels.reduce((sum, kernel) => sum + kernel.flop, 0);
    const inKernels = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
    const calls = kernels.reduce((sum, kernel) => sum + kernel.calls, 0);

    console.log(
      `${model.constructor.name} on ${name}${detail ? ` (${detail})` : ""}, batch ${options.batch}, ` +
        `${options.train ? "forward and backward" : "forward"}: ${whole.toFixed(1)} ms (best of 5), ` +
        `${(flop * 1e-9).toFixed(2)} GFLOP, ${(flop / whole / 1e6).toFixed(1)} GFLOP/s.\n` +
        `The profiler's own run: ${inKernels.toFixed(1)} ms in ${calls} kernels` +
        `${name.startsWith("node") ? ", one by one; otherwise this backend runs networks as graphs" : ""}.\n`,
    );
    table(
      ["kernel", "calls", "ms", "share", "GFLOP/s", "MB out"],
      kernels.map(({ name, calls, milliseconds, flop, bytes }) => [
        name,
        String(calls),
        milliseconds.toFixed(2),
        percent(milliseconds / inKernels),
        flop ? (flop / milliseconds / 1e6).toFixed(1) : "",
        (bytes / 2 ** 20).toFixed(1),
      ]),
    );
    console.log(
      "\nLayers, forward, best of 5. On a graphics card this is the time to start the work, not to finish it.\n",
    );
    const layers = fastest(Array.from({ length: 5 }, () => layerCosts(model, () => finish(forward))));
    const total = layers.get("")!.milliseconds;
    table(
      ["layer", "kind", "calls", "ms", "share", "own ms"],
      [...layers]
        .filter(([path]) => (path === "" ? 0 : path.split(".").length) <= options.depth)
        .map(([path, { kind, calls, milliseconds, own }]) => [
          path || "(whole)",
          kind,
          String(calls),
          milliseconds.toFixed(2),
          percent(milliseconds / total),
          own.toFixed(2),
        ]),
    );
  } finally {
    model.dispose();
    tf.dispose(inputs);
  }
}

const TEXT = { type: "string" } as const;
const OPTIONS = {
  model: TEXT,
  backend: TEXT,
  batch: { ...TEXT, default: "8" },
  tokens: { ...TEXT, default: "16" },
  depth: { ...TEXT, default: "3" },
  train: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

function readOptions(args: string[]) {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return "help";
  if (positionals.length > 0)
    throw new UsageError(`profile: unexpected ${positionals.join(", ")}; give the network with --model PATH.`);
  const count = (name: "batch" | "tokens" | "depth") => whole(name, values[name], 1, 10_000);
  return { ...values, batch: count("batch"), tokens: count("tokens"), depth: count("depth") };
}

async function openModel(path: string): Promise<Model> {
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) {
    const model = modelFromConfig(JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>);
    model.initialize(keyedNoise(0));
    return model;
  }
  const from = existsSync(join(path, "model_index.json")) ? join(path, "unet") : path;
  return withDownloadLine(from, (onProgress) => loadModel(from, { onProgress }));
}

/** Runs the pass until its result is read, frees all tensors, and returns the milliseconds. */
function finish(pass: () => tf.TensorContainer): number {
  const started = performance.now();
  const results = tf.tidy(pass);
  const tensors = results instanceof tf.Tensor ? [results] : tensorsOf(results as GradientResult);
  for (const tensor of tensors) tensor.dataSync();
  tf.dispose(tensors);
  return performance.now() - started;
}

type GradientResult = ReturnType<typeof parameterGradients>;
const tensorsOf = ({ loss, gradients }: GradientResult): tf.Tensor[] => [loss, ...Object.values(gradients)];

/** Time by layer, in the order in which the layers are first met. */
function layerCosts(model: Model, pass: () => void): Map<string, LayerCost> {
  const costs = new Map<string, LayerCost>();
  const open: { path: string; started: number; inner: number }[] = [];
  const stop = traceLayers(model, {
    enter(path, layer) {
      if (!costs.has(path)) costs.set(path, { kind: layer.constructor.name, calls: 0, milliseconds: 0, own: 0 });
      open.push({ path, started: performance.now(), inner: 0 });
    },
    leave() {
      const { path, started, inner } = open.pop()!;
      const elapsed = performance.now() - started;
      const cost = costs.get(path)!;
      cost.calls++;
      cost.milliseconds += elapsed;
      cost.own += elapsed - inner;
      const outer = open.at(-1);
      if (outer) outer.inner += elapsed;
    },
  });
  try {
    pass();
  } finally {
    stop();
  }
  return costs;
}

/** The shortest time of each layer over several runs, because other work on the machine only adds time. */
function fastest(runs: Map<string, LayerCost>[]): Map<string, LayerCost> {
  const [first, ...others] = runs;
  for (const [path, cost] of first!) {
    cost.milliseconds = Math.min(cost.milliseconds, ...others.map((run) => run.get(path)!.milliseconds));
    cost.own = Math.min(cost.own, ...others.map((run) => run.get(path)!.own));
  }
  return first!;
}

/** The first column is aligned left, numbers right. */
function table(head: string[], rows: string[][]): void {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const isText = head.map((_, i) => rows.every((row) => Number.isNaN(Number.parseFloat(row[i]!))));
  for (const row of [head, ...rows]) {
    console.log(
      row
        .map((cell, i) => (isText[i] ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join("  ")
        .trimEnd(),
    );
  }
}
