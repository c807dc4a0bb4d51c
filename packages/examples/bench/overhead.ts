/**
 * Measures the cost of a pass besides its kernels: `npm run bench -- overhead [--rounds 8] [--write]`, on wasm with one
 * thread, where the clock can measure each kernel.
 */
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { buildNetwork, NETWORKS } from "./networks.js";
import { machine, markdownTable, writeSection } from "./report.js";
import { trainingOf } from "./workloads.js";
import { percent } from "../src/percent.js";

/** The limit for each share; the table shows it with the measurements. */
const LIMITS = { dispatch: 0.1, update: 0.05 };

export async function measureOverhead(rounds: number, write: boolean): Promise<void> {
  await useBackend("wasm", { threads: 1 });
  const clock = kernelClock();
  const rows: string[][] = [];
  for (const [name, network] of Object.entries(NETWORKS)) {
    const { model, x, context, predict } = buildNetwork(network);
    const dispatch = await sharesOf(rounds, () => outsideKernels(clock, predict));
    model.dispose();
    tf.dispose([x, context]);
    rows.push([`${name} forward`, "all that is outside kernels", ...dispatch, percent(LIMITS.dispatch)]);

    const training = trainingOf(buildNetwork(network));
    const step = await sharesOf(rounds, () => outsideKernels(clock, () => stepOf(training)));
    rows.push([`${name} train step`, "all that is outside kernels", ...step, percent(LIMITS.dispatch)]);
    const update = await sharesOf(rounds, () => updateShare(training));
    rows.push([`${name} train step`, "AdamW and moving average", ...update, percent(LIMITS.update)]);
  }
  const table = markdownTable(["pass", "part", "least", "median", "limit"], rows, [0, 1]);
  console.log(table);
  const text = `${machine()}, wasm, 1 thread; ${new Date().toISOString().slice(0, 10)}; ${rounds} runs.`;
  if (write) writeSection("npm run bench overhead", `${text}\n\n${table}`);
}

/** Minimum and median of a share over several runs, after warm-up runs in which V8 compiles. */
async function sharesOf(rounds: number, share: () => number | Promise<number>): Promise<string[]> {
  for (let i = 0; i < 3; i++) await share();
  const shares: number[] = [];
  for (let i = 0; i < rounds; i++) shares.push(await share());
  shares.sort((a, b) => a - b);
  return [shares[0]!, shares[shares.length >> 1]!].map(percent);
}

/**
 * Wraps a clock around each kernel, before any network is recorded. Returns a function for the milliseconds spent in
 * kernels so far.
 */
function kernelClock(): () => number {
  let total = 0;
  let depth = 0; // Kernels can call kernels.
  for (const config of tf.getKernelsForBackend("wasm")) {
    tf.unregisterKernel(config.kernelName, "wasm");
    const kernelFunc: tf.KernelFunc = (call) => {
      const begin = performance.now();
      depth++;
      try {
        return config.kernelFunc(call);
      } finally {
        if (--depth === 0) total += performance.now() - begin;
      }
    };
    tf.registerKernel({ ...config, setupFunc: undefined, kernelFunc });
  }
  return () => total;
}

/** The share of one run. Reading the clock counts as outside, so the true share is smaller. */
function outsideKernels(clock: () => number, run: () => tf.TensorContainer): number {
  const before = clock();
  const begin = performance.now();
  tf.dispose(tf.tidy(run));
  const whole = performance.now() - begin;
  return 1 - (clock() - before) / whole;
}

function stepOf({ differentiate, update }: ReturnType<typeof trainingOf>): tf.Tensor {
  const { loss, gradients } = differentiate();
  update(gradients);
  tf.dispose(gradients);
  return loss;
}

function updateShare({ differentiate, update }: ReturnType<typeof trainingOf>): number {
  const begin = performance.now();
  const { loss, gradients } = differentiate();
  const between = performance.now();
  update(gradients);
  const end = performance.now();
  tf.dispose([loss, gradients]);
  return (end - between) / (end - begin);
}
