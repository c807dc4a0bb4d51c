import type * as tf from "@tensorflow/tfjs";
import type { AutoencoderKL, LatentDistribution } from "@tfjs-diffusion/core/models";
import { type TrainingStep, withoutGradient } from "@tfjs-diffusion/core/training";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import { pictureError } from "./autoencoder-loss.js";
import { randomRecolouring, recolour } from "./recolour.js";
import { Tuning, type TuningOptions } from "./tuning.js";
import { wider } from "./wider-pictures.js";

/** The encoder stays fixed, so that the latents, and with them the UNet, stay valid. */
const LEARNING = ["decoder.", "post_quant_conv."];

/**
 * The decoder learns to show colours that no portrait has, such as those of a sepia print, and pictures wider than
 * portraits. Before, it only reproduced the colours of its training, and drew shoulders at the positions of its
 * training. The encoder stays fixed, as when Stable Diffusion's decoder was improved (stabilityai/sd-vae-ft-mse).
 */
export async function* trainDecoder(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const tuning = await Tuning.open(model, settings, settings.decoder);
  const { vae } = tuning.networks;
  const { weights, widths } = settings.decoder;
  try {
    yield* tuning.train(
      options,
      decoderParameters(vae),
      ({ step, firstSample, noise }) => {
        const width = widths[step % widths.length]!;
        const { indices } = tuning.batch(firstSample);
        const random = noise.at("colours").random();
        const x = recolour(
          wider(tuning.pictures, width).batch(indices),
          indices.map(() => randomRecolouring(random)),
        );
        const z = withoutGradient(() => drawn(vae.encode(x), noise.at("latents")));
        return pictureError(vae.decode(z).sub(x), weights);
      },
      () => vae.save(folder, { dtype: "F16" }),
    );
  } finally {
    tuning.dispose();
  }
}

function decoderParameters(vae: AutoencoderKL): Map<string, tf.Variable> {
  return new Map([...vae.parameters()].filter(([name]) => LEARNING.some((start) => name.startsWith(start))));
}

const drawn = ({ mean, logvar }: LatentDistribution, noise: KeyedNoise) =>
  mean.add<tf.Tensor4D>(logvar.mul(0.5).exp().mul(noise.normal(mean.shape)));
