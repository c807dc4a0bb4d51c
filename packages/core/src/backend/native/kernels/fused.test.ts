import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { attend } from "../../../nn/attention.js";
import { adamWUpdate } from "../../../training/adamw.js";
import { computeOn, uniformValues } from "../../testing/compare.js";
import { relativeError, ROUNDING, testFusedKernels } from "../../testing/fused-kernels.js";
import { valueAndGradients } from "../../testing/layer-cases.js";
import { useBackend } from "../../use-backend.js";

const native = await useBackend("node").then(
  () => true,
  () => false,
);
if (native) {
  beforeAll(() => useBackend("node"));
  testFusedKernels("native", "tensorflow");
}

// The native backend is an optional installation (docs/backends.md).
(native ? describe : describe.skip)("attention on the native backend (skipped where that is not installed)", () => {
  it("takes queries in several parts where there would be too many scores at once", async () => {
    const shapes = [
      [2, 700, 8],
      [2, 600, 8],
      [2, 600, 8],
    ];
    const inputs = [...shapes, [2 * 700 * 8]].map((shape, i) => uniformValues(shape, i));
    const compute = valueAndGradients((q, k, v) => attend(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, 4));
    const [got, wanted] = [await computeOn("tensorflow", inputs, compute), await computeOn("cpu", inputs, compute)];
    for (const [i, { values }] of got.entries())
      expect(relativeError(values, wanted[i]!.values)).toBeLessThan(ROUNDING);
  });
});

(native ? describe : describe.skip)("AdamW on the native backend (skipped where that is not installed)", () => {
  const coefficients = { keep: 0.99, fresh1: 0.1, keep2: 0.999, fresh2: 0.001, eps: 1e-8, rate: 0.01 };

  it("moves parameters and moments as on the cpu backend", async () => {
    for (const shape of [[1], [33], [3, 3, 4, 5]]) {
      const inputs = [0, 1, 2, 3].map((i) => uniformValues(shape, i));
      inputs[2]!.values = inputs[2]!.values.map(Math.abs);
      const compute = (...[p, m, v, g]: tf.Tensor[]) =>
        Object.values(adamWUpdate(coefficients)({ p: [p!], m: m!, v: v!, g: [g!] })).flat();
      const [got, wanted] = [await computeOn("tensorflow", inputs, compute), await computeOn("cpu", inputs, compute)];
      for (const [i, { values }] of got.entries()) {
        // Adam's 1 - 0.999 is 1.3e-5 less in float32, and is multiplied with at most 1; nothing else is but rounding.
        expect(relativeError(values, wanted[i]!.values)).toBeLessThan(i === 2 ? 1.4e-5 : 2e-6);
      }
    }
  });

  it("writes over moments that share their data with no other tensor, and leaves a clone of them as it was", async () => {
    await tf.setBackend("tensorflow");
    tf.tidy(() => {
      const [p, m, v, g] = [1, 2, 3, 4].map((value) => tf.fill([5], value)) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const clone = v.clone();
      const moved = adamWUpdate(coefficients)({ p: [p], m, v, g: [g] });
      expect([...p.dataSync(), ...clone.dataSync(), ...v.dataSync()]).toEqual([
        1,
        1,
        1,
        1,
        1,
        ...new Array<number>(10).fill(3),
      ]);
      expect(moved.m.dataId).toBe(m.dataId);
      expect(moved.m.dataSync()[0]).toBeCloseTo(2.2, 6);
      expect(moved.v.dataSync()[0]).toBeCloseTo(3.013, 4);
      const again = adamWUpdate(coefficients)({ ...moved, g: [g] });
      expect(again.m.dataSync()[0]).toBeCloseTo(2.38, 6);
    });
  });

  it("keeps no variable: a thousand updates take no memory", async () => {
    await tf.setBackend("tensorflow");
    const [p, m, v, g] = [1, 2, 3, 4].map((value) => tf.fill([100_000], value)) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    const update = () => tf.dispose(Object.values(adamWUpdate(coefficients)({ p: [p], m, v, g: [g] })));
    for (let i = 0; i < 50; i++) update();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 1000; i++) update();
    // What an update makes is 1.2 MB; a thousand of them would be 1.2 GB.
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    tf.dispose([p, m, v, g]);
  });
});
