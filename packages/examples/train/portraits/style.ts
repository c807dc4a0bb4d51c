import * as tf from "@tensorflow/tfjs";
import { denoisingLoss, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler } from "@tfjs-diffusion/schedulers";
import { recolour, SEPIA_PRINT } from "./recolour.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/**
 * The layers that decide how a part of the picture looks: convolutions, projections, the values and outputs of
 * attention, and feed-forward outputs. Queries and keys are left out.
 */
export const LOOKS = ["conv_in", "conv1", "conv2", "conv_out", "proj_in", "to_v", "to_out.0", "net.2", "proj_out"];

/** A small LoRA learns to draw every face in sepia, for any colours in the caption (Hu et al. 2022). */
export async function* trainStyle(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model } = options;
  const tuning = await Tuning.open(model, settings, settings.style);
  const { unet, vae } = tuning.networks;
  const { pictures } = tuning;
  const latents = TrainingLatents.encode(vae, {
    kind: pictures.kind,
    size: pictures.size,
    batch: (indices) => tf.tidy(() => sepia(pictures.batch(indices))),
  });
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  try {
    yield* tuning.trainLora(
      options,
      { label: "style", rank: settings.style.rank, targets: LOOKS },
      (lora) =>
        ({ firstSample, noise }) => {
          const { indices, captions } = tuning.batch(firstSample);
          const model = velocity(unet, tuning.conditioning(captions));
          const x0 = latents.batch(indices, noise.at("latents"));
          return lora.within(() => denoisingLoss({ scheduler, model, x0, noise }));
        },
    );
  } finally {
    tuning.dispose();
  }
}

/** Pictures [B, H, W, 3] in [-1, 1] as brown prints. The caller owns them. */
export const sepia = (pictures: tf.Tensor4D): tf.Tensor4D =>
  recolour(
    pictures,
    Array.from({ length: pictures.shape[0] }, () => SEPIA_PRINT),
  );
