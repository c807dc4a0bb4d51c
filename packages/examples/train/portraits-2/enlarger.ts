import * as tf from "@tensorflow/tfjs";
import { resizeBicubic } from "@tfjs-diffusion/core/image";
import { UNet2DModel } from "@tfjs-diffusion/core/models";
import { dataOrder, denoisingLoss, train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise, type NoiseSource, UnCLIPScheduler } from "@tfjs-diffusion/schedulers";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { type StageFiles, stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import { smallPictures } from "./decoder.js";
import type { Portraits2Settings } from "./settings.js";
import { ENLARGER_CONFIG, ENLARGER_SCHEDULER } from "./unclip-config.js";

/**
 * Trains unCLIP's enlarging network: diffusion of the large picture, given the small one (Saharia et al. 2021, "SR3").
 * The small pictures carry a little noise of random strength, so that it does not trust them too much (Ho et al. 2021,
 * "Cascaded diffusion models").
 */
export async function* trainEnlarger(
  options: StageFiles & { settings: Portraits2Settings },
): AsyncGenerator<TrainingStep, void> {
  const { settings, checkpoint, log, folder, signal } = options;
  const { seed, trainingPictures } = settings;
  const { smallNoise, ...stage } = settings.enlarger;
  const pictures = new TrainingPictures(PORTRAITS_2, seed, trainingPictures);
  const enlarger = new UNet2DModel(ENLARGER_CONFIG);
  enlarger.initialize(keyedNoise(seed).at("enlarger"));
  const scheduler = new UnCLIPScheduler(ENLARGER_SCHEDULER);
  const order = dataOrder(seed, trainingPictures);
  try {
    yield* train({
      ...stageTraining(seed, stage),
      parameters: enlarger.parameters(),
      loss: ({ firstSample, noise }) => {
        const indices = Array.from({ length: stage.batchSize }, (_, i) => order(firstSample + i));
        const x0 = pictures.batch(indices);
        const upscaled = enlarged(spoilt(smallPictures(x0), smallNoise, noise.at("small")));
        const model = (noisy: tf.Tensor4D, timesteps: number[]) =>
          enlarger.forward(tf.concat([noisy, upscaled], 3), tf.tensor1d(timesteps));
        return denoisingLoss({ scheduler, model, x0, noise });
      },
      checkpoint: {
        to: checkpoint,
        every: stage.checkpointEvery,
        settings: { ...settings.enlarger, trainingPictures, enlarger: ENLARGER_CONFIG },
      },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => enlarger.save(folder, { dtype: "F16" })),
      signal,
    });
  } finally {
    enlarger.dispose();
  }
}

/** A small picture at full size, as UnCLIPPipeline enlarges it before the network sees it. */
const enlarged = (small: tf.Tensor4D): tf.Tensor4D =>
  resizeBicubic(small.clipByValue(-1, 1) as tf.Tensor4D, PORTRAIT_SIZE, PORTRAIT_SIZE);

/** Pictures with noise, of each a random strength up to `most`. */
function spoilt(pictures: tf.Tensor4D, most: number, noise: NoiseSource): tf.Tensor4D {
  const strength = noise.uniform([pictures.shape[0], 1, 1, 1]).mul(most);
  return pictures.add(noise.normal(pictures.shape).mul(strength));
}
