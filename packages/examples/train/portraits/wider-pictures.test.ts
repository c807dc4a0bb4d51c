import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { PORTRAITS } from "../../datasets/portraits/index.js";
import { TrainingPictures } from "../training-pictures.js";
import { wider } from "./wider-pictures.js";

const pictures = new TrainingPictures(PORTRAITS, 0, 12);
const indices = [3, 11, 0];

describe("Wider pictures", () => {
  it.each([48, 64])("of width %i show the same faces in the middle, and background beside them", (width) => {
    tf.tidy(() => {
      const [narrow, wide] = [pictures.batch(indices), wider(pictures, width).batch(indices)];
      const left = (width - 32) / 2;
      expect(wide.shape).toEqual([3, 32, width, 3]);
      expect(wide.slice([0, 0, left, 0], [3, 32, 32, 3]).dataSync()).toEqual(narrow.dataSync());
      // The shirt ends before the portrait's border, so the columns there are background and have the colours of the
      // sides.
      const colours = (columns: tf.Tensor4D) =>
        new Set(columns.slice([0, 0, 0, 0], [1, 8, -1, 3]).reshape<tf.Tensor2D>([-1, 3]).arraySync().map(String));
      const corner = colours(narrow.slice([0, 0, 0, 0], [3, 8, 8, 3]));
      for (const colour of colours(wide.slice([0, 0, 0, 0], [3, 8, 8, 3]))) expect(corner).toContain(colour);
    });
  });

  it("of a portrait's width are the portraits", () => {
    expect(wider(pictures, 32)).toBe(pictures);
  });
});
