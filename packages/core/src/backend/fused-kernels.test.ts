import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { fusedKernelName } from "../nn/fused-op.js";
import { LAYER_KERNELS, UPDATE_KERNELS } from "./fused-kernels.js";
import { computeOn, uniformValues } from "./testing/compare.js";
import { relativeError, ROUNDING } from "./testing/fused-kernels.js";
import { LAYER_CASES, layerInputs, valueAndGradients } from "./testing/layer-cases.js";
import { UPDATE_CASES } from "./testing/update-cases.js";
import { useBackend } from "./use-backend.js";

const native = await useBackend("node").then(
  () => true,
  () => false,
);
beforeAll(async () => {
  await useBackend("cpu");
  await useBackend("wasm", { threads: 1 });
});

/** A kernel on each backend that has one, as TensorFlow.js calls that. */
const forms = (kernels: typeof LAYER_KERNELS | typeof UPDATE_KERNELS) =>
  Object.entries(kernels).flatMap(([name, { wasm, native: onNative }]) => [
    ...(wasm ? [[name, "wasm"] as const] : []),
    ...(onNative && native ? [[name, "tensorflow"] as const] : []),
  ]);
const example = <T>(cases: fc.Arbitrary<T>) => fc.sample(cases, { numRuns: 1, seed: 4 })[0]!;

/** The names of all kernels that `compute` calls. */
async function kernelsOf(backend: string, compute: () => tf.TensorContainer): Promise<string[]> {
  await tf.setBackend(backend);
  const { kernelNames, result } = await tf.profile(() => tf.tidy(compute));
  tf.dispose(result);
  return kernelNames;
}

describe("Every fused kernel", () => {
  it("has a case by which it is tested", () => {
    expect(Object.keys(LAYER_CASES).sort()).toEqual(Object.keys(LAYER_KERNELS).sort());
    expect(Object.keys(UPDATE_CASES).sort()).toEqual(Object.keys(UPDATE_KERNELS).sort());
  });

  it.each(forms(LAYER_KERNELS))("%s on %s is what the layer calls, and its gradient too", async (name, backend) => {
    const { shapes, run } = example(LAYER_CASES[name]!);
    const called = await kernelsOf(backend, () => {
      const inputs = shapes.map((shape) => tf.ones(shape));
      return tf.grads((...xs) => run(...xs).sum())(inputs);
    });
    expect(called).toEqual(expect.arrayContaining([fusedKernelName(name), fusedKernelName(`${name}Gradient`)]));
  });

  it.each(forms(UPDATE_KERNELS))("%s on %s is what the update calls", async (name, backend) => {
    const { shapes, run } = example(UPDATE_CASES[name]!);
    const called = await kernelsOf(backend, () => run(...shapes.map((shape) => tf.ones(shape))));
    expect(called).toContain(fusedKernelName(name));
  });

  it.each(Object.keys(LAYER_KERNELS))("%s has a reference in plain operations", async (name) => {
    await fc.assert(
      fc.asyncProperty(LAYER_CASES[name]!, fc.nat(), async (example, seed) => {
        const inputs = layerInputs(example, seed);
        const [value] = await computeOn("cpu", inputs, valueAndGradients(example.run));
        const exact = example.exact(...inputs.slice(0, -1).map(({ values }) => values));
        expect(relativeError(value!.values, exact)).toBeLessThan(ROUNDING);
      }),
      { numRuns: 10, seed: 5 },
    );
  });

  it.each(forms(UPDATE_KERNELS))("%s on %s computes what plain operations do", async (name, backend) => {
    await fc.assert(
      fc.asyncProperty(UPDATE_CASES[name]!, fc.nat(), async ({ shapes, run }, seed) => {
        const inputs = shapes.map((shape, i) => uniformValues(shape, seed + i));
        const [got, wanted] = [await computeOn(backend, inputs, run), await computeOn("cpu", inputs, run)];
        // See the tests of AdamW on either backend for closer bounds.
        for (const [i, { values }] of got.entries())
          expect(relativeError(values, wanted[i]!.values)).toBeLessThan(2e-5);
      }),
      { numRuns: 20, seed: 6 },
    );
  });
});
