import * as tf from "@tensorflow/tfjs";
import { CLIPModel, type CLIPTokenizer, train, type TrainingStep, warmupCosine } from "@tfjs-diffusion/core";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { CONTEXT_LENGTH, FACE_SIZE } from "../../datasets/faces/index.js";
import { clipBatch } from "./clip-batch.js";
import { clipConfig, type FacesSettings } from "./settings.js";

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

/** Stage one: a CLIP of our own learns from nothing which picture a caption describes (Radford et al. 2021). */
export async function* trainClip(options: StageOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, checkpoint, log, folder, signal } = options;
  const { steps, batchSize, groupSize, checkpointEvery } = settings.clip;
  const clip = new CLIPModel(clipConfig());
  try {
    clip.initialize(keyedNoise(settings.seed).at("clip"));
    yield* train({
      ...stageTraining(settings, "clip"),
      parameters: clip.parameters(),
      loss: ({ step }) => {
        const { pixels, captions } = clipBatch(settings.seed, step, batchSize, groupSize);
        return clip.forward(tokenIds(tokenizer, captions), tf.tensor4d(pixels, [batchSize, FACE_SIZE, FACE_SIZE, 3]))
          .loss;
      },
      checkpoint: { to: checkpoint, every: checkpointEvery, settings: { ...settings.clip } },
      log,
      onCheckpoint: ({ withEma, step }) => withEma(() => (step === steps ? clip.save(folder) : undefined)),
      signal,
    });
  } finally {
    clip.dispose();
  }
}

/** What both stages tell the training loop in the same words. */
export function stageTraining(settings: FacesSettings, stage: "clip" | "unet") {
  const { steps, batchSize, learningRate, warmupSteps, weightDecay, beta2, gradientClip, emaDecay } = settings[stage];
  return {
    steps,
    batchSize,
    seed: settings.seed,
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
