import type * as Os from "node:os";
import type * as WorkerThreads from "node:worker_threads";
import type * as WasmPackage from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs";
import { requireFrom } from "../../../platform/node-only.js";

type Message = { cmd?: string } | undefined;

/**
 * Threads of the backend's own pool. Our kernels have another pool (thread-pool.ts), whose threads stay awake between
 * calls. The backend's own kernels have so little work left that waking a thread takes longer than the work.
 */
export const STOCK_THREADS = 1;

/** After this time a pool will not start any more: a worker has died silently. */
const START_LIMIT_MS = 20_000;

/**
 * Starts the threaded wasm binary of `@tensorflow/tfjs-backend-wasm` 4.22 in Node, where it does not start without
 * help:
 *
 * - its loader runs `new Worker(url)` with a `blob:` URL, and the worker runs `readFileSync` on a Blob; Node can open
 *   neither. While the pool starts, workers are created from the source text and get the installed file instead;
 * - it starts a thread for every two of `os.cpus()`, whatever number is requested. While it starts, `os.cpus()` reports
 *   twice {@link STOCK_THREADS}.
 *
 * The workers do not keep the process alive. Rejects if the pool does not start; everything that was replaced is then
 * restored.
 */
export async function startThreadedBinaryInNode(wasm: typeof WasmPackage, folder: string): Promise<void> {
  const require = await requireFrom();
  const script = `${folder}../wasm-out/tfjs-backend-wasm-threaded-simd.js`;
  const { wasmWorkerContents } = require(script.replace(/js$/, "worker.js")) as { wasmWorkerContents: string };
  // The CommonJS objects, as the loader sees them: unlike an ES namespace they can be changed.
  const workerThreads = require("node:worker_threads") as typeof WorkerThreads;
  const os = require("node:os") as typeof Os;
  const { Worker } = workerThreads;
  const workers: InstanceType<typeof Worker>[] = [];

  class PoolWorker extends Worker {
    constructor() {
      // The loader's own text has lost one level of escapes; tfjs's locateFile takes this into account, too.
      // Without the options of this process: after --input-type=module the text would count as an ES module.
      super(wasmWorkerContents.replace(/\n/g, "\\n"), { eval: true, execArgv: [] });
      workers.push(this);
    }
    override postMessage(message: Message, transfer?: Parameters<InstanceType<typeof Worker>["postMessage"]>[1]) {
      super.postMessage(message?.cmd === "load" ? { ...message, urlOrBlob: script } : message, transfer);
    }
  }

  const { cpus } = os;
  const globalWorker = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  const reported = Array.from({ length: 2 * STOCK_THREADS }, () => cpus()[0]!);
  try {
    workerThreads.Worker = PoolWorker;
    os.cpus = () => reported;
    tf.env().set("WASM_HAS_SIMD_SUPPORT", true);
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", true);
    wasm.setThreadsCount(STOCK_THREADS);
    await startBefore(START_LIMIT_MS);
  } catch (error) {
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    await Promise.all(workers.map((worker) => worker.terminate()));
    if (tf.engine().registry["wasm"]) tf.removeBackend("wasm");
    throw error;
  } finally {
    os.cpus = cpus;
    workerThreads.Worker = Worker;
    if (globalWorker) Object.defineProperty(globalThis, "Worker", globalWorker);
    else delete (globalThis as { Worker?: unknown }).Worker;
    for (const worker of workers) worker.unref();
  }
}

/** Makes wasm the current backend. Rejects after `limit` ms, or if a worker fails. */
async function startBefore(limit: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the pool did not start within ${limit / 1000} s`)), limit);
  });
  try {
    if (!(await Promise.race([tf.setBackend("wasm"), late]))) throw new Error("the threaded binary did not start");
  } finally {
    clearTimeout(timer);
  }
}
