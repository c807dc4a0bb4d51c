import { beforeAll, describe, expect, it } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs";
import { attend } from "../../nn/attention.js";
import { computeOn, uniformValues } from "../testing/compare.js";
import { relativeError, ROUNDING, testFusedKernels, valueAndGradients } from "../testing/fused-kernels.js";
import { useBackend } from "../use-backend.js";

const native = await useBackend("node").then(
  () => true,
  () => false,
);
if (native) {
  beforeAll(() => useBackend("node"));
  testFusedKernels("tensorflow", ["Affine", "Attention", "Geglu", "Gelu", "GroupNorm", "LayerNorm", "Silu"]);
}

(native ? describe : describe.skip)("attention on the native backend (skipped where that is not installed)", () => {
  it("takes queries in several parts where there would be too many scores at once", async () => {
    const shapes = [[2, 700, 8], [2, 600, 8], [2, 600, 8]]; // prettier-ignore
    const inputs = [...shapes, [2 * 700 * 8]].map((shape, i) => uniformValues(shape, i));
    const compute = valueAndGradients((q, k, v) => attend(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, 4));
    const [got, wanted] = [await computeOn("tensorflow", inputs, compute), await computeOn("cpu", inputs, compute)];
    for (const [i, { values }] of got.entries())
      expect(relativeError(values, wanted[i]!.values)).toBeLessThan(ROUNDING);
  });
});
