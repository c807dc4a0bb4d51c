import * as tf from "@tensorflow/tfjs";
import { UNet2DConditionModel } from "@tfjs-diffusion/core/models";

/**
 * A copy of the network with more input channels. The first convolution's weights of the new channels are zeros, so
 * that the copy computes the same until it has learned (Stable Diffusion's inpainting model began like this, Rombach et
 * al. 2022). The caller owns it.
 *
 * @throws RangeError if `in_channels` is less than the network has
 */
export function widenConvIn(unet: UNet2DConditionModel, in_channels: number): UNet2DConditionModel {
  const old = unet.config.in_channels;
  if (!(Number.isInteger(in_channels) && in_channels >= old)) {
    throw new RangeError(
      `widenConvIn: in_channels is ${in_channels}; give a whole number, at least ${old}, the network's present number.`,
    );
  }
  const wide = new UNet2DConditionModel({ ...unet.config, in_channels });
  const values = unet.parameters();
  for (const [name, parameter] of wide.namedParameters()) {
    const value = values.get(name)!;
    tf.tidy(() => {
      // In memory a kernel is [height, width, in, out].
      const isFirst = name === "conv_in.weight";
      parameter.assign(
        isFirst
          ? (value as tf.Tensor as tf.Tensor4D).pad([
              [0, 0],
              [0, 0],
              [0, in_channels - old],
              [0, 0],
            ])
          : value,
      );
    });
  }
  return wide;
}
