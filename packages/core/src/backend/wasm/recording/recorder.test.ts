import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { recorded, registerRecorder } from "../../../nn/recorded.js";
import { testRecordedNetworks } from "../../testing/recorded-networks.js";
import type { WasmBackend } from "../memory.js";
import { ReplayRecorder } from "./recorder.js";

describe("networks as lists of kernel calls on wasm", () => {
  testRecordedNetworks({
    backend: ["wasm", "wasm"],
    recorder: () => new ReplayRecorder(),
    callsBefore: 1,
    rounding: 0,
    held: () => (tf.backend() as WasmBackend).numDataIds(),
    heldByOne: 0,
  });

  it("are not recorded where a tensor and a view of it are read: a body may make one of the other", () => {
    const recorder = new ReplayRecorder();
    registerRecorder("wasm", recorder);
    const [owner, x] = [{}, tf.tensor1d([1, 2])];
    const times = (q: tf.Tensor) =>
      tf.tidy(() => [...recorded(owner, { x, q }, () => tf.tidy(() => x.reshape([2, 1]).mul(q))).dataSync()]);
    const [view, other] = [x.reshape([2, 1]), tf.tensor2d([3, 5], [2, 1])];
    for (let i = 0; i < 3; i++) expect(times(view)).toEqual([1, 4]);
    expect(times(other)).toEqual([3, 10]);
    expect(recorder.describe(owner)[0]!.refused).toMatch(/the same/);
    tf.dispose([x, view, other]);
  });

  it("free what they hold when a kernel fails half-way", () => {
    registerRecorder("wasm", new ReplayRecorder());
    const [owner, x] = [
      {},
      tf.tensor2d([
        [1, 2],
        [3, 4],
      ]),
    ];
    const kernel = tf.getKernel(tf.Square, "wasm");
    let isBroken = false;
    tf.unregisterKernel(tf.Square, "wasm");
    tf.registerKernel({
      ...kernel,
      setupFunc: undefined,
      kernelFunc: (call) => {
        if (isBroken) throw new Error("no memory");
        return kernel.kernelFunc(call);
      },
    });
    const run = () => recorded(owner, { x }, () => tf.tidy(() => x.exp().add(x.mul(3)).square().sum<tf.Scalar>()));
    for (let i = 0; i < 3; i++) tf.dispose([run(), tf.grad(() => run())(x)]);
    const held = () => [tf.memory().numTensors, tf.memory().numDataBuffers, (tf.backend() as WasmBackend).numDataIds()];
    const before = held();
    isBroken = true;
    for (let i = 0; i < 5; i++) expect(run).toThrow("no memory");
    expect(held()).toEqual(before);
    isBroken = false;
    expect(tf.tidy(() => run().dataSync()[0])).toBeGreaterThan(1);
    tf.unregisterKernel(tf.Square, "wasm");
    tf.registerKernel({ ...kernel, setupFunc: undefined });
    x.dispose();
  });
});
