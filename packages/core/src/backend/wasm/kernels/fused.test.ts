import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { attend } from "../../../nn/attention.js";
import { hasFusedKernel } from "../../../nn/fused-op.js";
import { adamWUpdate } from "../../../training/adamw.js";
import { flatJoin, flatSplit } from "../../../training/buckets.js";
import { movingAverages } from "../../../training/ema.js";
import { computeOn, uniformValues } from "../../testing/compare.js";
import { relativeError, ROUNDING, testFusedKernels } from "../../testing/fused-kernels.js";
import { upTo, valueAndGradients } from "../../testing/layer-cases.js";
import { useBackend } from "../../use-backend.js";

beforeAll(async () => {
  await useBackend("wasm", { threads: 1 });
});

testFusedKernels("wasm", "wasm");

describe("attention on wasm", () => {
  it("takes several blocks of queries, and keys that differ by more than exp can hold", async () => {
    const inputs = [
      [1, 270, 6],
      [1, 301, 6],
      [1, 301, 6],
    ].map((shape, i) => uniformValues(shape, i));
    inputs[1]!.values.fill(300, 600, 606);
    const compute = valueAndGradients((q, k, v) => attend(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, 2));
    inputs.push(uniformValues([270 * 6], 9));
    const [got, wanted] = [await computeOn("wasm", inputs, compute), await computeOn("cpu", inputs, compute)];
    // A score of 500 has 3e-5 of rounding, and so has its share.
    for (const [i, { values }] of got.entries())
      expect(relativeError(values, wanted[i]!.values)).toBeLessThan(20 * ROUNDING);
  });
});

describe("the fused updates on wasm", () => {
  it("equal the plain ones on the cpu backend", async () => {
    const coefficients = { keep: 0.99, fresh1: 0.1, keep2: 0.999, fresh2: 0.001, eps: 1e-8, rate: 0.01 };
    await fc.assert(
      fc.asyncProperty(upTo(33), fc.nat(), async (count, seed) => {
        const inputs = [0, 1, 2, 3].map((i) => uniformValues([count], seed + i));
        inputs[2]!.values = inputs[2]!.values.map(Math.abs);
        const compute = (...[p, m, v, g]: tf.Tensor[]) => [
          ...Object.values(adamWUpdate(coefficients)({ p: [p!], m: m!, v: v!, g: [g!] })).flat(),
          movingAverages({}, 0.01, [{ average: p!, values: [g!] }])[0]!,
        ];
        const [got, wanted] = [await computeOn("wasm", inputs, compute), await computeOn("cpu", inputs, compute)];
        for (const [i, { values }] of got.entries()) {
          // The same operations in the same order; the cpu backend keeps some of them in float64.
          expect(relativeError(values, wanted[i]!.values)).toBeLessThan(1e-6);
        }
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it("take parameters where they are, with gradients joined or one by one", async () => {
    const coefficients = { keep: 0.99, fresh1: 0.1, keep2: 0.999, fresh2: 0.001, eps: 1e-8, rate: 0.01 };
    await fc.assert(
      fc.asyncProperty(fc.array(upTo(9), { minLength: 1, maxLength: 5 }), fc.nat(), async (sizes, seed) => {
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const inputs = [0, 1, 2, 3].map((i) => uniformValues([total], seed + i));
        inputs[2]!.values = inputs[2]!.values.map(Math.abs);
        const [whole, ...inParts] = await computeOn("wasm", inputs, (...[p, m, v, g]: tf.Tensor[]) => {
          const [parts, gradients] = [tf.split(p!, sizes), tf.split(g!, sizes)];
          const update = (p: tf.Tensor[], g: tf.Tensor[]) =>
            adamWUpdate(coefficients)({ p, m: m!.clone(), v: v!.clone(), g });
          const all = ({ p, m, v }: ReturnType<typeof update>) => tf.concat([...p, m, v]);
          return [
            all(update([p!], [g!])),
            ...[[g!], gradients].map((g) => all(update(parts, g))),
            ...[[g!], gradients].map((values) => movingAverages({}, 0.1, [{ average: p!.clone(), values }])[0]!),
          ];
        });
        for (const moved of inParts.slice(0, 2)) expect(moved).toEqual(whole);
        expect(inParts[3]).toEqual(inParts[2]);
      }),
      { numRuns: 40, seed: 9 },
    );
  });

  it("leave a clone of the moments as it was", async () => {
    await tf.setBackend("wasm");
    tf.tidy(() => {
      const [p, m, v, g] = [1, 2, 3, 4].map((value) => tf.fill([5], value)) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const [before, reshaped] = [m.clone(), v.reshape([1, 5])];
      const coefficients = { keep: 0.99, fresh1: 0.1, keep2: 0.999, fresh2: 0.001, eps: 1e-8, rate: 0.01 };
      const moved = adamWUpdate(coefficients)({ p: [p], m, v, g: [g] });
      expect([...before.dataSync(), ...reshaped.dataSync()]).toEqual([2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
      expect(moved.m.dataSync()[0]).toBeCloseTo(2.2, 6);
      expect(moved.v.dataSync()[0]).toBeCloseTo(3.013, 6);
    });
  });

  it("write over an average that shares its data with no other tensor, and leave a clone of it as it was", async () => {
    await tf.setBackend("wasm");
    tf.tidy(() => {
      const [average, value] = [tf.fill([5], 1), tf.fill([5], 3)];
      const clone = average.clone();
      const [first] = movingAverages({}, 0.5, [{ average, values: [value] }]);
      expect([...clone.dataSync(), ...first!.dataSync()]).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
      const [second] = movingAverages({}, 0.5, [{ average: first!, values: [value] }]);
      expect(second!.dataId).toBe(first!.dataId);
      expect([...second!.dataSync()]).toEqual(new Array(5).fill(2.5));
    });
  });

  it("join tensors of any shapes to one vector bit for bit as the cpu backend does, and split it again", async () => {
    const shapesOf = fc.array(fc.array(upTo(5), { maxLength: 4 }), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(shapesOf, fc.nat(), async (shapes, seed) => {
        const inputs = shapes.map((shape, i) => uniformValues(shape, seed + i));
        const sizes = shapes.map((shape) => tf.util.sizeFromShape(shape));
        const compute = (...parts: tf.Tensor[]) => {
          const joined = flatJoin(parts);
          return [joined, ...flatSplit(joined, shapes, sizes)];
        };
        await tf.setBackend("wasm");
        expect([hasFusedKernel("FlatJoin"), hasFusedKernel("FlatSplit")]).toEqual([true, true]);
        const [joined, ...parts] = await computeOn("wasm", inputs, compute);
        expect(parts).toEqual(inputs);
        expect([joined, ...parts]).toEqual(await computeOn("cpu", inputs, compute));
      }),
      { numRuns: 40, seed: 8 },
    );
  });
});
