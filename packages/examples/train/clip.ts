import * as tf from "@tensorflow/tfjs";
import { type CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import { type CLIPConfig, CLIPModel } from "@tfjs-diffusion/core/models";
import { train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { CONTEXT_LENGTH, type FaceKind } from "../datasets/faces/index.js";
import { type ClipBatch, clipBatch } from "./clip-batch.js";
import { type StageFiles, type StageSettings, stageTraining } from "./stage.js";

/** CLIP's lessons (see CLIP_LESSONS), and how its pictures are chosen. */
export interface ClipSettings {
  seed: number;
  /** CLIP learns from groups of pictures that are alike in all but a few attributes, and so hard to tell apart. */
  groupSize: number;
  pictures: StageSettings;
  words: StageSettings;
  both: StageSettings;
}

export interface ClipOptions extends StageFiles {
  settings: ClipSettings;
  kind: FaceKind;
  config: Partial<CLIPConfig>;
  tokenizer: CLIPTokenizer;
  lesson: ClipLesson;
  /** The folder of the lesson before this one; left out for the first. */
  from?: string;
}

/**
 * Stage one, in three lessons: a CLIP of our own learns from nothing which picture a caption describes (Radford et al.
 * 2021).
 *
 * Two towers that both know nothing learn colours, by which any two pictures can be told apart, and never beards,
 * mouths or patterns: as long as one tower does not know beards, what the other says of them is noise, which it learns
 * to leave out faster than the first learns from it. So first one tower stands still, then the other:
 *
 * - `pictures`: the text tower stays as it was drawn at random, where every word counts alike, and hears one wording
 *   only.
 * - `words`: the vision tower is locked, the text tower learns all wordings (Zhai et al. 2022, "LiT").
 * - `both`: both learn.
 */
export const CLIP_LESSONS = ["pictures", "words", "both"] as const;
export type ClipLesson = (typeof CLIP_LESSONS)[number];

/** What the names of a lesson's fixed parameters begin with. */
const FIXED: Record<ClipLesson, string | undefined> = { pictures: "text_", words: "vis", both: undefined };

/** One lesson. */
export async function* trainClip(options: ClipOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, kind, config, tokenizer, checkpoint, log, folder, signal, lesson, from } = options;
  const { seed, groupSize } = settings;
  const stage = settings[lesson];
  const clip = from === undefined ? new CLIPModel(config) : ((await loadModel(from)) as CLIPModel);
  try {
    if (from === undefined) clip.initialize(keyedNoise(seed).at("clip"));
    const fixed = FIXED[lesson];
    const learning = [...clip.parameters()].filter(([name]) => fixed === undefined || !name.startsWith(fixed));
    yield* train({
      ...stageTraining(seed, stage),
      parameters: new Map(learning),
      loss: ({ step }) => {
        const batch = { batchSize: stage.batchSize, groupSize, oneWording: lesson === "pictures", kind };
        return contrastiveLoss(clip, tokenizer, clipBatch(keyedNoise(seed).at("clip", lesson, step), batch));
      },
      checkpoint: { to: checkpoint, every: stage.checkpointEvery, settings: { ...stage, groupSize } },
      log,
      onCheckpoint: ({ withEma, step }) => withEma(() => (step === stage.steps ? clip.save(folder) : undefined)),
      signal,
    });
  } finally {
    clip.dispose();
  }
}

/**
 * How badly a CLIP tells which caption of a batch belongs to which picture (Radford et al. 2021, figure 3). The caller
 * owns it.
 */
export function contrastiveLoss(clip: CLIPModel, tokenizer: CLIPTokenizer, { pixels, captions }: ClipBatch): tf.Scalar {
  return tf.tidy(() => {
    const size = Math.sqrt(pixels.length / captions.length / 3);
    const pictures = tf.tensor4d(pixels, [captions.length, size, size, 3]);
    return clip.forward(tokenIds(tokenizer, captions), pictures).loss;
  });
}

/** Captions as token numbers, [captions, maxLength] int32, padded as the text towers expect. */
export function tokenIds(tokenizer: CLIPTokenizer, captions: readonly string[]): tf.Tensor2D {
  return tf.tensor2d(
    captions.map((text) => tokenizer.encode(text, { maxLength: CONTEXT_LENGTH })),
    undefined,
    "int32",
  );
}
