import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import { ControlNetModel } from "../models/unet/controlnet.js";
import { type ControlNetConfig, controlNetConfigFor } from "../models/unet/controlnet-config.js";
import type { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";

/** What a new ControlNet does not take from its UNet. */
export interface NewControlNetOptions extends Partial<
  Pick<ControlNetConfig, "conditioning_channels" | "conditioning_embedding_out_channels">
> {
  /** Source of the layers that the UNet does not have. */
  noise: NoiseSource;
}

/**
 * A ControlNet to train for a UNet (Zhang et al. 2023, section 3.1): a copy of its way down, and layers for the control
 * picture. Its outputs pass convolutions that start at zero, so that at first the UNet draws as without it. Train its
 * parameters, and leave the UNet's as they are:
 *
 *     const controlNet = newControlNet(unet, { noise });
 *     const model = (x, t) => {
 *       const control = controlNet.forward(x, tf.tensor1d(t), context, pictures);
 *       return unet.forward(x, tf.tensor1d(t), context, control);
 *     };
 *     const loss = ({ noise }) => denoisingLoss({ scheduler, model, x0, noise });
 *     train({ parameters: controlNet.parameters(), loss, ... });
 *     await controlNet.save("my-controlnet");
 *
 * The control picture is 2 times as large as x for each entry of conditioning_embedding_out_channels after the first.
 * The folder opens in diffusers and with `loadModel`. The caller owns the network.
 */
export function newControlNet(unet: UNet2DConditionModel, { noise, ...config }: NewControlNetOptions): ControlNetModel {
  const controlNet = new ControlNetModel({ ...controlNetConfigFor(unet.config), ...config });
  controlNet.initialize(noise);
  const copied = unet.parameters();
  for (const [name, parameter] of controlNet.namedParameters()) {
    const value = copied.get(name);
    if (value) parameter.assign(value);
  }
  return controlNet;
}
