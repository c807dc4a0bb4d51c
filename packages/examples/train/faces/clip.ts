import * as tf from "@tensorflow/tfjs";
import { CLIPModel, type CLIPTokenizer, loadModel, train, type TrainingStep, warmupCosine } from "@tfjs-diffusion/core";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { CONTEXT_LENGTH, FACE_SIZE } from "../../datasets/faces/index.js";
import { clipBatch } from "./clip-batch.js";
import { clipConfig, type FacesSettings, type StageSettings } from "./settings.js";

export interface StageOptions {
  settings: FacesSettings;
  tokenizer: CLIPTokenizer;
  /** Checkpoint file to write, and to go on from. */
  checkpoint: string;
  /** Log file: a row a step. */
  log: string;
  /** Where the averaged weights go at each checkpoint, as a Hugging Face folder. */
  folder: string;
  signal?: AbortSignal;
}

/**
 * Stage one, in three lessons: a CLIP of our own learns from nothing which picture a caption describes (Radford et al. 2021).
 *
 * Two towers that both know nothing learn colours, by which any two pictures can be told apart, and never beards, mouths or
 * patterns: as long as one tower does not know beards, what the other says of them is noise, which it learns to leave out
 * faster than the first learns from it. So first one tower stands still, then the other:
 *
 * - `pictures`: the text tower stays as it was drawn at random, where every word counts alike, and hears one wording only.
 * - `words`: the vision tower is locked, the text tower learns all wordings (Zhai et al. 2022, "LiT").
 * - `both`: both learn.
 */
export const CLIP_LESSONS = ["pictures", "words", "both"] as const;
export type ClipLesson = (typeof CLIP_LESSONS)[number];

/** What the names of a lesson's fixed parameters begin with. */
const FIXED: Record<ClipLesson, string | undefined> = { pictures: "text_", words: "vis", both: undefined };

/** One lesson; `from` is the folder of the lesson before it, left out for the first. */
export async function* trainClip(
  options: StageOptions & { lesson: ClipLesson; from?: string },
): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, checkpoint, log, folder, signal, lesson, from } = options;
  const { seed, groupSize } = settings;
  const stage = settings[lesson];
  const clip = from === undefined ? new CLIPModel(clipConfig()) : ((await loadModel(from)) as CLIPModel);
  try {
    if (from === undefined) clip.initialize(keyedNoise(seed).at("clip"));
    const fixed = FIXED[lesson];
    const learning = [...clip.parameters()].filter(([name]) => fixed === undefined || !name.startsWith(fixed));
    yield* train({
      ...stageTraining(seed, stage),
      parameters: new Map(learning),
      loss: ({ step }) => {
        const { pixels, captions } = clipBatch(keyedNoise(seed).at("clip", lesson, step), {
          batchSize: stage.batchSize,
          groupSize,
          oneWording: lesson === "pictures",
        });
        return clip.forward(
          tokenIds(tokenizer, captions),
          tf.tensor4d(pixels, [stage.batchSize, FACE_SIZE, FACE_SIZE, 3]),
        ).loss;
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

/** What all stages tell the training loop in the same words. */
export function stageTraining(seed: number, stage: StageSettings) {
  const { steps, batchSize, learningRate, warmupSteps, weightDecay, beta2, gradientClip, emaDecay } = stage;
  return {
    steps,
    batchSize,
    seed,
    optimizer: { weightDecay, beta2 },
    schedule: warmupCosine({ learningRate, warmupSteps, totalSteps: steps }),
    gradientClip,
    emaDecay,
  };
}

/** Captions as token numbers, [captions, maxLength] int32, padded as the text towers expect. */
export function tokenIds(tokenizer: CLIPTokenizer, captions: readonly string[]): tf.Tensor2D {
  return tf.tensor2d(
    captions.map((text) => tokenizer.encode(text, { maxLength: CONTEXT_LENGTH })),
    undefined,
    "int32",
  );
}
