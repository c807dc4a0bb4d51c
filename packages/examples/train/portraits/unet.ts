import * as tf from "@tensorflow/tfjs";
import { type CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import { type AutoencoderKL } from "@tfjs-diffusion/core/models";
import { dataOrder, denoisingLoss, train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler } from "@tfjs-diffusion/schedulers";
import type { FaceKind } from "../../datasets/faces/index.js";
import { PORTRAITS } from "../../datasets/portraits/index.js";
import { tokenIds } from "../clip.js";
import { prefixed, trainingCaptions } from "../conditioning.js";
import { type StageFiles, stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import { conditioning, newNetworks, type PortraitNetworks, readPart } from "./networks.js";
import { type PortraitsSettings, SCHEDULER_CONFIG, timeIdsOf, UNET_CONFIG } from "./settings.js";
import { TrainingLatents } from "./training-latents.js";
import { wider } from "./wider-pictures.js";

export interface LatentUnetOptions extends StageFiles {
  settings: Pick<PortraitsSettings, "seed" | "trainingPictures" | "unet">;
  /** Default: the first portraits. */
  kind?: FaceKind;
  tokenizer: CLIPTokenizer;
  /** Folder of the CLIP whose text tower is copied. */
  clipFolder: string;
  /** Folder of the autoencoder whose latents the UNet denoises. */
  vaeFolder: string;
  /** The networks to begin with, which are disposed of in the end. Default: a new UNet, and copies of CLIP's tower. */
  begin?(): Promise<PortraitNetworks>;
}

/**
 * Trains the UNet to remove noise from latents, conditioned on captions by two text towers (Rombach et al. 2022; Podell
 * et al. 2023).
 */
export async function* trainLatentUnet(options: LatentUnetOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, kind = PORTRAITS, checkpoint, log, folder, signal, clipFolder, vaeFolder } = options;
  const { seed, trainingPictures } = settings;
  const { batchSize, captionDropout, checkpointEvery, widths } = settings.unet;
  const pictures = new TrainingPictures(kind, seed, trainingPictures);
  const vae = (await loadModel(vaeFolder)) as AutoencoderKL;
  const { scaling_factor } = vae.config;
  const latents = new Map(
    [...new Set(widths.turns)].map((width) => [width, TrainingLatents.encode(vae, wider(pictures, width))]),
  );
  vae.dispose();
  const networks = await (options.begin?.() ?? newNetworks(seed, clipFolder));
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  const order = dataOrder(seed, trainingPictures);
  const { unet, textEncoder } = networks;
  const learning = readPart(textEncoder).map(([name, variable]) => [`text_encoder.${name}`, variable] as const);
  try {
    yield* train({
      ...stageTraining(seed, settings.unet),
      parameters: new Map([...prefixed("unet", unet), ...learning]),
      loss: ({ step, firstSample, noise }) => {
        const width = step > widths.fromStep ? widths.turns[step % widths.turns.length]! : PORTRAITS.size;
        const samples = Array.from({ length: batchSize }, (_, i) => firstSample + i);
        const faceOf = (sample: number) => pictures.face(order(sample));
        const ids = tokenIds(tokenizer, trainingCaptions(kind, samples, faceOf, seed, captionDropout));
        const { context, ...added } = conditioning(networks, ids, timeIdsOf(width));
        return denoisingLoss({
          scheduler,
          model: (noisy, timesteps) => unet.forward(noisy, tf.tensor1d(timesteps), context, added),
          x0: latents.get(width)!.batch(samples.map(order), noise.at("latents")),
          noise,
        });
      },
      checkpoint: {
        to: checkpoint,
        every: checkpointEvery,
        settings: { ...settings.unet, trainingPictures, unet: UNET_CONFIG, scaling_factor },
      },
      log,
      onCheckpoint: ({ withEma }) => withEma(() => saveNetworks(networks, folder)),
      signal,
    });
  } finally {
    for (const network of Object.values({ ...networks })) network.dispose();
  }
}

async function saveNetworks({ unet, textEncoder, textEncoder2 }: PortraitNetworks, folder: string): Promise<void> {
  await unet.save(`${folder}/unet`, { dtype: "F16" });
  await textEncoder.save(`${folder}/text_encoder`, { dtype: "F16" });
  await textEncoder2.save(`${folder}/text_encoder_2`, { dtype: "F16" });
}
