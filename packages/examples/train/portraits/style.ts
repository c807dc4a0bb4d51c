import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { denoisingLoss, TrainableLora, type TrainingStep } from "@tfjs-diffusion/core";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { SCHEDULER_CONFIG } from "./settings.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/** The name of a LoRA's file in its folder, diffusers' own. */
export const LORA_FILE = "pytorch_lora_weights.safetensors";

/** A LoRA of few numbers learns to draw every face in sepia, whatever colours it is told (Hu et al. 2022). */
export async function* trainStyle(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const tuning = await Tuning.open(model, settings, settings.style);
  const { unet, vae } = tuning.networks;
  const { pictures } = tuning;
  const latents = TrainingLatents.encode(vae, {
    kind: pictures.kind,
    size: pictures.size,
    batch: (indices) => tf.tidy(() => sepia(pictures.batch(indices))),
  });
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  const lora = new TrainableLora(unet, { rank: settings.style.rank, noise: keyedNoise(settings.seed).at("style") });
  await mkdir(folder, { recursive: true });
  try {
    yield* tuning.train(
      options,
      lora.parameters(),
      ({ firstSample, noise }) => {
        const { indices, told } = tuning.batch(firstSample);
        const x0 = latents.batch(indices, noise.at("latents"));
        return lora.within(() => denoisingLoss({ scheduler, model: velocity(unet, told), x0, noise }));
      },
      () => lora.save(join(folder, LORA_FILE), { dtype: "F16" }),
    );
  } finally {
    lora.dispose();
    tuning.dispose();
  }
}

const LUMINANCE = [0.299, 0.587, 0.114];
const PAPER = [1, 0.89, 0.71];

/** Pictures [B, H, W, 3] in [-1, 1] as brown prints: their luminance (ITU-R BT.601) on a paper of that colour. The caller owns them. */
export function sepia(pictures: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => {
    const light = pictures.add(1).div(2).mul(tf.tensor1d(LUMINANCE)).sum(3, true);
    return light.mul(tf.tensor1d(PAPER)).mul<tf.Tensor4D>(2).sub(1);
  });
}
