import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { distance, diversity, mean, saturation } from "./chart-numbers.js";

beforeAll(() => useBackend("wasm"));

/** A picture of one pixel for each colour. */
const pixels = (...colours: [number, number, number][]) => tf.tensor4d(colours.flat(), [colours.length, 1, 1, 3]);

describe("Of pictures", () => {
  it("the saturation is 0 for grey, 1 for red, and the mean of both for a picture of both", () => {
    const [grey, red, both] = [pixels([0.3, 0.3, 0.3]), pixels([1, 0, 0]), pixels([0.3, 0.3, 0.3], [1, 0, 0])];
    expect([grey, red, both].map(saturation)).toEqual([0, 1, 0.5]);
    tf.dispose([grey, red, both]);
  });

  it("the diversity is 0 for copies, and 0.5 for as many black as white ones", () => {
    const [copies, opposites] = [pixels([1, 0, 0], [1, 0, 0]), pixels([0, 0, 0], [1, 1, 1])];
    expect([copies, opposites].map(diversity)).toEqual([0, 0.5]);
    tf.dispose([copies, opposites]);
  });

  it("the distance is 1 from black to white, and no tensor leaks", () => {
    const [black, white] = [pixels([0, 0, 0]), pixels([1, 1, 1])];
    const before = tf.memory().numTensors;
    expect([distance(black, white), distance(white, white)]).toEqual([1, 0]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([black, white]);
  });

  it("the mean is over all numbers", () => expect(mean([1, 2, 6])).toBe(3));
});
