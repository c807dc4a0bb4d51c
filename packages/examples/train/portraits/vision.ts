import { join } from "node:path";
import { CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import { CLIPModel, CLIPVisionModelWithProjection, type Model } from "@tfjs-diffusion/core/models";
import { train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { PORTRAITS } from "../../datasets/portraits/index.js";
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
  const clip = new CLIPModel(clipConfig());
  try {
    clip.initialize(keyedNoise(seed).at("vision"));
    await readTower(clip, join(model, "text_encoder_2"));
    const batch = { batchSize: stage.batchSize, groupSize, oneWording: false, kind: PORTRAITS };
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
  const clip = new CLIPModel(clipConfig());
  clip.initialize(keyedNoise(0)); // Neither tower has the scale of the logits; its value changes no order.
  await readTower(clip, join(model, "text_encoder_2"));
  await readTower(clip, vision);
  return clip;
}

/** Loads the weights of one tower of a CLIP from the folder of that tower. */
async function readTower(clip: CLIPModel, folder: string): Promise<void> {
  const tower: Model = await loadModel(folder);
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
