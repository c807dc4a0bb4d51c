import type { AutoencoderKLConfig, UNet2DConditionConfig } from "@tfjs-diffusion/core/models";
import type { DDIMConfig } from "@tfjs-diffusion/schedulers";
import { captionWords, vocabulary } from "../../datasets/faces/index.js";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import type { ClipSettings } from "../clip.js";
import { smallClipConfig, TEXT_WIDTH } from "../clip-config.js";
import type { StageSettings } from "../stage.js";
import type { AutoencoderWeights } from "./autoencoder-loss.js";

export interface PortraitsSettings extends ClipSettings {
  /** Pictures in the training set. Each time one is shown, its caption gets a new wording. */
  trainingPictures: number;
  vae: StageSettings & { weights: AutoencoderWeights };
  unet: StageSettings & {
    /** Share of captions replaced by "", so that the network also learns to draw unconditionally. */
    captionDropout: number;
    /**
     * From this step on, batches alternate between picture widths, so that the network learns to draw background beyond
     * a portrait's borders.
     */
    widths: { fromStep: number; turns: readonly number[] };
  };
}

/**
 * The settings for tuning a finished model: more colours and wider pictures, a style, few steps, inpainting, a new
 * word, a person, and a vision tower.
 */
export interface TuningSettings {
  seed: number;
  captionDropout: number;
  decoder: StageSettings & {
    trainingPictures: number;
    weights: Omit<AutoencoderWeights, "kl">;
    /** Widths of the pictures, which alternate. */
    widths: readonly number[];
  };
  style: StageSettings & { trainingPictures: number; rank: number };
  fewSteps: StageSettings & {
    trainingPictures: number;
    rank: number;
    /** Guidance with which the trajectories are drawn. */
    guidance: number;
    /**
     * Noise levels that LCMScheduler counts from, its `original_inference_steps`; the teacher visits every `skip`th.
     */
    originalSteps: number;
    skip: number;
    /** The most steps that the LoRA is trained to draw in. */
    jumps: number;
    /** Trajectories computed at a time for each jump, and training steps until new ones are computed. */
    trajectories: number;
    stepsPerWalk: number;
  };
  inpainting: StageSettings & { trainingPictures: number };
  /** A new word of some vectors, from a few pictures of what it means. */
  word: StageSettings & { pictures: number; vectors: number };
  /** One person, from a few pictures; `others` is the share of other portraits in a batch. */
  subject: StageSettings & { pictures: number; trainingPictures: number; others: number; rank: number };
  vision: StageSettings & Pick<ClipSettings, "groupSize">;
}

const COMMON = { weightDecay: 0.01, beta2: 0.99, gradientClip: 1 };
const QUICK = { ...COMMON, steps: 30, warmupSteps: 10, emaDecay: 0.95, checkpointEvery: 60 };
const LESSON = { ...COMMON, batchSize: 64, learningRate: 1e-3, warmupSteps: 100, emaDecay: 0.98, checkpointEvery: 250 };
const QUICK_LESSON = { ...QUICK, batchSize: 32, learningRate: 1e-3 };
const VAE_WEIGHTS = { squared: 1, edges: 0.5, kl: 3e-4 };

export const SETTINGS: Record<"full" | "quick", PortraitsSettings> = {
  full: {
    seed: 0,
    trainingPictures: 25_000,
    vae: {
      ...COMMON,
      // Stopped when reconstructions reached 39 dB: a further improvement is invisible, and the UNet needs the time
      // more.
      steps: 5_800,
      plannedSteps: 12_000,
      batchSize: 16,
      learningRate: 1.5e-3,
      warmupSteps: 200,
      emaDecay: 0.999,
      checkpointEvery: 200,
      weights: VAE_WEIGHTS,
    },
    groupSize: 8,
    pictures: { ...LESSON, steps: 1500 },
    words: { ...LESSON, steps: 1000 },
    both: { ...LESSON, steps: 3000, emaDecay: 0.995 },
    unet: {
      ...COMMON,
      // Pictures improved each time the plan was extended (docs/decisions.md).
      steps: 42_800,
      plannedSteps: { 0: 14_000, 14_000: 34_000, 30_800: 45_000 },
      widths: { fromStep: 30_800, turns: [32, 32, 32, 48, 32, 32, 32, 64] },
      batchSize: 32,
      learningRate: 1.5e-3,
      warmupSteps: 200,
      captionDropout: 0.1,
      emaDecay: 0.999,
      checkpointEvery: 400,
    },
  },
  quick: {
    seed: 0,
    trainingPictures: 1000,
    vae: { ...QUICK, batchSize: 8, learningRate: 1.5e-3, weights: VAE_WEIGHTS },
    groupSize: 8,
    pictures: QUICK_LESSON,
    words: QUICK_LESSON,
    both: QUICK_LESSON,
    unet: {
      ...QUICK,
      batchSize: 16,
      learningRate: 1.5e-3,
      captionDropout: 0.1,
      widths: { fromStep: 20, turns: [32, 48] },
    },
  },
};

const TUNING = { ...COMMON, weightDecay: 0, warmupSteps: 50, checkpointEvery: 250 };
const QUICK_TUNING = { ...TUNING, steps: 3, batchSize: 2, warmupSteps: 1, emaDecay: 0.5, learningRate: 1e-3 };

