import * as tf from "@tensorflow/tfjs";
import {
  AdamW,
  Ema,
  ParameterBuckets,
  parameterGradients,
  type UNet2DConditionConfig,
  UNet2DConditionModel,
} from "@tfjs-diffusion/core";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { bareLoop, ddpmLoop } from "./sampler.js";

/** Something whose time is measured. */
export interface Workload {
  /** Multiplications and additions of one run; elementwise work counts as none. */
  flop: number;
  /** How many steps one run takes, where the time of a step is what counts. */
  steps?: number;
  /** Does it once. The caller owns the results, and waits for the first. */
  run(): tf.Tensor[];
}

interface Network {
  batch: number;
  /** Counted by hand for the convolutions, products and attention of one forward pass. */
  flop: number;
  config: Partial<UNet2DConditionConfig> & { sample_size: number; in_channels: number; cross_attention_dim: number };
}

/** The two networks of the comparison: that of the faces, and a small Stable Diffusion. */
const NETWORKS: Record<"faces" | "mini-sd", Network> = {
  faces: {
    batch: 8,
    flop: 2.415e9,
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
    flop: 13.545e9,
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
};

/** What can be measured, by name; each is built on the backend that is current when it is called. */
export const WORKLOADS: Record<string, () => Workload> = {
  "faces forward": () => forward(NETWORKS.faces),
  "faces train step": () => trainStep(NETWORKS.faces),
  "mini-sd forward": () => forward(NETWORKS["mini-sd"]),
  "mini-sd train step": () => trainStep(NETWORKS["mini-sd"]),
  "conv2d 3x3": () => convolution((x, filter) => [tf.conv2d(x, filter, 1, "same")], 1),
  "conv2d 3x3, both gradients": () => convolution((x, filter, dy) => gradients(x, filter, dy), 2),
  "matMul 1024x512x512": () => product([1024, 512], [512, 512]),
  "matMul, first transposed": () => product([512, 1024], [512, 512], true),
  "matMul 16 x 256x64x256, second transposed": () => product([16, 256, 64], [16, 256, 64], false, true),
  "sampler: DDPM, 1,000 steps of 8x8x3": ddpmLoop,
  "sampler: its operations alone": bareLoop,
};

/** What is told as a ratio, beside the times of both. */
export const RATIOS = [["sampler: DDPM, 1,000 steps of 8x8x3", "sampler: its operations alone"]] as const;

function build({ config, batch }: Network) {
  const model = new UNet2DConditionModel(config);
  model.initialize(keyedNoise(0));
  const noise = keyedNoise(1);
  const { sample_size: size, in_channels: channels, cross_attention_dim: width } = config;
  const x = noise.normal([batch, size, size, channels]) as tf.Tensor4D;
  const context = noise.normal([batch, 16, width]) as tf.Tensor3D;
  return { model, predict: () => model.forward(x, 500, context) };
}

function forward(network: Network): Workload {
  const { predict } = build(network);
  return { flop: network.flop, run: () => [predict()] };
}

/** Forward, backward, AdamW and the moving average, on a mean of squares. */
function trainStep(network: Network): Workload {
  const { model, predict } = build(network);
  const parameters = model.parameters();
  const buckets = new ParameterBuckets(parameters);
  const optimizer = new AdamW(buckets);
  const average = new Ema(buckets, 0.999);
  return {
    flop: 3 * network.flop,
    run: () => {
      const { loss, gradients } = parameterGradients(() => predict().square().mean(), parameters);
      optimizer.step(gradients, 1e-4);
      average.update();
      tf.dispose(gradients);
      return [loss];
    },
  };
}

function convolution(
  compute: (x: tf.Tensor4D, filter: tf.Tensor4D, dy: tf.Tensor4D) => tf.Tensor[],
  passes: number,
): Workload {
  const noise = keyedNoise(2);
  const x = noise.normal([8, 16, 16, 64]) as tf.Tensor4D;
  const filter = noise.normal([3, 3, 64, 64]) as tf.Tensor4D;
  const dy = noise.normal([8, 16, 16, 64]) as tf.Tensor4D;
  return { flop: passes * 2 * 8 * 16 * 16 * 9 * 64 * 64, run: () => compute(x, filter, dy) };
}

function gradients(x: tf.Tensor4D, filter: tf.Tensor4D, dy: tf.Tensor4D): tf.Tensor[] {
  const attributes = { strides: 1, pad: "same", dataFormat: "NHWC" };
  return [
    tf.engine().runKernel<tf.Tensor>(tf.Conv2DBackpropInput, { dy, filter }, { ...attributes, inputShape: x.shape }),
    tf.engine().runKernel<tf.Tensor>(tf.Conv2DBackpropFilter, { x, dy }, { ...attributes, filterShape: filter.shape }),
  ];
}

function product(aShape: number[], bShape: number[], transposeA = false, transposeB = false): Workload {
  const noise = keyedNoise(3);
  const [a, b] = [noise.normal(aShape), noise.normal(bShape)];
  const depth = aShape.at(transposeA ? -2 : -1)!;
  const result = tf.matMul(a, b, transposeA, transposeB);
  const flop = 2 * result.size * depth;
  result.dispose();
  return { flop, run: () => [tf.matMul(a, b, transposeA, transposeB)] };
}
