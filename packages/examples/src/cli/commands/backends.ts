import { existsSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { type BackendName, BackendUnavailableError, useBackend } from "@tfjs-diffusion/core";
import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { packagePath } from "../../package-folder.js";

export interface BackendReport {
  name: BackendName;
  /** Speed of a 3x3 convolution and of training it; undefined if the backend does not run here. */
  speed?: { forward: number; training: number };
  /** Its threads, or why it does not run. */
  note: string;
}

/** Prints which backends run on this machine, how fast, and why the others do not. */
export async function printBackends(): Promise<void> {
  console.log("GFLOP/s of a 3x3 convolution (64 channels, 32x32 pixels), forward and with both gradients:\n");
  console.log(row("backend", "forward", "training", ""));
  for (const name of BACKEND_NAMES) {
    const { speed, note } = await reportBackend(name);
    console.log(row(name, twoDigits(speed?.forward), twoDigits(speed?.training), note));
  }
}

/** How optional packages are installed: in a clone, npm cannot add to the node_modules that pnpm manages. */
const INSTALL = existsSync(packagePath("..", "..", "pnpm-workspace.yaml")) ? "npm run add --" : "npm install";

/** Starts the backend `name`, if it is available, and measures it. */
export async function reportBackend(name: BackendName): Promise<BackendReport> {
  try {
    const { detail = "" } = await useBackend(name);
    return { name, speed: await measureConvolution(), note: detail };
  } catch (error) {
    if (!(error instanceof BackendUnavailableError)) throw error;
    const note = error.message.replace(`useBackend("${name}"): `, "").replaceAll("npm install", INSTALL);
    return { name, note };
  }
}

function row(name: string, forward: string, training: string, note: string): string {
  return `${name.padEnd(10)}${forward.padStart(9)}${training.padStart(10)}  ${note}`.trimEnd();
}

/** GFLOP/s of the current backend: the fastest of a few runs, because other programs may be using the machine. */
async function measureConvolution(): Promise<{ forward: number; training: number }> {
  const [size, channels] = [32, 64];
  const flop = 2 * size * size * 9 * channels * channels;
  const x = tf.ones<tf.Rank.R4>([1, size, size, channels]);
  const filter = tf.ones<tf.Rank.R4>([3, 3, channels, channels]);
  const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, "same");
  try {
    const forward = await fastest(() => [convolve(x, filter)]);
    const training = await fastest(() => tf.grads(convolve)([x, filter]));
    return { forward: flop / forward / 1e6, training: (3 * flop) / training / 1e6 };
  } finally {
    tf.dispose([x, filter]);
  }
}

/** Milliseconds of the fastest run of `compute`, after one warm-up run, over at least one run and 0.3 s. */
async function fastest(compute: () => tf.Tensor[]): Promise<number> {
  let best = Infinity;
  const begin = performance.now();
  for (let run = 0; run < 2 || performance.now() - begin < 300; run++) {
    const start = performance.now();
    const results = tf.tidy(compute);
    await Promise.all(results.map((result) => result.data()));
    if (run > 0) best = Math.min(best, performance.now() - start);
    tf.dispose(results);
  }
  return best;
}

/** Two significant digits, without an exponent. */
const twoDigits = (value?: number) => (value === undefined ? "-" : String(Number(value.toPrecision(2))));
