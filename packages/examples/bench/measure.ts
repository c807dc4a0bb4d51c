import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Answer } from "./workload.js";

/** The best measurement of one runner. */
export interface Measured {
  /** What ran: "wasm, 1 thread". */
  label: string;
  kind: string;
  threads: number;
  /** Details that the backend reports. */
  detail: string;
  /** Milliseconds by the clock. */
  best: number;
  /** Milliseconds of processor time, of all threads: does not count waiting for other work on the machine. */
  processor: number;
  flop: number;
  steps?: number;
  /** Largest resident memory of the process, MiB. */
  peakMemory: number;
  /** All of the wasm backend's memory, MiB. */
  wasmMemory: number;
  /** The peak size of all tensors, MiB; measured only for `growth`. */
  peakTensors?: number;
}

export type Candidate = [kind: string, threads: number];

const OURS: Candidate[] = [
  ["node", 1],
  ["wasm", 1],
  ...(availableParallelism() > 1 ? [["wasm", Math.min(4, availableParallelism())] satisfies Candidate] : []),
  ["stock wasm", 1],
];

/**
 * The runners for a workload. ONNX Runtime can run forward passes, with the same numbers of threads. With `only`, only
 * that backend.
 */
export function candidatesFor(name: string, only?: string): Candidate[] {
  if (only) return [[only, 1]];
  if (!name.endsWith(" forward")) return OURS;
  const threads = [...new Set(OURS.map(([, threads]) => threads))];
  return [
    ...OURS,
    ...["onnxruntime-web", "onnxruntime-node"].flatMap((kind) => threads.map((n): Candidate => [kind, n])),
  ];
}

interface Runner extends Measured {
  child: ChildProcess;
}

/**
 * Best times of all candidates that can start, which run in turns. The reasons why others cannot start go into
 * `missing`.
 */
export async function measure(
  name: string,
  candidates: Candidate[],
  rounds: number,
  references: string | undefined,
  missing: Set<string>,
): Promise<Measured[]> {
  const runners: Runner[] = [];
  try {
    for (const [kind, threads] of candidates) {
      const runner = await startRunner(kind, threads, name, references);
      if (typeof runner === "string") missing.add(`${kind}: ${runner}`);
      else runners.push(runner);
    }
    for (let round = 0; round < rounds; round++) {
      for (const runner of runners) {
        runner.child.send("run");
        const message = await nextAnswer(runner.child);
        if (message.kind !== "run") throw new Error(`${runner.label} ended while it ran ${name}.`);
        runner.best = Math.min(runner.best, message.milliseconds);
        runner.processor = Math.min(runner.processor, message.processor);
        runner.peakMemory = message.peakMemory;
        runner.wasmMemory = message.wasmMemory;
      }
    }
  } finally {
    for (const { child } of runners) child.kill();
  }
  return runners.map(({ child: _, ...measured }) => measured);
}

/** A runner that is ready, or the reason why it cannot start. */
async function startRunner(kind: string, threads: number, name: string, references = ""): Promise<Runner | string> {
  const file = fileURLToPath(new URL("runner.js", import.meta.url));
  const child = fork(file, [kind, String(threads), name, references], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env: { ...process.env, ...nativeThreads(threads) },
  });
  const message = await nextAnswer(child);
  if (message.kind !== "ready") {
    child.kill();
    return message.kind === "failed" ? `${name}: ${message.reason}` : "no answer";
  }
  const { kind: _, ...facts } = message;
  const label = `${kind}, ${threads} thread${threads === 1 ? "" : "s"}`;
  const unmeasured = { best: Infinity, processor: Infinity, peakMemory: 0, wasmMemory: 0 };
  return { label, kind, threads, child, ...facts, ...unmeasured };
}

/** Environment variables that tell native TensorFlow its number of threads. */
export function nativeThreads(threads: number): Record<string, string> {
  return {
    TF_CPP_MIN_LOG_LEVEL: "2",
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: "1",
    OMP_NUM_THREADS: String(threads),
  };
}

async function nextAnswer(child: ChildProcess): Promise<Answer> {
  const ended = new AbortController();
  const exit = once(child, "exit", { signal: ended.signal }).then((): Answer => ({
    kind: "failed",
    reason: "the process ended",
  }));
  const message = once(child, "message", { signal: ended.signal }).then(([answer]) => answer as Answer);
  exit.catch(() => undefined);
  message.catch(() => undefined);
  const first = await Promise.race([message, exit]);
  ended.abort();
  return first;
}
