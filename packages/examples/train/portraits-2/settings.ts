import { vocabulary } from "../../datasets/faces/index.js";
import { captionWords } from "../../datasets/portraits-2/index.js";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import type { Contrasts } from "../clip-batch.js";
import { smallClipConfig } from "../clip-config.js";
import type { PortraitsSettings } from "../portraits/settings.js";
import type { StageSettings } from "../stage.js";

/** A stage that learns from captions. */
type CaptionStage = StageSettings & {
  /** Share of captions replaced by "", so that the network also learns to draw unconditionally. */
  captionDropout: number;
};

export interface Portraits2Settings {
  seed: number;
  /** Pictures in the training set. Each time one is shown, its caption gets a new wording. */
  trainingPictures: number;
  clip: StageSettings & {
    /** Pictures in a group; they differ only in a few attributes, and so are hard to tell apart. */
    groupSize: number;
    contrasts: Contrasts;
  };
  unet: PortraitsSettings["unet"];
  prior: CaptionStage;
  decoder: CaptionStage & {
    /** Share of pictures whose embedding and caption are both left out. */
    conditionDropout: number;
  };
  enlarger: StageSettings & {
    /** The most noise on the small pictures, its standard deviation: the decoder's pictures are not perfect either. */
    smallNoise: number;
  };
}

const COMMON = { weightDecay: 0.01, beta2: 0.99, gradientClip: 1 };
const QUICK = { ...COMMON, steps: 30, warmupSteps: 10, emaDecay: 0.95, checkpointEvery: 30, batchSize: 16 };

/** Colours that CLIP confuses most (npm run eval:clip): in two of five groups, only they differ. */
const CONTRASTS: Contrasts = { share: 0.4, among: ["hairColor", "hatColor", "background"] };

export const SETTINGS: Record<"full" | "quick", Portraits2Settings> = {
  full: {
    seed: 0,
    trainingPictures: 25_000,
    unet: {
      ...COMMON,
      steps: 8_000,
      batchSize: 32,
      learningRate: 1e-3,
      warmupSteps: 200,
      captionDropout: 0.1,
      widths: { fromStep: 0, turns: [32, 32, 32, 48, 32, 32, 32, 64] },
      emaDecay: 0.999,
      checkpointEvery: 200,
    },
    prior: {
      ...COMMON,
      steps: 15_000,
      batchSize: 64,
      learningRate: 1e-3,
      warmupSteps: 200,
      captionDropout: 0.1,
      emaDecay: 0.999,
      checkpointEvery: 200,
    },
    decoder: {
      ...COMMON,
      steps: 24_000,
      batchSize: 32,
      learningRate: 1e-3,
      warmupSteps: 200,
      captionDropout: 0.3,
      conditionDropout: 0.1,
      emaDecay: 0.999,
      checkpointEvery: 200,
    },
    enlarger: {
      ...COMMON,
      steps: 14_000,
      batchSize: 16,
      learningRate: 1e-3,
      warmupSteps: 200,
      smallNoise: 0.1,
      emaDecay: 0.999,
      checkpointEvery: 200,
    },
    clip: {
      ...COMMON,
      steps: 6_000,
      batchSize: 64,
      learningRate: 6e-4,
      warmupSteps: 200,
      emaDecay: 0.998,
      checkpointEvery: 100,
      groupSize: 8,
      contrasts: CONTRASTS,
    },
  },
  quick: {
    seed: 0,
    trainingPictures: 200,
    unet: { ...QUICK, learningRate: 1e-3, captionDropout: 0.1, widths: { fromStep: 20, turns: [32, 48] } },
    prior: { ...QUICK, learningRate: 1e-3, captionDropout: 0.1 },
    decoder: { ...QUICK, learningRate: 1e-3, captionDropout: 0.3, conditionDropout: 0.1 },
    enlarger: { ...QUICK, learningRate: 1e-3, smallNoise: 0.1 },
    clip: { ...QUICK, learningRate: 6e-4, groupSize: 8, contrasts: CONTRASTS },
  },
};

/** The vocabulary of the captions. */
export const portrait2Vocabulary = () => vocabulary(captionWords());

/** The CLIP of the first portraits model, with more words. */
export const clipConfig = () => smallClipConfig(portrait2Vocabulary(), PORTRAIT_SIZE);
