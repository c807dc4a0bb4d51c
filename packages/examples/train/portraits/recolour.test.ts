import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { randomRecolouring, recolour, SEPIA_PRINT } from "./recolour.js";

beforeAll(() => useBackend("cpu"));

/** Colours in [0, 1] as pictures of one pixel, each with its own recolouring. */
function recoloured(colours: number[][], ways: Parameters<typeof recolour>[1]): number[][] {
  return tf.tidy(() => {
    const pictures = tf.tensor4d(colours.flat(), [colours.length, 1, 1, 3]).mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1);
    return recolour(pictures, ways).add(1).div(2).reshape([-1, 3]).arraySync() as number[][];
  });
}

const expectNear = (found: number[][], wanted: number[][]) =>
  found.forEach((row, i) => row.forEach((value, c) => expect(value).toBeCloseTo(wanted[i]![c]!, 5)));

describe("Recolouring", () => {
  it("prints in sepia: black stays black, white becomes the paper's colour, every colour a shade of it", () => {
    const paper = [1, 0.89, 0.71];
    const found = recoloured(
      [
        [0, 0, 0],
        [1, 1, 1],
        [1, 0, 0],
      ],
      [SEPIA_PRINT, SEPIA_PRINT, SEPIA_PRINT],
    );
    expectNear(found, [[0, 0, 0], paper, paper.map((c) => 0.299 * c)]);
  });

  it("makes black ink and white paper, and mixes each channel from its row, each picture in its own way", () => {
    const mix = [
      [0, 1, 0],
      [0.5, 0, 0.5],
      [1, 0, 0],
    ];
    const print = { mix, ink: [0.1, 0.2, 0.3], paper: [0.9, 0.8, 0.7] };
    const plain = {
      mix: [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ],
      ink: [0, 0, 0],
      paper: [1, 1, 1],
    };
    const found = recoloured(
      [
        [0, 0, 0],
        [1, 1, 1],
        [0.2, 0.4, 0.8],
        [0.2, 0.4, 0.8],
      ],
      [print, print, print, plain],
    );
    expectNear(found, [
      [0.1, 0.2, 0.3],
      [0.9, 0.8, 0.7],
      [0.1 + 0.8 * 0.4, 0.2 + 0.6 * 0.5, 0.3 + 0.4 * 0.2],
      [0.2, 0.4, 0.8],
    ]);
  });

  it("at random leaves half of the pictures as they are, and no colour outside of [0, 1]", () => {
    const random = keyedRandom(3);
    const ways = Array.from({ length: 400 }, () => randomRecolouring(random));
    const colours = Array.from({ length: 400 }, () => [0, 1, 2].map(() => random.uniform()));
    const found = recoloured(colours, ways);
    const kept = found.filter((row, i) => row.every((value, c) => Math.abs(value - colours[i]![c]!) < 1e-5)).length;
    // Binomial with 400 draws of 1/2: a deviation of 10.
    expect(Math.abs(kept - 200)).toBeLessThan(50);
    for (const value of found.flat()) {
      expect(value).toBeGreaterThanOrEqual(-1e-6);
      expect(value).toBeLessThanOrEqual(1 + 1e-5);
    }
  });
});
