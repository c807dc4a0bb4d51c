import { expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { outlines } from "./outlines.js";

it("are white where a pixel differs from its right or lower neighbour, in any colour, and black elsewhere", () => {
  tf.tidy(() => {
    const picture = tf.zeros<tf.Rank.R4>([1, 4, 5, 3]).bufferSync();
    picture.set(0.5, 0, 1, 2, 1); // one greener pixel
    picture.set(0.3, 0, 3, 0, 0); // a step that is too small
    const found = outlines(picture.toTensor());
    expect(found.shape).toEqual([1, 4, 5, 3]);
    const [red, green] = [found.slice([0, 0, 0, 0], [1, 4, 5, 1]), found.slice([0, 0, 0, 1], [1, 4, 5, 1])];
    expect([...green.dataSync()]).toEqual([...red.dataSync()]);
    expect(red.reshape([4, 5]).arraySync()).toEqual([
      [0, 0, 1, 0, 0],
      [0, 1, 1, 0, 0],
      [0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0],
    ]);
  });
});
