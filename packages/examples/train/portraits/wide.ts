import * as tf from "@tensorflow/tfjs";
import { denoisingLoss, type TrainingStep } from "@tfjs-diffusion/core";
import { DDIMScheduler, keyedRandom } from "@tfjs-diffusion/schedulers";
import { renderPortrait } from "../../datasets/portraits/index.js";
import type { TrainingPictures } from "../training-pictures.js";
import { SCHEDULER_CONFIG, timeIdsOf } from "./settings.js";
import { type PictureSource, TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/** In turns: most of what the UNet draws are portraits. */
const WIDTHS = [32, 48, 32, 64];

/**
 * The UNet also learns wider pictures, one figure in the middle before a background that goes on: beyond a portrait's borders it would otherwise draw
 * halves of further figures. A picture's size is told as Stable Diffusion XL tells it (Podell et al. 2023, section 2.2).
 */
export async function* trainWide(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const tuning = await Tuning.open(model, settings, settings.wide);
  const { unet, vae } = tuning.networks;
  const latents = new Map(
    [...new Set(WIDTHS)].map((width) => [width, TrainingLatents.encode(vae, widened(tuning.pictures, width))]),
  );
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  try {
    yield* tuning.train(
      options,
      unet.parameters(),
      ({ step, firstSample, noise }) => {
        const width = WIDTHS[step % WIDTHS.length]!;
        const { indices, captions } = tuning.batch(firstSample);
        const model = velocity(unet, tuning.told(captions, timeIdsOf(width)));
        const x0 = latents.get(width)!.batch(indices, noise.at("latents"));
        return denoisingLoss({ scheduler, model, x0, noise });
      },
      () => unet.save(folder, { dtype: "F16" }),
    );
  } finally {
    tuning.dispose();
  }
}

/** The same faces in the middle of a canvas so wide. Anywhere on it would be too much for the UNet to settle (docs/decisions.md). */
export function widened(pictures: TrainingPictures, width: number): PictureSource {
  const { kind, seed, size } = pictures;
  const left = (width - kind.size) / 2;
  return {
    ...{ kind, size, width },
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
