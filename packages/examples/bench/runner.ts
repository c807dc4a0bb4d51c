/**
 * One runner of the benchmark, a process of its own: builds a workload, then runs it once for each message and answers
 * with the milliseconds it took. Started by measure.ts; arguments: backend or onnxruntime package, threads, workload,
 * and the folder of the ONNX graphs.
 */
import { existsSync, readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { onnxSession } from "./onnx/session.js";
import type { Answer } from "./workload.js";
import { workload } from "./workloads.js";

/** A training step is fully compiled after about fifteen runs. */
const WARM_UP_MS = 3000;
const MIB = 2 ** 20;

const [kind, threads, name, references] = process.argv.slice(2) as [string, string, string, string];
const answer = (message: Answer) => process.send!(message);

interface Work {
  detail: string;
  flop: number;
  steps?: number;
  /** The peak size of all tensors in one run, in MiB, including parameters. */
  peakTensors?: number;
  once(): Promise<void>;
}

try {
  const work = kind.startsWith("onnxruntime") ? await onnxWork() : await ourWork();
  // V8 first runs WebAssembly unoptimised, and compiles hot functions in the background.
  const begin = performance.now();
  for (let run = 0; run < 3 || performance.now() - begin < WARM_UP_MS; run++) await work.once();
  process.on("message", () => void timed(work.once).then(answer));
  const { once: _, ...facts } = work;
  answer({ kind: "ready", ...facts });
} catch (error) {
  answer({ kind: "failed", reason: (error as Error).message });
}

async function timed(once: () => Promise<void>): Promise<Answer> {
  const before = process.cpuUsage();
  const begin = performance.now();
  await once();
  const milliseconds = performance.now() - begin;
  const { user, system } = process.cpuUsage(before);
  return {
    kind: "run",
    milliseconds,
    processor: (user + system) / 1000,
    peakMemory: peakMemory(),
    wasmMemory: wasmMemory(),
  };
}

/** In MiB. `resourceUsage()` includes the process that was forked; Linux has a better number. */
function peakMemory(): number {
  const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
  const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1];
  return Number(kilobytes ?? process.resourceUsage().maxRSS) / 1024;
}

/** The memory of the wasm backend, in MiB; 0 on other backends. It never shrinks, so this is also its peak. */
function wasmMemory(): number {
  if (kind.startsWith("onnxruntime")) return 0;
  const { wasm } = tf.backend() as { wasm?: { HEAPU8: Uint8Array } };
  return (wasm?.HEAPU8.buffer.byteLength ?? 0) / MIB;
}

/** In MiB. */
async function peakTensorsOf(run: () => tf.Tensor[]): Promise<number> {
  const { peakBytes, result } = await tf.profile(run);
  tf.dispose(result);
  return peakBytes / MIB;
}

async function ourWork(): Promise<Work> {
  const detail = await start();
  const { run, flop, steps } = workload(name);
  const once = async () => {
    const results = tf.tidy(run);
    await results[0]!.data();
    tf.dispose(results);
  };
  const peakTensors = name.startsWith("growth") ? await peakTensorsOf(() => tf.tidy(run)) : undefined;
  return { detail, flop, steps, peakTensors, once };
}

async function onnxWork(): Promise<Work> {
  if (!references) throw new Error("it is not installed, or no graph was written.");
  const { forward, error, flop } = await onnxSession(kind, Number(threads), references, name.replace(" forward", ""));
  return { detail: `differs from ours by ${error.toExponential(1)}`, flop, once: async () => void (await forward()) };
}

/** Starts the backend; "stock wasm" is the wasm backend of TensorFlow.js without our kernels. */
async function start(): Promise<string> {
  if (kind === "stock wasm") {
    await import("@tensorflow/tfjs-backend-wasm");
    await tf.setBackend("wasm");
    return "1 thread";
  }
  const { detail = "" } = await useBackend(kind, kind === "wasm" ? { threads: Number(threads) } : {});
  return detail;
}
