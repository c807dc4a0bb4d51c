import * as tf from "@tensorflow/tfjs";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { renderPortrait } from "../../datasets/portraits/index.js";
import type { TrainingPictures } from "../training-pictures.js";
import type { PictureSource } from "./training-latents.js";

/**
 * The same faces in the middle of a canvas of this width. Other positions would be too hard for the UNet to learn
 * (docs/decisions.md).
 */
export function wider(pictures: TrainingPictures, width: number): PictureSource {
  const { kind, seed, size } = pictures;
  if (width === kind.size) return pictures;
  const left = (width - kind.size) / 2;
  return {
    kind,
    size,
    width,
    batch: (indices) => {
      const length = kind.size * width * 3;
      const pixels = new Float32Array(indices.length * length);
      indices.forEach((index, i) => {
        const random = keyedRandom(seed, "train", index, "picture");
        const bytes = renderPortrait(pictures.face(index), random, { width, left });
        bytes.forEach((byte, k) => (pixels[i * length + k] = byte / 127.5 - 1));
      });
      return tf.tensor4d(pixels, [indices.length, kind.size, width, 3]);
    },
  };
}
