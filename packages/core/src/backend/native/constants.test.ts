import { describe, expect, it } from "@jest/globals";
import { Constants } from "./constants.js";
import type { Binding } from "./binding.js";

/** Only what constants use: tensors are their numbers. */
function fakeBinding() {
  const alive = new Map<number, { shape: number[]; values: number[] }>();
  let next = 0;
  const binding = {
    createTensor(shape: number[], _type: number, values: Int32Array) {
      alive.set(++next, { shape, values: [...values] });
      return next;
    },
    TF_FLOAT: 1,
    TF_INT32: 3,
    TF_ATTR_TYPE: 6,
  };
  return { alive, binding: binding as unknown as Binding };
}

describe("Constants of the native backend", () => {
  it("are made once, a scalar and a vector of one number apart", () => {
    const { alive, binding } = fakeBinding();
    const free = () => expect("nothing").toBe("freed");
    const [scalar, vector] = [Constants.of(binding).integers(2, free), Constants.of(binding).integers([2], free)];
    expect([scalar.shape, vector.shape]).toEqual([[], [1]]);
    expect(Constants.of(binding).integers([2], free)).toBe(vector);
    expect(Constants.of(binding).integers(2, free)).toBe(scalar);
    expect(Constants.of(binding).integers([1, 2], free)).not.toBe(Constants.of(binding).integers([12], free));
    expect([...alive.values()].map(({ values }) => values)).toEqual([[2], [2], [1, 2], [12]]);
    expect(Constants.of(fakeBinding().binding)).not.toBe(Constants.of(binding));
  });

  it("are given up to be freed when there are too many, and made again", () => {
    const { alive, binding } = fakeBinding();
    const constants = Constants.of(binding);
    const freed: number[] = [];
    const free = (id: number) => void freed.push(id);
    for (let i = 0; i < 5000; i++) constants.integers([i, i], free);
    expect(new Set(freed).size).toBe(4096);
    expect(alive.size - freed.length).toBe(5000 - 4096);
    const again = constants.integers([0, 0], free);
    expect(freed).not.toContain(again.id);
    expect(alive.get(again.id)).toEqual({ shape: [2], values: [0, 0] });
  });

  it("name types as operations do", () => {
    const { binding } = fakeBinding();
    expect(Constants.of(binding).types()).toEqual([{ name: "T", type: 6, value: 1 }]);
    expect(Constants.of(binding).types("Tidx")[1]).toEqual({ name: "Tidx", type: 6, value: 3 });
    expect(Constants.of(binding).types("Tidx")).toBe(Constants.of(binding).types("Tidx"));
  });
});
