import { expect, it } from "@jest/globals";
import type { Binding } from "./binding.js";
import { hasOneDnn } from "./one-dnn.js";

function fakeBinding(isUsingGpuDevice: boolean) {
  const calls: string[] = [];
  const binding = {
    isUsingGpuDevice: () => isUsingGpuDevice,
    createTensor: () => 1,
    deleteTensor: () => undefined,
    executeOp: (name: string) => {
      calls.push(name);
      return [];
    },
  };
  return { binding: binding as unknown as Binding, calls };
}

it("oneDNN's kernels are tried once on a processor, and not on a graphics card", () => {
  const processor = fakeBinding(false);
  expect([1, 2].map(() => hasOneDnn(processor.binding, "_MklSoftmax"))).toEqual([true, true]);
  expect(processor.calls).toEqual(["_MklSoftmax"]);
  const card = fakeBinding(true);
  expect(hasOneDnn(card.binding, "_MklSoftmax")).toBe(false);
  expect(card.calls).toEqual([]);
});
