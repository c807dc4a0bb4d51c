import type { UNet2DConditionConfig } from "@tfjs-diffusion/core/models";
import type { DDIMConfig } from "@tfjs-diffusion/schedulers";
import { FACE_SIZE, vocabulary } from "../../datasets/faces/index.js";
import type { ClipSettings } from "../clip.js";
import { smallClipConfig, TEXT_WIDTH } from "../clip-config.js";
import type { StageSettings } from "../stage.js";

export interface FacesSettings extends ClipSettings {
  /** Config of the UNet. */
  network: Partial<UNet2DConditionConfig>;
  scheduler: Partial<DDIMConfig> & { _class_name: string };
  /** How the sheet is drawn. */
  drawing: { numInferenceSteps: number; guidanceScale: number };
  /** Pictures in the training set of the UNet. Each time one is shown, its caption gets a new wording. */
  trainingPictures: number;
  unet: StageSettings & {
    /** Share of captions replaced by "", so that the network also learns to draw unconditionally. */
    captionDropout: number;
  };
}

const COMMON = { weightDecay: 0.01, beta2: 0.99, gradientClip: 1 };
const LESSON = { ...COMMON, batchSize: 64, learningRate: 1e-3, warmupSteps: 100, emaDecay: 0.98, checkpointEvery: 250 };
const QUICK_LESSON = { ...LESSON, steps: 20, batchSize: 32, warmupSteps: 10, emaDecay: 0.95, checkpointEvery: 60 };

/** Convolutions alone draw colour and detail at 16 x 16; captions are attended to at 8 x 8 and 4 x 4. */
export const UNET_CONFIG = {
  sample_size: FACE_SIZE,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [32, 64, 96],
  layers_per_block: 2,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  cross_attention_dim: TEXT_WIDTH,
  attention_head_dim: 4,
  norm_num_groups: 8,
  class_embed_type: "projection",
  projection_class_embeddings_input_dim: TEXT_WIDTH,
} satisfies Partial<UNet2DConditionConfig>;

export const SCHEDULER_CONFIG = {
  _class_name: "DDIMScheduler",
  num_train_timesteps: 1000,
  beta_schedule: "squaredcos_cap_v2",
  prediction_type: "v_prediction",
  clip_sample: true,
  set_alpha_to_one: true,
  timestep_spacing: "trailing",
} satisfies Partial<DDIMConfig> & { _class_name: string };

/**
 * For the first look at a training, in about two minutes: a sixth of the work for each picture, and x0 as target. A
 * network that has learned little of x0 draws a soft face; one that has learned little of v draws noise.
 */
const QUICK_NETWORK = {
  ...UNET_CONFIG,
  block_out_channels: [16, 32],
  layers_per_block: 1,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
  attention_head_dim: 2,
} satisfies Partial<UNet2DConditionConfig>;

export const SETTINGS: Record<"full" | "quick", FacesSettings> = {
  full: {
    seed: 0,
    network: UNET_CONFIG,
    scheduler: SCHEDULER_CONFIG,
    drawing: { numInferenceSteps: 20, guidanceScale: 3 },
    trainingPictures: 50_000,
    groupSize: 8,
    pictures: { ...LESSON, steps: 1500 },
    words: { ...LESSON, steps: 1000 },
    both: { ...LESSON, steps: 3000, emaDecay: 0.995 },
    unet: {
      ...COMMON,
      steps: 6000,
      batchSize: 64,
      learningRate: 1.5e-3,
      warmupSteps: 200,
      captionDropout: 0.1,
      emaDecay: 0.999,
      checkpointEvery: 300,
    },
  },
  quick: {
    seed: 0,
    network: QUICK_NETWORK,
    scheduler: { ...SCHEDULER_CONFIG, prediction_type: "sample" },
    drawing: { numInferenceSteps: 8, guidanceScale: 1.5 },
    trainingPictures: 2000,
    groupSize: 8,
    pictures: QUICK_LESSON,
    words: QUICK_LESSON,
    both: QUICK_LESSON,
    unet: {
      ...COMMON,
      steps: 650,
      batchSize: 16,
      learningRate: 3e-3,
      warmupSteps: 20,
      captionDropout: 0.1,
      emaDecay: 0.98,
      checkpointEvery: 130,
    },
  },
};

/** Config of the CLIP of stage one, and so of both text towers. */
export const clipConfig = () => smallClipConfig(vocabulary(), FACE_SIZE);
