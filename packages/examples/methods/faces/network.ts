import * as tf from "@tensorflow/tfjs";
import { UNet2DModel } from "@tfjs-diffusion/core/models";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import { FACE_SIZE } from "../../datasets/faces/index.js";
import type { NetworkOptions, StudyNetwork } from "../subject.js";

/** Channels at 16 x 16 pixels. */
const WIDTH = 24;

/** A UNet of two levels for faces of 16 x 16 pixels; the lower one, at 8 x 8, has attention. */
export class FaceNetwork implements StudyNetwork<tf.Tensor4D> {
  readonly options: Required<NetworkOptions>;
  readonly unet: UNet2DModel;

  constructor(noise: KeyedNoise, { width = WIDTH, classes = 0, timeScale = 1e-3 }: NetworkOptions = {}) {
    this.options = { width, classes, timeScale };
    this.unet = new UNet2DModel({
      sample_size: FACE_SIZE,
      block_out_channels: [width, 2 * width],
      layers_per_block: 1,
      down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
      up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
      attention_head_dim: 16,
      norm_num_groups: 8,
      // One more for "no class".
      num_class_embeds: classes === 0 ? null : classes + 1,
    });
    this.unet.initialize(noise);
  }

  forward(x: tf.Tensor4D, told: readonly number[], labels: readonly number[] = []): tf.Tensor4D {
    const { classes, timeScale } = this.options;
    return tf.tidy(() => {
      // The waves that tell a UNet its time are made for 0 to 1000.
      const times = tf.tensor1d(told.map((t) => 1000 * timeScale * t));
      if (classes === 0) return this.unet.forward(x, times);
      const ids = Int32Array.from(told, (_, i) => labels[i] ?? classes);
      return this.unet.forward(x, times, { classLabels: tf.tensor1d(ids, "int32") });
    });
  }

  parameters(): Map<string, tf.Variable> {
    return this.unet.parameters();
  }

  dispose(): void {
    this.unet.dispose();
  }
}
