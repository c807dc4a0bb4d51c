import * as tf from "@tensorflow/tfjs";
import { loadModel, type CLIPTokenizer } from "@tfjs-diffusion/core";
import {
  CLIPTextModel,
  CLIPTextModelWithProjection,
  type CLIPModel,
  type Model,
  UNet2DConditionModel,
} from "@tfjs-diffusion/core/models";
import { dataOrder, denoisingLoss, train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { FACES } from "../../datasets/faces/index.js";
import { tokenIds } from "../clip.js";
import { copyParameters, prefixed, trainingCaptions } from "../conditioning.js";
import { type StageFiles, stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import { clipConfig, type FacesSettings } from "./settings.js";

/** The networks of the model: the UNet, the text tower that is trained with it, and the frozen one from stage one. */
export interface FacesNetworks {
  unet: UNet2DConditionModel;
  /** The UNet attends to its token states. */
  textEncoder: CLIPTextModel;
  /** Its pooled, projected vector is added to the time embedding. */
  pooledEncoder: CLIPTextModelWithProjection;
}

export interface UnetOptions extends StageFiles {
  settings: FacesSettings;
  tokenizer: CLIPTokenizer;
  /** Folder of the CLIP of stage one. */
  clipFolder: string;
}

/** Stage two: trains the UNet to remove noise, conditioned on captions (Ho et al. 2020, Rombach et al. 2022). */
export async function* trainUnet(options: UnetOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, checkpoint, log, folder, signal, clipFolder } = options;
  const { seed, trainingPictures } = settings;
  const { batchSize, captionDropout, checkpointEvery } = settings.unet;
  const networks = await newNetworks(settings, clipFolder);
  const scheduler = new DDIMScheduler(settings.scheduler);
  const pictures = new TrainingPictures(FACES, seed, trainingPictures);
  const order = dataOrder(seed, trainingPictures);
  try {
    yield* train({
      ...stageTraining(seed, settings.unet),
      parameters: new Map([...prefixed("unet", networks.unet), ...prefixed("text_encoder", networks.textEncoder)]),
      loss: ({ firstSample, noise }) => {
        const samples = Array.from({ length: batchSize }, (_, i) => firstSample + i);
        const faceOf = (sample: number) => pictures.face(order(sample));
        const ids = tokenIds(tokenizer, trainingCaptions(FACES, samples, faceOf, seed, captionDropout));
        const pooled = networks.pooledEncoder.forward(ids).textEmbeds;
        const context = networks.textEncoder.forward(ids).lastHiddenState;
        return denoisingLoss({
          scheduler,
          model: (noisy, timesteps) =>
            networks.unet.forward(noisy, tf.tensor1d(timesteps), context, { classLabels: pooled }),
          x0: pictures.batch(samples.map(order)),
          noise,
        });
      },
      checkpoint: {
        to: checkpoint,
        every: checkpointEvery,
        settings: { ...settings.unet, trainingPictures, unet: settings.network },
      },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => saveNetworks(networks, folder)),
      signal,
    });
  } finally {
    for (const network of Object.values<Model>({ ...networks })) network.dispose();
  }
}

async function newNetworks(settings: FacesSettings, clipFolder: string): Promise<FacesNetworks> {
  const clip = (await loadModel(clipFolder)) as CLIPModel;
  const { text_config } = clipConfig();
  const unet = new UNet2DConditionModel(settings.network);
  const textEncoder = new CLIPTextModel(text_config);
  const pooledEncoder = new CLIPTextModelWithProjection(text_config);
  unet.initialize(keyedNoise(settings.seed).at("unet"));
  for (const encoder of [textEncoder, pooledEncoder]) copyParameters(clip, encoder);
  clip.dispose();
  return { unet, textEncoder, pooledEncoder };
}

async function saveNetworks({ unet, textEncoder, pooledEncoder }: FacesNetworks, folder: string): Promise<void> {
  await unet.save(`${folder}/unet`, { dtype: "F16" });
  await textEncoder.save(`${folder}/text_encoder`, { dtype: "F16" });
  await pooledEncoder.save(`${folder}/text_encoder_2`, { dtype: "F16" });
}
