import * as tf from "@tensorflow/tfjs";
import { type UNet2DConditionConfig, UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";

export interface Network {
  batch: number;
  /** Multiplications and additions of one forward pass: convolutions, matrix products and attention. */
  flop: number;
  /**
   * True: all weights are the same number, because random weights would take minutes to draw. The computing time is the
   * same.
   */
  manyWeights?: boolean;
  config: Partial<UNet2DConditionConfig> & { sample_size: number; in_channels: number; cross_attention_dim: number };
}

/** Tokens of the text that the networks read. */
export const TOKENS = 16;

/** The timestep that they get. */
export const TIMESTEP = 500;

/** The two networks of the comparison: that of the faces, and a small Stable Diffusion. */
export const NETWORKS = {
  faces: {
    batch: 8,
    flop: 2_474_713_088,
    config: {
      sample_size: 16,
      in_channels: 3,
      out_channels: 3,
      block_out_channels: [32, 64, 96],
      down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
      up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
      layers_per_block: 2,
      cross_attention_dim: 64,
      attention_head_dim: 4,
      norm_num_groups: 8,
    },
  },
  "mini-sd": {
    batch: 2,
    flop: 16_678_780_928,
    config: {
      sample_size: 32,
      in_channels: 4,
      out_channels: 4,
      block_out_channels: [64, 128, 256, 256],
      down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
      up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
      layers_per_block: 2,
      cross_attention_dim: 128,
      attention_head_dim: 8,
      norm_num_groups: 32,
    },
  },
} satisfies Record<string, Network>;

/**
 * The networks for measuring a graphics card: these, and Stable Diffusion 1.5's UNet (860 million parameters) at 64 x
 * 64 latents.
 */
export const CARD_NETWORKS: Record<string, Network> = {
  ...NETWORKS,
  "sd-1.5": {
    batch: 1,
    flop: 798_116_413_440,
    manyWeights: true,
    config: { sample_size: 64, in_channels: 4, cross_attention_dim: 768 },
  },
};

export type NetworkName = keyof typeof NETWORKS;

/** The network with random weights, and noise as its inputs, the same on every backend. The caller owns them. */
export function buildNetwork({ config, batch, manyWeights }: Network) {
  const model = new UNet2DConditionModel(config);
  if (manyWeights) {
    for (const [, parameter] of model.namedParameters())
      tf.tidy(() => parameter.assign(tf.fill(parameter.shape, 0.01)));
  } else {
    model.initialize(keyedNoise(0));
  }
  const noise = keyedNoise(1);
  const { sample_size: size, in_channels: channels, cross_attention_dim: width } = config;
  const x = noise.normal([batch, size, size, channels]) as tf.Tensor4D;
  const context = noise.normal([batch, TOKENS, width]) as tf.Tensor3D;
  return { model, x, context, predict: () => model.forward(x, TIMESTEP, context) };
}
