import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { BackendUnavailableError } from "./errors.js";
import { useBackend } from "./use-backend.js";
import { webgpuCandidate } from "./webgpu.js";

describe("useBackend", () => {
  it("refuses an unknown name and lists the known ones", async () => {
    await expect(useBackend("cuda")).rejects.toThrow(/unknown name; the backends are node-gpu, node,/);
  });

  it("says why a requested backend is not available", async () => {
    const refusal = useBackend("webgl");
    await expect(refusal).rejects.toBeInstanceOf(BackendUnavailableError);
    await expect(refusal).rejects.toThrow('useBackend("webgl"): needs a browser.');
  });

  it("leaves a graphics card aside in Node for a small model, unless it is asked for", async () => {
    const small = { modelBytes: 12e6 };
    await expect(webgpuCandidate.load(small, false)).rejects.toThrow(/^the model is small: submitting/);
    for (const [options, isAskedFor] of [
      [small, true],
      [{ modelBytes: 2e9 }, false],
      [{}, false],
    ] as const) {
      const reason = await webgpuCandidate.load(options, isAskedFor).then(
        () => "it runs",
        (error: Error) => error.message,
      );
      expect(reason).not.toContain("small");
    }
  });

  it("starts wasm, computes on it, and can be asked again", async () => {
    // Jest's context cannot share memory with threads (node-threads.test.ts arranges that it can).
    const detail = "1 thread (no shared memory in this JavaScript context)";
    expect(await useBackend("wasm", { threads: 2 })).toEqual({ name: "wasm", detail, passedOver: [] });
    expect(await useBackend("wasm")).toMatchObject({ name: "wasm" });
    expect(tf.getBackend()).toBe("wasm");
    expect(tf.tidy(() => tf.tensor([1, 2, 3]).square().sum().dataSync()[0])).toBe(14);
  });

  it("leaves the process's handlers of uncaught errors as they were", async () => {
    const before = process.rawListeners("uncaughtException").length;
    await useBackend("wasm");
    expect(process.rawListeners("uncaughtException")).toHaveLength(before);
  });

  it("prints nothing of TensorFlow.js's own on cpu", async () => {
    const warnings: unknown[] = [];
    const { warn } = console;
    console.warn = (...message) => void warnings.push(message);
    try {
      expect(await useBackend("cpu")).toMatchObject({ name: "cpu" });
      tf.tidy(() => tf.zeros([1]).dataSync());
    } finally {
      console.warn = warn;
    }
    expect(warnings).toEqual([]);
  });

  it("without a name takes the first that loads and says why not a better one", async () => {
    const { name, passedOver } = await useBackend();
    const order = ["node-gpu", "node", "webgpu", "webgl", "wasm"];
    expect(passedOver.map((other) => other.name)).toEqual(order.slice(0, order.indexOf(name)));
    for (const { reason } of passedOver) expect(reason).toMatch(/\.$/);
  });
});
