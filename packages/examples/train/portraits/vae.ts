import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { AutoencoderKL } from "@tfjs-diffusion/core/models";
import { dataOrder, train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { PORTRAITS } from "../../datasets/portraits/index.js";
import { type StageFiles, stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import { autoencoderLoss } from "./autoencoder-loss.js";
import { type PortraitsSettings, VAE_CONFIG } from "./settings.js";

/** How many pictures the scaling factor of the latents is measured on. */
const MEASURED = 512;
const MEASURED_AT_ONCE = 32;

/**
 * Trains the autoencoder, which encodes a picture in a twelfth of its numbers (3,072 into 256) and decodes it: see
 * {@link VAE_CONFIG}.
 */
export async function* trainVae(
  options: StageFiles & { settings: PortraitsSettings },
): AsyncGenerator<TrainingStep, void> {
  const { settings, checkpoint, log, folder, signal } = options;
  const { seed, trainingPictures } = settings;
  const { weights, ...stage } = settings.vae;
  const vae = new AutoencoderKL(VAE_CONFIG);
  const pictures = new TrainingPictures(PORTRAITS, seed, trainingPictures);
  const order = dataOrder(seed, trainingPictures);
  try {
    vae.initialize(keyedNoise(seed).at("vae"));
    yield* train({
      ...stageTraining(seed, stage),
      parameters: vae.parameters(),
      loss: ({ firstSample, noise }) => {
        const samples = Array.from({ length: stage.batchSize }, (_, i) => order(firstSample + i));
        return autoencoderLoss(vae, pictures.batch(samples), noise.at("latents"), weights);
      },
      checkpoint: {
        to: checkpoint,
        every: stage.checkpointEvery,
        settings: { ...stage, weights: { ...weights }, trainingPictures, vae: VAE_CONFIG },
      },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => saveVae(vae, pictures, folder)),
      signal,
    });
  } finally {
    vae.dispose();
  }
}

/** Writes weights and config, with the measured scaling factor, which gives latents a standard deviation of 1. */
async function saveVae(vae: AutoencoderKL, pictures: TrainingPictures, folder: string): Promise<void> {
  await vae.save(folder, { dtype: "F16" });
  const file = join(folder, "config.json");
  const config = JSON.parse(await readFile(file, "utf8")) as object;
  const scaling_factor = Number((1 / latentDeviation(vae, pictures)).toPrecision(5));
  await writeFile(file, `${JSON.stringify({ ...config, scaling_factor }, null, 2)}\n`);
}

/** Standard deviation of the latents of the first pictures, all channels together. */
function latentDeviation(vae: AutoencoderKL, pictures: TrainingPictures): number {
  let [sum, squares, count] = [0, 0, 0];
  for (let first = 0; first < Math.min(MEASURED, pictures.size); first += MEASURED_AT_ONCE) {
    const latents = tf.tidy(() => {
      const indices = Array.from({ length: MEASURED_AT_ONCE }, (_, i) => (first + i) % pictures.size);
      return vae.encode(pictures.batch(indices)).mean.dataSync();
    });
    for (const value of latents) {
      sum += value;
      squares += value ** 2;
    }
    count += latents.length;
  }
  return Math.sqrt(squares / count - (sum / count) ** 2);
}
