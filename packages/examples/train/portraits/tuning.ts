import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { CLIPTokenizer } from "@tfjs-diffusion/core";
import { type AutoencoderKL, type UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { dataOrder, train, TrainableLora, type TrainOptions, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise, type Network } from "@tfjs-diffusion/schedulers";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { tokenIds } from "../clip.js";
import { trainingCaptions } from "../conditioning.js";
import { type StageFiles, type StageSettings, stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import { conditioning, loadNetworks, type PortraitConditioning, type PortraitNetworks } from "./networks.js";
import type { TuningSettings } from "./settings.js";

/** The name of a LoRA's file in its folder, diffusers' own. */
export const LORA_FILE = "pytorch_lora_weights.safetensors";

/** Options of every kind of tuning; the result goes to `folder`. */
export interface TuningOptions extends StageFiles {
  settings: TuningSettings;
  /** The finished model's folder. */
  model: string;
}

/** A finished model, and the pictures that it is tuned on. */
export class Tuning {
  readonly #order: (sample: number) => number;

  private constructor(
    readonly networks: PortraitNetworks & { vae: AutoencoderKL },
    readonly pictures: TrainingPictures,
    readonly settings: TuningSettings,
    readonly stage: StageSettings,
    readonly tokenizer: CLIPTokenizer,
  ) {
    this.#order = dataOrder(settings.seed, pictures.size);
  }

  static async open(
    model: string,
    settings: TuningSettings,
    stage: StageSettings & { trainingPictures?: number },
  ): Promise<Tuning> {
    const tokenizer = await CLIPTokenizer.fromFolder(join(model, "tokenizer"));
    const pictures = new TrainingPictures(PORTRAITS_2, settings.seed, stage.trainingPictures ?? 1);
    return new Tuning(await loadNetworks(model), pictures, settings, stage, tokenizer);
  }

  /** The indices of the pictures of a batch, and their captions, some of them empty. */
  batch(firstSample: number, size = this.stage.batchSize): { indices: number[]; captions: string[] } {
    const { settings, pictures } = this;
    const samples = Array.from({ length: size }, (_, i) => firstSample + i);
    const faceOf = (sample: number) => pictures.face(this.#order(sample));
    const captions = trainingCaptions(pictures.kind, samples, faceOf, settings.seed, settings.captionDropout);
    return { indices: samples.map(this.#order), captions };
  }

  /** The conditioning of the UNet by captions, for a tokenizer with new words too. The caller owns it. */
  conditioning(captions: readonly string[], tokenizer = this.tokenizer): PortraitConditioning {
    return tf.tidy(() => conditioning(this.networks, tokenIds(tokenizer, captions)));
  }

  /** Trains with `loss`. `save` is run with the averaged weights, after each checkpoint. */
  train(
    { checkpoint, log, signal }: StageFiles,
    parameters: ReadonlyMap<string, tf.Variable>,
    loss: TrainOptions["loss"],
    save: () => Promise<void>,
  ): AsyncGenerator<TrainingStep, void> {
    return train({
      ...stageTraining(this.settings.seed, this.stage),
      parameters,
      loss,
      checkpoint: { to: checkpoint, every: this.stage.checkpointEvery, settings: { ...this.stage } },
      log,
      onCheckpoint: ({ withEma }) => withEma(save),
      signal,
    });
  }

  /** Trains a LoRA of the UNet and saves it in the folder, under the file name that diffusers uses. */
  async *trainLora(
    options: TuningOptions,
    { label, ...shape }: { label: string; rank: number; targets: readonly string[] },
    lossWith: (lora: TrainableLora) => TrainOptions["loss"],
  ): AsyncGenerator<TrainingStep, void> {
    const { folder } = options;
    const lora = new TrainableLora(this.networks.unet, { ...shape, noise: keyedNoise(this.settings.seed).at(label) });
    await mkdir(folder, { recursive: true });
    try {
      const save = () => lora.save(join(folder, LORA_FILE), { dtype: "F16" });
      yield* this.train(options, lora.parameters(), lossWith(lora), save);
    } finally {
      lora.dispose();
    }
  }

  dispose(): void {
    for (const network of Object.values(this.networks) as { dispose(): void }[]) network.dispose();
  }
}

/** The UNet with its conditioning as a function of latents and timesteps, as losses call it. */
export function velocity(
  unet: UNet2DConditionModel,
  { context, ...added }: PortraitConditioning,
): Network<tf.Tensor4D> {
  return (x, timesteps) => unet.forward(x, tf.tensor1d(timesteps), context, added);
}
