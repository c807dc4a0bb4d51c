import type * as Os from "node:os";
import * as tf from "@tensorflow/tfjs";
import type { BackendOptions, Candidate, LoadedBackend } from "../candidate.js";
import { isNode, requireFrom } from "../../platform/node-only.js";
import { quietly } from "../quiet.js";
import { startThreadedBinaryInNode, STOCK_THREADS } from "./threads/node-threads.js";
import { hasSharedMemory, type WasmBackend } from "./memory.js";
import { completeWasmBackend } from "./register.js";

/** WebAssembly with SIMD: runs everywhere, the default if nothing faster is installed. */
export const wasmCandidate: Candidate = { name: "wasm", load: loadWasm };

const MAX_THREADS = 16;
/** The most threads by default. */
const DEFAULT_THREADS = 4;

/** The running backend. It cannot be changed without losing every tensor. */
let started: { threads: number; detail: string } | undefined;

async function loadWasm(options: BackendOptions): Promise<LoadedBackend> {
  if (typeof WebAssembly === "undefined") throw new Error("this JavaScript engine has no WebAssembly.");
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS)) {
    throw new RangeError(`threads must be a whole number from 1 to ${MAX_THREADS}, not ${threads}.`);
  }
  if (!started || !tf.engine().registry["wasm"]) started = await start(options);
  else if (threads !== undefined && threads !== started.threads) {
    throw new Error(`it already runs, on ${started.detail}; the number of threads is fixed when it first starts.`);
  }
  const now = started;
  return { registeredAs: "wasm", detail: now.detail, afterStart: () => completeWasmBackend(now.threads) };
}

async function start({ threads, wasmPaths }: BackendOptions): Promise<{ threads: number; detail: string }> {
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  if (!isNode) {
    if (wasmPaths !== undefined) wasm.setWasmPaths(wasmPaths);
    const wanted = threads ?? defaultThreads(navigator.hardwareConcurrency);
    wasm.setThreadsCount(STOCK_THREADS);
    if (wanted === 1) tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    if (!(await withReportedCores(2 * STOCK_THREADS, () => tf.setBackend("wasm")))) {
      throw new Error("its binary did not load: give its location with wasmPaths.");
    }
    return hasSharedMemory(tf.backend() as WasmBackend)
      ? describe(wanted)
      : describe(1, globalThis.crossOriginIsolated ? undefined : "the page is not cross-origin isolated");
  }
  const folder = await installedFolder();
  wasm.setWasmPaths(wasmPaths ?? folder);
  return withoutNewProcessListeners(async () => {
    const { availableParallelism } = (await requireFrom())("node:os") as typeof Os;
    const wanted = threads ?? defaultThreads(availableParallelism());
    let reason: string | undefined;
    if (wanted > 1) {
      try {
        requireSharedMemory();
        await quietly(() => startThreadedBinaryInNode(wasm, folder));
        return describe(wanted);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    if (!(await tf.setBackend("wasm"))) throw new Error("its binary did not start.");
    return describe(1, reason);
  });
}

/** One for every two cores: threads that share a core with other work wait for each other. */
function defaultThreads(cores: number): number {
  return Math.max(1, Math.min(DEFAULT_THREADS, cores >> 1));
}

/** Throws if the loader does not recognize shared WebAssembly memory, as in a `node:vm` context (Jest). */
function requireSharedMemory(): void {
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  if (!(buffer instanceof SharedArrayBuffer)) throw new Error("no shared memory in this JavaScript context");
}

function describe(threads: number, reason?: string): { threads: number; detail: string } {
  if (threads > 1) return { threads, detail: `${threads} threads` };
  return { threads, detail: reason ? `1 thread (${reason})` : "1 thread" };
}

/**
 * The loader starts a thread for every two cores that the browser reports. During the start, that number is `cores`.
 */
async function withReportedCores<T>(cores: number, start: () => Promise<T>): Promise<T> {
  Object.defineProperty(navigator, "hardwareConcurrency", { value: cores, configurable: true });
  try {
    return await start();
  } finally {
    // The browser's own value is on the prototype.
    delete (navigator as { hardwareConcurrency?: number }).hardwareConcurrency;
  }
}

/** The location of the installed package's binaries. */
async function installedFolder(): Promise<string> {
  const file = (await requireFrom()).resolve("@tensorflow/tfjs-backend-wasm/package.json");
  return file.replace(/package\.json$/, "dist/");
}

/**
 * Removes the process-wide handlers that are added while `run` runs. Those of the wasm loader throw every uncaught
 * error again, which hides where it came from.
 */
async function withoutNewProcessListeners<T>(run: () => Promise<T>): Promise<T> {
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const before = new Set(events.flatMap((event) => process.rawListeners(event)));
  try {
    return await run();
  } finally {
    for (const event of events) {
      for (const listener of process.rawListeners(event)) {
        if (!before.has(listener)) process.removeListener(event, listener as () => void);
      }
    }
  }
}
