import * as tf from "@tensorflow/tfjs";
import { denoisingLoss, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler } from "@tfjs-diffusion/schedulers";
import { ZWX } from "../../datasets/portraits/people.js";
import { PersonLatents } from "./person-latents.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { LOOKS } from "./style.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/** The subject's name: a word without a meaning, and the noun of its class. */
export const ZWX_NAME = "a zwx person";

/**
 * DreamBooth (Ruiz et al. 2023) with a LoRA: from a few pictures, the model learns to draw one person, whom a word
 * without a meaning calls. Every batch also holds other portraits with their captions, so that other people stay as
 * they are (the paper's prior preservation; there, the model draws those pictures itself).
 */
export async function* trainSubject(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model } = options;
  const { pictures, others, rank, batchSize } = settings.subject;
  const tuning = await Tuning.open(model, settings, settings.subject);
  const { unet, vae } = tuning.networks;
  const zwx = new PersonLatents(vae, ZWX, ZWX_NAME, { count: pictures, seed: settings.seed });
  const all = TrainingLatents.encode(vae, tuning.pictures);
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  const otherCount = Math.round(others * batchSize);
  try {
    yield* tuning.trainLora(options, { label: "subject", rank, targets: LOOKS }, (lora) => ({ firstSample, noise }) => {
      const { indices, captions } = tuning.batch(firstSample, otherCount);
      const own = zwx.batch(batchSize - otherCount, noise.at("person"));
      const model = velocity(unet, tuning.conditioning([...captions, ...own.captions]));
      const x0 = tf.concat([all.batch(indices, noise.at("latents")), own.x0]);
      return lora.within(() => denoisingLoss({ scheduler, model, x0, noise }));
    });
  } finally {
    tuning.dispose();
  }
}
