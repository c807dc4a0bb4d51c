import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { requireFace, visible, type Attribute } from "../datasets/faces/index.js";
import { PORTRAITS } from "../datasets/portraits/index.js";
import { changeOne, changeOutside, changeShares, differenceWithin, innerEdge, seamRatio } from "./edit-numbers.js";

beforeAll(() => useBackend("wasm"));
const changes = Array.from({ length: 300 }, (_, i) => {
  const random = keyedRandom(0, i);
  return changeOne(PORTRAITS.sample(random), random);
});

describe("A change of one attribute", () => {
  it("changes a visible attribute to another valid value, and covers all attributes", () => {
    for (const { face, changed, attribute } of changes) {
      requireFace(changed);
      const names = PORTRAITS.attributes.filter((name) => face[name] !== changed[name]);
      expect(names).toEqual([attribute]);
      expect(attribute in visible(face)).toBe(true);
    }
    expect(new Set(changes.map(({ attribute }) => attribute)).size).toBe(PORTRAITS.attributes.length);
  });

  it("succeeds if the new value is recognised; other attributes are kept if the old value is recognised", () => {
    const before = changes.map(({ face }) => face);
    const after = changes.map(({ changed }) => changed);
    expect(changeShares(changes, after)).toEqual({ done: 1, stayed: 1 });
    expect(changeShares(changes, before)).toEqual({ done: 0, stayed: 1 });
    const blind = changes.map(() => ({}));
    expect(changeShares(changes, blind)).toEqual({ done: 0, stayed: 0 });
  });

  it("does not count attributes that it hides, such as the colour of a removed hat", () => {
    const change = changes.find(({ attribute, changed }) => attribute === "hat" && changed.hat === "none")!;
    const reading: Partial<Record<Attribute, string>> = { ...change.changed };
    delete reading.hatColor;
    expect(changeShares([change], [reading as typeof change.changed]).stayed).toBe(1);
  });
});

describe("The seam ratio", () => {
  it("is 1 on a ramp, and grows in proportion to the step at a border", () => {
    tf.tidy(() => {
      const ramp = (step: number) => {
        const row = Array.from({ length: 8 }, (_, x) => x + (x >= 5 ? step : 0));
        return tf
          .tensor4d(
            row.flatMap((v) => [v, v, v]),
            [1, 1, 8, 3],
          )
          .tile<tf.Tensor4D>([2, 4, 1, 1]);
      };
      expect(seamRatio(ramp(0), [5])).toBeCloseTo(1, 6);
      expect(seamRatio(ramp(2), [5])).toBeCloseTo(3, 6);
      expect(seamRatio(ramp(2), [3])).toBeLessThan(1);
    });
  });
});

describe("The change outside a mask", () => {
  it("ignores all pixels inside, and notices a single number outside", () => {
    tf.tidy(() => {
      const picture = tf.zeros<tf.Rank.R4>([1, 2, 2, 3]);
      const mask = tf.tensor4d([1, 0, 0, 0], [1, 2, 2, 1]);
      const with_ = (values: number[]) => tf.tensor4d(values, [1, 2, 2, 3]);
      expect(changeOutside(picture, with_([9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]), mask)).toBe(0);
      expect(changeOutside(picture, with_([9, 9, 9, 0, 0, 0, 0, 0, 0, 0, -0.25, 0]), mask)).toBe(0.25);
    });
  });
});

describe("The inner edge of a mask", () => {
  it("is where painted pixels touch kept ones, not where they touch the picture's border", () => {
    const mask = tf.tensor4d([0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1], [1, 4, 4, 1]);
    const edge = innerEdge(mask);
    expect([...edge.dataSync()]).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
    tf.dispose([mask, edge]);
  });

  it("is measured separately", () => {
    const a = tf.zeros<tf.Rank.R4>([2, 2, 2, 3]);
    const b = tf.tidy(() =>
      tf.concat([tf.fill<tf.Rank.R4>([1, 2, 2, 3], 0.5), tf.fill<tf.Rank.R4>([1, 2, 2, 3], 0.1)]),
    );
    const [some, all] = [tf.tensor4d([1, 0, 0, 0], [1, 2, 2, 1]), tf.ones<tf.Rank.R4>([1, 2, 2, 1])];
    const other = tf.tidy(() => b.mul<tf.Tensor4D>(some));
    expect(differenceWithin(a, b, all)).toBeCloseTo(Math.sqrt((0.25 + 0.01) / 2), 6);
    expect(differenceWithin(a, other, some)).toBeCloseTo(Math.sqrt((0.25 + 0.01) / 2), 6);
    expect(differenceWithin(a, other, all)).toBeCloseTo(Math.sqrt((0.25 + 0.01) / 8), 6);
    tf.dispose([a, b, some, all, other]);
  });
});
