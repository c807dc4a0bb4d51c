import * as tf from "@tensorflow/tfjs";
import { denoisingLoss, newControlNet, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { outlines } from "./outlines.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions } from "./tuning.js";

/** Widths of the layers that bring a control picture to the size of the latents, a quarter of its own. */
export const CONTROL_WIDTHS = [16, 32, 64];

/** Torch's initial weights make the signal of a control picture smaller with each layer; this keeps its size. */
const GAIN = Math.sqrt(6);

/**
 * Trains a ControlNet that draws a portrait along given outlines (Zhang et al. 2023). The model itself stays as it is.
 * Half of the captions are left out, as in the paper (section 3.3), so that the outlines must be read.
 */
export async function* trainControl(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const { captionDropout, ...stage } = settings.control;
  const tuning = await Tuning.open(model, { ...settings, captionDropout }, stage);
  const { unet, vae } = tuning.networks;
  const controlNet = newControlNet(unet, {
    conditioning_embedding_out_channels: CONTROL_WIDTHS,
    noise: keyedNoise(settings.seed).at("control"),
  });
  for (const [name, weight] of controlNet.parameters()) {
    if (/cond_embedding\.(conv_in|blocks).*weight/.test(name)) tf.tidy(() => weight.assign(weight.mul(GAIN)));
  }
  const latents = TrainingLatents.encode(vae, tuning.pictures);
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  try {
    yield* tuning.train(
      options,
      controlNet.parameters(),
      ({ firstSample, noise }) => {
        const { indices, captions } = tuning.batch(firstSample);
        const { context, ...added } = tuning.conditioning(captions);
        const control = outlines(tuning.pictures.batch(indices));
        return denoisingLoss<tf.Tensor4D>({
          scheduler,
          model: (x, timesteps) => {
            const t = tf.tensor1d(timesteps);
            const residuals = controlNet.forward(x, t, context, control, added);
            return unet.forward(x, t, context, { ...added, ...residuals });
          },
          x0: latents.batch(indices, noise.at("latents")),
          noise,
        });
      },
      () => controlNet.save(folder, { dtype: "F16" }),
    );
  } finally {
    controlNet.dispose();
    tuning.dispose();
  }
}
