import { afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { BackendMemoryError } from "../../platform/backend-memory.js";
import { fillWasm } from "../../testing/endurance.js";
import { drawTiny } from "../../testing/tiny-latent-pipeline.js";
import { useBackend } from "../use-backend.js";
import type { WasmBackend } from "./memory.js";

const MIB = 2 ** 20;

let empty = () => {};
let backend: WasmBackend;
beforeAll(async () => {
  await useBackend("wasm", { threads: 1 });
  backend = tf.backend() as WasmBackend;
});
afterEach(() => empty());

describe("The wasm backend with no memory left", () => {
  it("throws at every allocation, keeps the numbers of all tensors, and draws when there is room again", async () => {
    const before = await drawTiny();
    const kept = tf.range(0, 100_000);
    const tensors = tf.memory().numTensors;
    empty = fillWasm(LARGE);
    for (const ask of [
      () => tf.zeros([MIB]),
      () => tf.tensor1d(new Float32Array(MIB)),
      () => tf.tidy(() => kept.add(1).mul(2)),
      () => tf.tidy(() => tf.matMul(kept.reshape([1000, 100]), kept.reshape([100, 1000]))),
      () => tf.tidy(() => tf.conv2d(tf.reshape<tf.Rank.R4>(kept, [1, 250, 400, 1]), tf.ones([3, 3, 1, 4]), 1, "same")),
      () => tf.tidy(() => kept.reshape([250, 400]).softmax()),
      () => tf.tidy(() => kept.reshape([250, 400]).cumsum(1).tile([2, 2])),
    ]) {
      expect(ask).toThrow(BackendMemoryError);
      expect(ask).toThrow(/^The wasm backend has no room for \d+ MiB more: \d+ tensors hold .* Dispose of tensors/);
      expect(tf.memory().numTensors).toBe(tensors);
    }
    empty();
    expect(kept.dataSync().every((value, i) => value === i)).toBe(true);
    kept.dispose();
    expect((await drawTiny()).images).toEqual(before.images);
  });

  it("ends a drawing with the error, which leaves nothing", async () => {
    const before = await drawTiny();
    const [tensors, ids] = [tf.memory().numTensors, backend.numDataIds()];
    empty = fillWasm(LARGE, MIB);
    const failure = drawTiny({ width: 256, height: 256 });
    await expect(failure).rejects.toThrow(BackendMemoryError);
    empty();
    expect(tf.memory().numTensors).toBe(tensors);
    expect(backend.numDataIds()).toBe(ids);
    expect((await drawTiny()).images).toEqual(before.images);
  });
});

const LARGE = 64 * 1024;
