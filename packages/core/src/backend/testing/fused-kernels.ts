import { expect, describe, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { hasFusedKernel } from "../../nn/fused-op.js";
import { LAYER_KERNELS } from "../fused-kernels.js";
import { computeOn, uniformValues } from "./compare.js";
import type { Numbers } from "./float64.js";
import { LAYER_CASES, layerInputs, valueAndGradients } from "./layer-cases.js";

/** Length of the difference, relative to that of `wanted`; two tiny values count as equal. */
export function relativeError(got: Numbers, wanted: Numbers): number {
  let [difference, length] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    difference += (got[i]! - wanted[i]!) ** 2;
    length += wanted[i]! ** 2;
  }
  if (got.length !== wanted.length || !Number.isFinite(difference)) return Infinity;
  return Math.sqrt(difference) / Math.max(Math.sqrt(length), 1e-3 * Math.sqrt(wanted.length));
}

/** Two float32 computations of sums of up to some hundred terms: 1e-7 to 3e-6 were seen. */
export const ROUNDING = 1e-5;

/** Tests the layers' fused kernels of a backend, which is the current one when they run. */
export function testFusedKernels(backend: "wasm" | "native", registeredAs: string): void {
  const names = Object.keys(LAYER_KERNELS).filter((name) => LAYER_KERNELS[name]![backend]);
  describe.each(names)(`the fused kernel %s on ${registeredAs}`, (name) => {
    const cases = LAYER_CASES[name]!;
    it("equals the plain operations on the cpu backend, with its gradients, for odd sizes", async () => {
      await tf.setBackend(registeredAs);
      expect(hasFusedKernel(name)).toBe(true);
      await fc.assert(
        fc.asyncProperty(cases, fc.nat(), async (example, seed) => {
          const inputs = layerInputs(example, seed);
          const compute = valueAndGradients(example.run);
          const got = await computeOn(registeredAs, inputs, compute);
          const wanted = await computeOn("cpu", inputs, compute);
          for (const [i, { shape, values }] of got.entries()) {
            expect(shape).toEqual(wanted[i]!.shape);
            expect(relativeError(values, wanted[i]!.values)).toBeLessThan(ROUNDING);
          }
        }),
        { numRuns: 40, seed: 5 },
      );
    });

    it("has the gradient that finite differences in float64 give", async () => {
      await fc.assert(
        fc.asyncProperty(cases, fc.nat(), async (example, seed) => {
          const inputs = layerInputs(example, seed);
          const [, ...gradients] = await computeOn(registeredAs, inputs, valueAndGradients(example.run));
          const dy = inputs.pop()!.values;
          for (const [moved, gradient] of gradients.entries()) {
            const direction = uniformValues(gradient.shape, seed + 99).values;
            const loss = (step: number) => {
              const at = inputs.map(({ values }, i) =>
                Array.from(values, (value, k) => (i === moved ? value + step * direction[k]! : value)),
              );
              return example.exact(...at).reduce((sum, value, i) => sum + value * dy[i]!, 0);
            };
            // Fourth order: the error is about step^4, and float64's rounding 1e-16 / step.
            const step = 1e-3;
            const slope = (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step);
            const terms = Array.from(gradient.values, (value, k) => value * direction[k]!);
            const got = terms.reduce((sum, term) => sum + term, 0);
            const scale = Math.sqrt(terms.reduce((sum, term) => sum + term * term, 0));
            expect(Math.abs(got - slope)).toBeLessThan(ROUNDING * (scale + Math.abs(slope)) + 1e-6 * terms.length);
          }
        }),
        { numRuns: 25, seed: 6 },
      );
    });
  });
}
