import * as tf from "@tensorflow/tfjs";
import type { CLIPTokenizer } from "@tfjs-diffusion/core";
import { PriorTransformer } from "@tfjs-diffusion/core/models";
import { dataOrder, denoisingLoss, train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise, UnCLIPScheduler } from "@tfjs-diffusion/schedulers";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { trainingCaptions } from "../conditioning.js";
import { type StageFiles, stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import type { Portraits2Settings } from "./settings.js";
import { captionStates, loadTowers } from "./towers.js";
import { TrainingEmbeddings } from "./training-embeddings.js";
import { PRIOR_CONFIG, PRIOR_SCHEDULER } from "./unclip-config.js";

export interface UnCLIPStageOptions extends StageFiles {
  settings: Portraits2Settings;
  tokenizer: CLIPTokenizer;
  /** Folder of the trained CLIP. */
  clipFolder: string;
}

/** Trains unCLIP's prior: diffusion of CLIP's image embeddings, given the caption (Ramesh et al. 2022, section 2.2). */
export async function* trainPrior(options: UnCLIPStageOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, clipFolder, checkpoint, log, folder, signal } = options;
  const { seed, trainingPictures } = settings;
  const { captionDropout, ...stage } = settings.prior;
  const pictures = new TrainingPictures(PORTRAITS_2, seed, trainingPictures);
  const { text, vision } = await loadTowers(clipFolder);
  const embeddings = TrainingEmbeddings.encode(vision, pictures);
  vision.dispose();
  const prior = new PriorTransformer(PRIOR_CONFIG);
  prior.initialize(keyedNoise(seed).at("prior"));
  const { clip_mean, clip_std } = assignMoments(prior, embeddings);
  const scheduler = new UnCLIPScheduler(PRIOR_SCHEDULER);
  const order = dataOrder(seed, trainingPictures);
  try {
    yield* train({
      ...stageTraining(seed, stage),
      parameters: new Map([...prior.parameters()].filter(([name]) => !name.startsWith("clip_"))),
      loss: ({ firstSample, noise }) => {
        const samples = Array.from({ length: stage.batchSize }, (_, i) => firstSample + i);
        const faceOf = (sample: number) => pictures.face(order(sample));
        const captions = trainingCaptions(PORTRAITS_2, samples, faceOf, seed, captionDropout);
        const { textEmbeds: projEmbedding, ...read } = captionStates(text, tokenizer, captions);
        const x0 = embeddings.batch(samples.map(order)).sub(clip_mean).div<tf.Tensor2D>(clip_std);
        const model = (noisy: tf.Tensor2D, timesteps: number[]) =>
          prior.forward(noisy, tf.tensor1d(timesteps), { projEmbedding, ...read });
        return denoisingLoss<tf.Tensor2D>({ scheduler, model, x0, noise });
      },
      checkpoint: {
        to: checkpoint,
        every: stage.checkpointEvery,
        settings: { ...settings.prior, trainingPictures, prior: PRIOR_CONFIG },
      },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => prior.save(folder, { dtype: "F16" })),
      signal,
    });
  } finally {
    for (const network of [prior, text]) network.dispose();
  }
}

/** Stores the embeddings' mean and deviation in the prior, which denoises embeddings of mean 0 and deviation 1. */
function assignMoments(prior: PriorTransformer, embeddings: TrainingEmbeddings) {
  const parameters = prior.parameters();
  const [clip_mean, clip_std] = [parameters.get("clip_mean")!, parameters.get("clip_std")!];
  tf.tidy(() => {
    const { mean, deviation } = embeddings.moments();
    clip_mean.assign(mean);
    clip_std.assign(deviation);
  });
  return { clip_mean, clip_std };
}