export const TUNING_SETTINGS: Record<"full" | "quick", TuningSettings> = {
  full: {
    seed: 0,
    captionDropout: 0.1,
    decoder: {
      ...TUNING,
      steps: 1500,
      batchSize: 16,
      learningRate: 5e-4,
      emaDecay: 0.995,
      trainingPictures: 25_000,
      weights: VAE_WEIGHTS,
      widths: [32, 48, 32, 64],
    },
    style: {
      ...TUNING,
      steps: 900,
      batchSize: 16,
      learningRate: 4e-3,
      emaDecay: 0.98,
      trainingPictures: 1000,
      rank: 4,
    },
    fewSteps: {
      ...TUNING,
      steps: 2400,
      batchSize: 32,
      learningRate: 1e-3,
      emaDecay: 0.995,
      trainingPictures: 25_000,
      rank: 16,
      guidance: 3,
      originalSteps: 50,
      skip: 2,
      jumps: 4,
      trajectories: 64,
      stepsPerWalk: 120,
    },
    inpainting: {
      ...TUNING,
      steps: 3000,
      batchSize: 32,
      learningRate: 5e-4,
      emaDecay: 0.995,
      trainingPictures: 25_000,
    },
    word: {
      ...TUNING,
      steps: 1500,
      batchSize: 16,
      learningRate: 1e-2,
      emaDecay: 0.97,
      pictures: 12,
      vectors: 4,
    },
    subject: {
      ...TUNING,
      steps: 800,
      batchSize: 16,
      learningRate: 2e-3,
      emaDecay: 0.98,
      pictures: 12,
      trainingPictures: 1000,
      others: 0.5,
      rank: 8,
    },
    vision: { ...LESSON, steps: 3000, emaDecay: 0.995, groupSize: 8 },
  },
  quick: {
    seed: 0,
    captionDropout: 0.1,
    decoder: { ...QUICK_TUNING, trainingPictures: 4, weights: VAE_WEIGHTS, widths: [32, 48] },
    style: { ...QUICK_TUNING, trainingPictures: 4, rank: 2 },
    fewSteps: {
      ...QUICK_TUNING,
      trainingPictures: 4,
      rank: 2,
      guidance: 3,
      originalSteps: 4,
      skip: 1,
      jumps: 2,
      trajectories: 2,
      stepsPerWalk: 2,
    },
    inpainting: { ...QUICK_TUNING, trainingPictures: 4 },
    word: { ...QUICK_TUNING, pictures: 2, vectors: 2 },
    subject: { ...QUICK_TUNING, pictures: 2, trainingPictures: 4, others: 0.5, rank: 2 },
    vision: { ...QUICK_TUNING, groupSize: 2 },
  },
};

/**
 * Three levels: 32 x 32 pixels become 8 x 8 latents of 4 channels. Most of the arithmetic is at 32 x 32, where edges
 * become crisp.
 */
export const VAE_CONFIG = {
  sample_size: PORTRAIT_SIZE,
  latent_channels: 4,
  block_out_channels: [48, 64, 96],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 8,
} satisfies Partial<AutoencoderKLConfig>;

/** The vocabulary of the portraits' captions. */
export const portraitVocabulary = () => vocabulary(captionWords("portraits"));

/** Config of the CLIP that learns with pictures, and so of both text towers. */
export const clipConfig = () => smallClipConfig(portraitVocabulary(), PORTRAIT_SIZE);

/** Features for each of the six numbers of sizes and crops in Stable Diffusion XL. */
const TIME_ID_WIDTH = 8;

/**
 * Stable Diffusion XL's six numbers of a picture's size: original height and width, offset of the crop (top, left),
 * height and width.
 */
export const timeIdsOf = (width: number): readonly number[] => [PORTRAIT_SIZE, width, 0, 0, PORTRAIT_SIZE, width];

/** The size numbers of a portrait. */
export const TIME_IDS = timeIdsOf(PORTRAIT_SIZE);

/**
 * The layout of Stable Diffusion XL (Podell et al. 2023): states of two text towers side by side, and the pooled vector
 * of the second. 3.6 million parameters: with the towers and the autoencoder 14 megabytes in half precision.
 */
export const UNET_CONFIG = {
  sample_size: PORTRAIT_SIZE / 4,
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [80, 96],
  layers_per_block: 1,
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  cross_attention_dim: 2 * TEXT_WIDTH,
  attention_head_dim: 4,
  use_linear_projection: true,
  norm_num_groups: 8,
  addition_embed_type: "text_time",
  addition_time_embed_dim: TIME_ID_WIDTH,
  projection_class_embeddings_input_dim: TEXT_WIDTH + TIME_IDS.length * TIME_ID_WIDTH,
} satisfies Partial<UNet2DConditionConfig>;

export const SCHEDULER_CONFIG = {
  _class_name: "DDIMScheduler",
  num_train_timesteps: 1000,
  beta_schedule: "squaredcos_cap_v2",
  prediction_type: "v_prediction",
  clip_sample: false,
  set_alpha_to_one: true,
  timestep_spacing: "trailing",
} satisfies Partial<DDIMConfig> & { _class_name: string };
