import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createRequire } from "node:module";
import type * as Os from "node:os";
import type * as WorkerThreads from "node:worker_threads";
import * as tf from "@tensorflow/tfjs";
import { computeOn, largestDifference, sumTolerance, uniformValues } from "../../testing/compare.js";
import { useBackend } from "../../use-backend.js";

// Jest's context has a WebAssembly of its own, whose shared memory is not the SharedArrayBuffer seen in it.
const seen = globalThis.SharedArrayBuffer;
const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });

beforeAll(() => {
  globalThis.SharedArrayBuffer = buffer.constructor as typeof SharedArrayBuffer;
});
afterAll(() => {
  tf.removeBackend("wasm"); // ends the pool
  globalThis.SharedArrayBuffer = seen;
});

describe("wasm with threads in Node", () => {
  it("refuses a number of threads that the pool cannot hold", async () => {
    await expect(useBackend("wasm", { threads: 17 })).rejects.toThrow("whole number from 1 to 16, not 17");
    await expect(useBackend("wasm", { threads: 0 })).rejects.toThrow("whole number from 1 to 16, not 0");
  });

  it("starts a pool of two and leaves Node's own objects as they were", async () => {
    const require = createRequire(import.meta.url);
    const workerThreads = require("node:worker_threads") as typeof WorkerThreads;
    const os = require("node:os") as typeof Os;
    const [Worker, cpus] = [workerThreads.Worker, os.cpus];
    const hadWorker = "Worker" in globalThis;
    expect(await useBackend("wasm", { threads: 2 })).toMatchObject({ name: "wasm", detail: "2 threads" });
    expect(workerThreads.Worker).toBe(Worker);
    expect(os.cpus).toBe(cpus);
    expect("Worker" in globalThis).toBe(hadWorker);
  });

  it("computes a convolution and its gradients as the cpu backend does", async () => {
    const inputs = [uniformValues([2, 16, 16, 12], 1), uniformValues([3, 3, 12, 20], 2)];
    const gradients = (x: tf.Tensor, filter: tf.Tensor) =>
      tf.grads((a, b) =>
        tf
          .conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, "same")
          .square()
          .sum(),
      )([x, filter]);
    const [wasm, cpu] = [
      await computeOn("wasm", inputs, (x, f) => gradients(x, f)),
      await computeOn("cpu", inputs, (x, f) => gradients(x, f)),
    ];
    // dy = 2y is up to about 2 * 3 * sqrt(108)/3 large, 20; the sums run over 512 pixels and 180 taps.
    for (const [i, values] of wasm.entries()) {
      expect(largestDifference(values, cpu[i]!)).toBeLessThanOrEqual(20 * sumTolerance(512));
    }
  });

  it("refuses another number of threads once it runs", async () => {
    await expect(useBackend("wasm", { threads: 1 })).rejects.toThrow("already runs, on 2 threads");
    expect(await useBackend("wasm")).toMatchObject({ detail: "2 threads" });
  });
});
