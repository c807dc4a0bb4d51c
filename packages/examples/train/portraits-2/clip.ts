import { join } from "node:path";
import { CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import { CLIPModel } from "@tfjs-diffusion/core/models";
import { train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { clipBatch } from "../clip-batch.js";
import { contrastiveLoss } from "../clip.js";
import { copyParameters } from "../conditioning.js";
import { assembleClip } from "../portraits/vision.js";
import { type StageFiles, stageTraining } from "../stage.js";
import { takeValues } from "./other-vocabulary.js";
import { clipConfig, type Portraits2Settings } from "./settings.js";

export interface ClipStageOptions extends StageFiles {
  settings: Portraits2Settings;
  tokenizer: CLIPTokenizer;
  /**
   * Where it begins: the portraits model whose text tower is taken, and the folder of its vision tower; or the folder
   * of a CLIP of the same vocabulary.
   */
  from: { model: string; vision: string } | { clip: string };
}

/**
 * Trains both towers of a portraits model on the second captions, which may hold more words than it knows. The towers
 * know what portraits look like already, so the lessons of a CLIP from scratch are not repeated.
 */
export async function* trainClip2(options: ClipStageOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, from, checkpoint, log, folder, signal } = options;
  const { groupSize, contrasts, ...stage } = settings.clip;
  const clip = new CLIPModel(clipConfig());
  try {
    clip.initialize(keyedNoise(settings.seed).at("clip 2"));
    await startFrom(clip, from);
    const batch = { batchSize: stage.batchSize, groupSize, contrasts, oneWording: false, kind: PORTRAITS_2 };
    yield* train({
      ...stageTraining(settings.seed, stage),
      parameters: clip.parameters(),
      loss: ({ noise }) => contrastiveLoss(clip, tokenizer, clipBatch(noise.at("pairs"), batch)),
      checkpoint: {
        to: checkpoint,
        every: stage.checkpointEvery,
        settings: { ...stage, groupSize, contrasts: { ...contrasts, among: [...contrasts.among] } },
      },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => clip.save(folder, { dtype: "F16" })),
      signal,
    });
  } finally {
    clip.dispose();
  }
}

async function startFrom(clip: CLIPModel, from: ClipStageOptions["from"]): Promise<void> {
  const old =
    "clip" in from ? ((await loadModel(from.clip)) as CLIPModel) : await assembleClip(from.model, from.vision);
  try {
    if ("clip" in from) copyParameters(old, clip);
    else takeValues(clip, old, (await CLIPTokenizer.fromFolder(join(from.model, "tokenizer_2"))).vocab);
  } finally {
    old.dispose();
  }
}
