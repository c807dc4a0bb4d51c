import * as tf from "@tensorflow/tfjs";
import {
  CLIPTextModel,
  CLIPTextModelWithProjection,
  dataOrder,
  denoisingLoss,
  loadModel,
  train,
  type CLIPModel,
  type Model,
  type TrainingStep,
  UNet2DConditionModel,
} from "@tfjs-diffusion/core";
import { DDIMScheduler, keyedNoise, keyedRandom } from "@tfjs-diffusion/schedulers";
import { caption, faceExample, FACE_SIZE, type Face } from "../../datasets/faces/index.js";
import { type StageOptions, stageTraining, tokenIds } from "./clip.js";
import { clipConfig, type FacesSettings, SCHEDULER_CONFIG, UNET_CONFIG } from "./settings.js";

/** The networks that draw: the UNet, the text tower that learns with it, and the frozen one that stage one trained. */
export interface FacesNetworks {
  unet: UNet2DConditionModel;
  /** Its token states are what the UNet attends to. */
  textEncoder: CLIPTextModel;
  /** Its pooled, projected vector is added to the time embedding. */
  pooledEncoder: CLIPTextModelWithProjection;
}

/**
 * Stage two: the UNet learns to remove noise, told by the caption what to draw (Ho et al. 2020, Rombach et al. 2022).
 * `clipFolder` holds the CLIP of stage one.
 */
export async function* trainUnet(options: StageOptions & { clipFolder: string }): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, checkpoint, log, folder, signal, clipFolder } = options;
  const { seed, trainingPictures } = settings;
  const { batchSize, captionDropout, checkpointEvery } = settings.unet;
  const networks = await newNetworks(settings, clipFolder);
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  const pictures = new TrainingPictures(seed, trainingPictures);
  const order = dataOrder(seed, trainingPictures);
  try {
    yield* train({
      ...stageTraining(seed, settings.unet),
      parameters: trainedParameters(networks),
      loss: ({ firstSample, noise }) => {
        const samples = Array.from({ length: batchSize }, (_, i) => firstSample + i);
        const captions = samples.map((sample) => {
          const random = keyedRandom(seed, "caption", sample);
          return random.uniform() < captionDropout ? "" : caption(pictures.face(order(sample)), random, "mixed").text;
        });
        const ids = tokenIds(tokenizer, captions);
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
        settings: { ...settings.unet, trainingPictures, unet: UNET_CONFIG },
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
  const unet = new UNet2DConditionModel(UNET_CONFIG);
  const textEncoder = new CLIPTextModel(text_config);
  const pooledEncoder = new CLIPTextModelWithProjection(text_config);
  unet.initialize(keyedNoise(settings.seed).at("unet"));
  for (const encoder of [textEncoder, pooledEncoder]) copyParameters(clip, encoder);
  clip.dispose();
  return { unet, textEncoder, pooledEncoder };
}

/** Gives `to` the values of the parameters that have the same names in `from`. */
function copyParameters(from: Model, to: Model): void {
  const values = from.parameters();
  for (const [name, parameter] of to.namedParameters()) parameter.assign(values.get(name)!);
}

function trainedParameters({ unet, textEncoder }: FacesNetworks): Map<string, tf.Variable> {
  const named = (prefix: string, model: Model) =>
    [...model.parameters()].map(([name, variable]) => [`${prefix}.${name}`, variable] as const);
  return new Map([...named("unet", unet), ...named("text_encoder", textEncoder)]);
}

async function saveNetworks({ unet, textEncoder, pooledEncoder }: FacesNetworks, folder: string): Promise<void> {
  await unet.save(`${folder}/unet`, { dtype: "F16" });
  await textEncoder.save(`${folder}/text_encoder`, { dtype: "F16" });
  await pooledEncoder.save(`${folder}/text_encoder_2`, { dtype: "F16" });
}

/** The training set: pictures kept as bytes (768 each), drawn when first asked for. */
class TrainingPictures {
  readonly #examples: { face: Face; pixels: Uint8Array }[] = [];

  constructor(
    readonly seed: number,
    readonly size: number,
  ) {}

  face(index: number): Face {
    return this.#example(index).face;
  }

  /** [indices.length, 16, 16, 3] in [-1, 1]; the caller owns it. */
  batch(indices: readonly number[]): tf.Tensor4D {
    const length = FACE_SIZE * FACE_SIZE * 3;
    const pixels = new Float32Array(indices.length * length);
    indices.forEach((index, i) =>
      this.#example(index).pixels.forEach((byte, k) => (pixels[i * length + k] = byte / 127.5 - 1)),
    );
    return tf.tensor4d(pixels, [indices.length, FACE_SIZE, FACE_SIZE, 3]);
  }

  #example(index: number) {
    return (this.#examples[index] ??= faceExample(index, { seed: this.seed, split: "train" }));
  }
}
