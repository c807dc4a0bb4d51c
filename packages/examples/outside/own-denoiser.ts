import * as tf from "@tensorflow/tfjs";
import { type ConditionalDenoiser, Model } from "@tfjs-diffusion/core/models";
import { Conv2d, Linear } from "@tfjs-diffusion/core/nn";

/** A minimal custom denoiser: one convolution, shifted by the text and the time. */
export class OwnDenoiser extends Model implements ConditionalDenoiser {
  readonly config: { _class_name: "OwnDenoiser"; channels: number; context_width: number };
  readonly conv: Conv2d;
  readonly text: Linear;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly contextWidth: number;
  readonly sampleSize = [8, 8] as const;

  constructor({ channels = 4, context_width = 8 }: { channels?: number; context_width?: number } = {}) {
    super();
    this.config = { _class_name: "OwnDenoiser", channels, context_width };
    this.inChannels = this.outChannels = channels;
    this.contextWidth = context_width;
    this.conv = new Conv2d(channels, channels);
    this.text = new Linear(context_width, channels);
  }

  forward(x: tf.Tensor4D, t: number | tf.Tensor1D, context: tf.Tensor3D): tf.Tensor4D {
    return tf.tidy(() => {
      const shift = this.text.forward(context.mean<tf.Tensor2D>(1)).mul(tf.cos(tf.mul(t, 0.001)));
      return this.conv.forward(x).add(shift.reshape([-1, 1, 1, this.outChannels]));
    });
  }
}
