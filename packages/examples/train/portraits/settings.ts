import type { AutoencoderKLConfig } from "@tfjs-diffusion/core";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import type { StageSettings } from "../stage.js";
import type { AutoencoderWeights } from "./autoencoder-loss.js";

export interface PortraitsSettings {
  seed: number;
  /** Pictures in the training set; captions are worded anew each time one is shown. */
  trainingPictures: number;
  vae: StageSettings & { weights: AutoencoderWeights };
}

const COMMON = { weightDecay: 0.01, beta2: 0.99, gradientClip: 1 };
const QUICK = { ...COMMON, steps: 30, warmupSteps: 10, emaDecay: 0.95, checkpointEvery: 60 };
const VAE_WEIGHTS = { squared: 1, edges: 0.5, kl: 3e-4 };

export const SETTINGS: Record<"full" | "quick", PortraitsSettings> = {
  full: {
    seed: 0,
    trainingPictures: 25_000,
    vae: {
      ...COMMON,
      steps: 12_000,
      batchSize: 16,
      learningRate: 1.5e-3,
      warmupSteps: 200,
      emaDecay: 0.999,
      checkpointEvery: 200,
      weights: VAE_WEIGHTS,
    },
  },
  quick: {
    seed: 0,
    trainingPictures: 1000,
    vae: { ...QUICK, batchSize: 8, learningRate: 1.5e-3, weights: VAE_WEIGHTS },
  },
};

/** Three levels: 32 x 32 pixels become 8 x 8 latents of 4 channels. Most of the work, and of what makes edges crisp, is at 32 x 32. */
export const VAE_CONFIG = {
  sample_size: PORTRAIT_SIZE,
  latent_channels: 4,
  block_out_channels: [48, 64, 96],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 8,
} satisfies Partial<AutoencoderKLConfig>;
