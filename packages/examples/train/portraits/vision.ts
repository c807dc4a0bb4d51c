import { join } from "node:path";
import { CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import {
  CLIPModel,
  type CLIPTextModelWithProjection,
  type CLIPVisionConfig,
  CLIPVisionModelWithProjection,
  type Model,
} from "@tfjs-diffusion/core/models";
import { train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { type KeyedNoise, keyedNoise } from "@tfjs-diffusion/schedulers";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { contrastiveLoss } from "../clip.js";
import { clipBatch } from "../clip-batch.js";
import { copyParameters } from "../conditioning.js";
import { stageTraining } from "../stage.js";
import { clipConfig } from "./settings.js";
import type { TuningOptions } from "./tuning.js";

/**
 * Trains a new vision tower for the model's frozen text tower (Zhai et al. 2022 with the towers exchanged). A finished
 * model keeps only the text half of its CLIP; the vision half is needed only to measure the model.
 */
export async function* trainVision(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, checkpoint, log, folder, signal } = options;
  const { seed, vision } = settings;
  const { groupSize, ...stage } = vision;
  const tokenizer = await CLIPTokenizer.fromFolder(join(model, "tokenizer_2"));
  const clip = await clipOf(model, clipConfig().vision_config, keyedNoise(seed).at("vision"));
  try {
    const batch = { batchSize: stage.batchSize, groupSize, oneWording: false, kind: PORTRAITS_2 };
    yield* train({
      ...stageTraining(seed, stage),
      parameters: new Map([...clip.parameters()].filter(([name]) => !name.startsWith("text_"))),
      loss: ({ noise }) => contrastiveLoss(clip, tokenizer, clipBatch(noise.at("pairs"), batch)),
      checkpoint: { to: checkpoint, every: stage.checkpointEvery, settings: { ...vision } },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => saveVisionTower(clip, folder)),
      signal,
    });
  } finally {
    clip.dispose();
  }
}

/**
 * The CLIP whose text tower is a model's second one, and whose vision tower {@link trainVision} left in a folder. The
 * caller owns it.
 */
export async function assembleClip(model: string, vision: string): Promise<CLIPModel> {
  const tower = (await loadModel(vision)) as CLIPVisionModelWithProjection;
  const clip = await clipOf(model, tower.config, keyedNoise(0));
  moveTower(tower, clip);
  return clip;
}

/**
 * A CLIP with a model's second text tower. The vision tower and the scale of the logits, whose value changes no order,
 * are new.
 */
async function clipOf(model: string, vision: Partial<CLIPVisionConfig>, noise: KeyedNoise): Promise<CLIPModel> {
  const text = (await loadModel(join(model, "text_encoder_2"))) as CLIPTextModelWithProjection;
  const { projection_dim } = text.config;
  const clip = new CLIPModel({ ...clipConfig(), projection_dim, text_config: text.config, vision_config: vision });
  clip.initialize(noise);
  moveTower(text, clip);
  return clip;
}

/** Gives a CLIP the values of one of its towers, and frees the tower. */
function moveTower(tower: Model, clip: CLIPModel): void {
  const all = clip.parameters();
  for (const [name, value] of tower.parameters()) all.get(name)!.assign(value);
  tower.dispose();
}

async function saveVisionTower(clip: CLIPModel, folder: string): Promise<void> {
  const tower = new CLIPVisionModelWithProjection(clipConfig().vision_config);
  try {
    copyParameters(clip, tower);
    await tower.save(folder, { dtype: "F16" });
  } finally {
    tower.dispose();
  }
}
