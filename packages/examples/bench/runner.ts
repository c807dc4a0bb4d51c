/**
 * One runner of the benchmark, a process of its own: builds a workload on a backend, then runs it once for each message
 * and answers with the milliseconds it took. Started by main.ts; arguments: backend, threads, workload.
 */
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { WORKLOADS } from "./workloads.js";

export type Answer =
  | { kind: "ready"; detail: string; flop: number; steps?: number }
  | { kind: "run"; milliseconds: number }
  | { kind: "failed"; reason: string };

const WARM_UP_MS = 1000;

const [backend, threads, name] = process.argv.slice(2) as [string, string, string];
const answer = (message: Answer) => process.send!(message);

try {
  const detail = await start();
  const workload = WORKLOADS[name]!();
  const once = async () => {
    const begin = performance.now();
    const results = tf.tidy(() => workload.run());
    await results[0]!.data();
    const milliseconds = performance.now() - begin;
    tf.dispose(results);
    return milliseconds;
  };
  // V8 first runs WebAssembly unoptimised, and compiles what is hot in the background.
  const begin = performance.now();
  for (let run = 0; run < 3 || performance.now() - begin < WARM_UP_MS; run++) await once();
  process.on("message", () => void once().then((milliseconds) => answer({ kind: "run", milliseconds })));
  answer({ kind: "ready", detail, flop: workload.flop, steps: workload.steps });
} catch (error) {
  answer({ kind: "failed", reason: (error as Error).message });
}

/** Starts the backend; "stock wasm" is the wasm backend as TensorFlow.js brings it, without our kernels. */
async function start(): Promise<string> {
  if (backend === "stock wasm") {
    await import("@tensorflow/tfjs-backend-wasm");
    await tf.setBackend("wasm");
    return "1 thread";
  }
  const { detail = "" } = await useBackend(backend, backend === "wasm" ? { threads: Number(threads) } : {});
  return detail;
}
