import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { dropConditions } from "./condition-dropout.js";
import { dataOrder } from "./data-order.js";

describe("dataOrder", () => {
  const epochOf = (order: (i: number) => number, epoch: number, size: number) =>
    Array.from({ length: size }, (_, i) => order(epoch * size + i));

  it("visits every sample once in each epoch, in changing order", () => {
    const order = dataOrder(0, 37);
    const everyone = Array.from({ length: 37 }, (_, i) => i);
    const epochs = [0, 1, 2].map((epoch) => epochOf(order, epoch, 37));
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual(everyone);
    expect(new Set(epochs.map(String)).size).toBe(3);
  });

  it("gives the same result for each i in any order of calls", () => {
    const forward = epochOf(dataOrder(4, 10), 0, 10).concat(epochOf(dataOrder(4, 10), 1, 10));
    const order = dataOrder(4, 10);
    for (const i of [19, 3, 12, 0, 19, 7]) expect(order(i)).toBe(forward[i]);
  });

  it("depends on the seed", () => {
    expect(epochOf(dataOrder(0, 20), 0, 20)).not.toEqual(epochOf(dataOrder(1, 20), 0, 20));
  });

  it("refuses an empty set and an invalid index", () => {
    expect(() => dataOrder(0, 0)).toThrow("0 samples");
    expect(() => dataOrder(0, 5)(-1)).toThrow("no sample number -1");
    expect(() => dataOrder(0, 5)(0.5)).toThrow(RangeError);
  });
});

describe("dropConditions", () => {
  it("replaces each condition with the given probability", () => {
    const captions = Array.from({ length: 20_000 }, (_, i) => `face ${i}`);
    const dropped = dropConditions(captions, "", 0.12, keyedRandom(0, "dropout"));
    const share = dropped.filter((caption) => caption === "").length / captions.length;
    // Four standard deviations of the mean of 20,000 draws: 4 sqrt(0.12 * 0.88 / 20000) = 0.0092.
    expect(Math.abs(share - 0.12)).toBeLessThan(0.0092);
    dropped.forEach((caption, i) => expect(["", captions[i]]).toContain(caption));
  });

  it("keeps all at 0 and none at 1", () => {
    expect(dropConditions([1, 2], 0, 0, keyedRandom(0))).toEqual([1, 2]);
    expect(dropConditions([1, 2], 0, 1, keyedRandom(0))).toEqual([0, 0]);
  });

  it("refuses a probability outside [0, 1]", () => {
    expect(() => dropConditions(["a"], "", 12, keyedRandom(0))).toThrow("probability is 12");
  });
});
