import * as tf from "@tensorflow/tfjs";
import { type AutoencoderKL } from "@tfjs-diffusion/core/models";
import { denoisingLoss, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler, type NoiseSource } from "@tfjs-diffusion/schedulers";
import { randomMasks } from "./masks.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";
import { widenConvIn } from "./widen.js";

/**
 * Trains the UNet to inpaint. Its input has 9 channels: the noisy latents, the mask, and the latents of the picture
 * with grey under the mask (Rombach et al. 2022). Training starts from the weights of the model.
 */
export async function* trainInpainting(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const tuning = await Tuning.open(model, settings, settings.inpainting);
  const { unet, vae } = tuning.networks;
  const { latent_channels } = vae.config;
  const wide = widenConvIn(unet, 2 * latent_channels + 1);
  const latents = TrainingLatents.encode(vae, tuning.pictures);
  const [side] = latents.shape;
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  try {
    yield* tuning.train(
      options,
      wide.parameters(),
      ({ firstSample, noise }) => {
        const { indices, captions } = tuning.batch(firstSample);
        const masks = randomMasks(indices.length, side, noise.at("masks").random());
        const shown = shownAround(vae, tuning.pictures.batch(indices), masks, noise.at("shown"));
        const answer = velocity(wide, tuning.conditioning(captions));
        return denoisingLoss({
          scheduler,
          model: (noisy, timesteps) => answer(tf.concat([noisy, shown], 3), timesteps),
          x0: latents.batch(indices, noise.at("latents")),
          noise,
        });
      },
      () => wide.save(folder, { dtype: "F16" }),
    );
  } finally {
    wide.dispose();
    tuning.dispose();
  }
}

/**
 * The channels that an inpainting UNet reads besides the noisy latents: the mask, and scaled latents of the pictures
 * with grey where the mask is 1.
 *
 * @param pictures [B, H, W, 3] in [-1, 1]
 * @param masks [B, h, w, 1] of 0 and 1, one number per latent
 * @returns [B, h, w, 1 + latent channels]; the caller owns it
 */
export function shownAround(
  vae: AutoencoderKL,
  pictures: tf.Tensor4D,
  masks: tf.Tensor4D,
  noise: NoiseSource,
): tf.Tensor4D {
  return tf.tidy(() => {
    const [, height, width] = pictures.shape;
    const kept = tf.sub(1, tf.image.resizeNearestNeighbor(masks, [height, width]));
    const { mean, logvar } = vae.encode(pictures.mul<tf.Tensor4D>(kept));
    const latents = mean.add(logvar.mul(0.5).exp().mul(noise.normal(mean.shape)));
    return tf.concat([masks, latents.mul<tf.Tensor4D>(vae.config.scaling_factor)], 3);
  });
}
