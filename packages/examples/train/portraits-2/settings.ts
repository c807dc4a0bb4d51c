import { vocabulary } from "../../datasets/faces/index.js";
import { captionWords } from "../../datasets/portraits-2/index.js";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import type { Contrasts } from "../clip-batch.js";
import { smallClipConfig } from "../clip-config.js";
import type { StageSettings } from "../stage.js";

export interface Portraits2Settings {
  seed: number;
  clip: StageSettings & {
    /** Pictures in a group; they differ only in a few attributes, and so are hard to tell apart. */
    groupSize: number;
    contrasts: Contrasts;
  };
}

const COMMON = { weightDecay: 0.01, beta2: 0.99, gradientClip: 1 };
const QUICK = { ...COMMON, steps: 30, warmupSteps: 10, emaDecay: 0.95, checkpointEvery: 30, batchSize: 16 };

/** The colours that the first model confused: in a third of the groups, only they differ. */
const CONTRASTS: Contrasts = { share: 1 / 3, among: ["hairColor", "hatColor"] };

export const SETTINGS: Record<"full" | "quick", Portraits2Settings> = {
  full: {
    seed: 0,
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
    clip: { ...QUICK, learningRate: 6e-4, groupSize: 8, contrasts: CONTRASTS },
  },
};

/** The vocabulary of the captions. */
export const portrait2Vocabulary = () => vocabulary(captionWords());

/** The CLIP of the first portraits model, with more words. */
export const clipConfig = () => smallClipConfig(portrait2Vocabulary(), PORTRAIT_SIZE);
