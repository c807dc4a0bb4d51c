import type * as tf from "@tensorflow/tfjs";

/** Something whose time is measured. */
export interface Workload {
  /** Multiplications and additions of one run; elementwise work counts as 0. */
  flop: number;
  /** How many steps one run takes, if the time of a step is reported. */
  steps?: number;
  /** Does it once. The caller owns the results, and waits for the first. */
  run(): tf.Tensor[];
}

/** What the process that runs a workload says to the one that started it. */
export type Answer =
  | { kind: "ready"; detail: string; flop: number; steps?: number; peakTensors?: number }
  /** Time by the clock, processor time of all threads; in MiB, peak memory of the process and all of WebAssembly's. */
  | { kind: "run"; milliseconds: number; processor: number; peakMemory: number; wasmMemory: number }
  | { kind: "failed"; reason: string };
