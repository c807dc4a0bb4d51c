import * as tf from "@tensorflow/tfjs";
import { type CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import { type CLIPConfig, CLIPModel } from "@tfjs-diffusion/core/models";
import { train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { CONTEXT_LENGTH, type FaceKind } from "../datasets/faces/index.js";
import { type ClipBatch, clipBatch } from "./clip-batch.js";
import { type StageFiles, type StageSettings, stageTraining } from "./stage.js";

/** Settings of CLIP's lessons (see CLIP_LESSONS), and of its batches. */
export interface ClipSettings {
  seed: number;
  /** Pictures in a group; they differ only in a few attributes, and so are hard to distinguish. */
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
  /** The folder of the previous lesson; undefined for the first. */
  from?: string;
}

/**
 * Stage one, in three lessons: trains a CLIP from scratch to tell which picture a caption describes (Radford et al.
 * 2021).
 *
 * If both towers are trained together from the start, they learn colours, which are enough to distinguish most
 * pictures, but never beards, mouths or patterns. As long as one tower ignores beards, they are noise in the output of
 * the other, which learns to ignore them, too, before the first can learn them. So one tower is fixed first, then the
 * other:
 *
 * - `pictures`: the text tower keeps its random weights, where all words have about the same weight, and every caption
 *   has the same wording.
 * - `words`: the vision tower is fixed, and the text tower learns all wordings (Zhai et al. 2022, "LiT").
 * - `both`: both are trained.
 */
export const CLIP_LESSONS = ["pictures", "words", "both"] as const;
export type ClipLesson = (typeof CLIP_LESSONS)[number];

/** Prefixes of the names of a lesson's fixed parameters. */
const FIXED: Record<ClipLesson, string | undefined> = { pictures: "text_", words: "vis", both: undefined };

/** Trains one lesson. */
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
 * The contrastive loss of a batch: the cross entropy of matching captions with pictures, both ways (Radford et al.
 * 2021, figure 3). The caller owns it.
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
