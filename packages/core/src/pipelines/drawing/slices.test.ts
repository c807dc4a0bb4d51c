import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { lastLatents } from "./draw.js";
import { sample } from "./sampling.js";
import { inSlices, rowsOfSlice, type Slice, slicesOf } from "./slices.js";

beforeAll(useTestBackend);

describe("The slices of a batch", () => {
  it("follow each other without a gap, hold at most as many pictures as allowed, and are nearly equal", () => {
    expect(slicesOf(10, 4).map(({ from, to }) => to - from)).toEqual([4, 3, 3]);
    for (let pictures = 1; pictures < 40; pictures++) {
      for (let most = 1; most < 45; most++) {
        const slices = slicesOf(pictures, most);
        expect(slices.map(({ from }) => from)).toEqual([0, ...slices.slice(0, -1).map(({ to }) => to)]);
        expect(slices.at(-1)!.to).toBe(pictures);
        const sizes = slices.map(({ from, to }) => to - from);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.min(most, Math.min(...sizes) + 1));
      }
    }
  });

  it("take their rows from every batch of a tensor, and a single row as it is", () => {
    tf.tidy(() => {
      const slice = { from: 1, to: 3, of: 4 };
      expect(rowsOfSlice(tf.range(0, 4), slice).arraySync()).toEqual([1, 2]);
      expect(rowsOfSlice(tf.range(0, 8), slice).arraySync()).toEqual([1, 2, 5, 6]);
      expect(rowsOfSlice(tf.range(0, 12), slice).arraySync()).toEqual([1, 2, 5, 6, 9, 10]);
      const row = tf.ones([1, 2]);
      expect(rowsOfSlice(row, slice)).toBe(row);
    });
  });

  it("let timers run between them, and end with the signal's reason, without a tensor left", async () => {
    const x = tf.ones([5, 2]);
    const before = tf.memory().numTensors;
    const abort = new AbortController();
    let calls = 0;
    const f = (part: tf.Tensor) => {
      if (++calls === 2) setImmediate(() => abort.abort(new Error("enough")));
      return part.add<tf.Tensor>(1);
    };
    await expect(inSlices(x, f, { atOnce: 1, signal: abort.signal })).rejects.toThrow("enough");
    expect(calls).toBeLessThan(5);
    const failing = inSlices(x, () => tf.ones([1]).reshape([7]), { atOnce: 1 });
    await expect(failing).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });

  it("end a drawing within a step, without a tensor left", async () => {
    const scheduler = new DDIMScheduler();
    const plan = scheduler.plan(3);
    const seen: Slice[] = [];
    const abort = new AbortController();
    const before = tf.memory().numTensors;
    const steps = sample({
      scheduler,
      plan,
      start: () => plan.start(keyedNoise(0).normal([6, 2, 2, 1])),
      denoise: (x: tf.Tensor4D, _t, _i, slice) => {
        seen.push(slice);
        if (seen.length === 5) setImmediate(() => abort.abort(new Error("enough")));
        return x.mul<tf.Tensor4D>(0.1);
      },
      atOnce: 2,
      noise: keyedNoise(0),
      signal: abort.signal,
      preview: (x) => x.clone(),
    });
    await expect(lastLatents(steps, {})).rejects.toThrow("enough");
    // Three slices a step: it ended before the third of the second step, or at the latest before the third step.
    expect(seen.length).toBeLessThan(7);
    expect(tf.memory().numTensors).toBe(before);
  });
});
