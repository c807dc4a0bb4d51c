import * as tf from "@tensorflow/tfjs";
import type { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { OnnxGraph, type Value } from "./graph.js";
import {
  constant,
  conv2d,
  groupNorm,
  resnetBlock,
  silu,
  timestepEmbedding,
  type Transformer,
  transformer,
} from "./layers.js";

/** Sizes of the inputs, which are fixed in our ONNX graphs. */
export interface UNetSizes {
  batch: number;
  height: number;
  width: number;
  tokens: number;
}

/** The supported settings, those of Stable Diffusion 1; all others are refused. */
const REQUIRED = {
  class_embed_type: null,
  addition_embed_type: null,
  encoder_hid_dim: null,
  time_cond_proj_dim: null,
  resnet_time_scale_shift: "default",
  use_linear_projection: false,
  act_fn: "silu",
  downsample_padding: 1,
  mid_block_type: "UNetMidBlock2DCrossAttn",
  center_input_sample: false,
} as const;

/**
 * The forward pass of a conditional UNet as an ONNX graph, with its weights.
 *
 * Inputs: x [B, C, H, W], timesteps [B], context [B, L, cross_attention_dim]; output: [B, out_channels, H, W]. H and W
 * must be even at every level but the last.
 */
export function unetToOnnx(unet: UNet2DConditionModel, { batch, height, width, tokens }: UNetSizes): OnnxGraph {
  const { config } = unet;
  for (const [key, value] of Object.entries(REQUIRED)) {
    const given = config[key as keyof typeof REQUIRED];
    if (given !== value)
      throw new RangeError(`unetToOnnx: ${key} is ${String(given)}; only ${String(value)} is written.`);
  }
  const graph = new OnnxGraph();
  const x = graph.input("x", [batch, config.in_channels, height, width]);
  const timesteps = graph.input("timesteps", [batch]);
  const context = graph.input("context", [batch, tokens, config.cross_attention_dim as number]);
  const time = silu(graph, timestepEmbedding(graph, unet.time_embedding, sinusoid(graph, timesteps, unet)));

  let h = conv2d(graph, unet.conv_in, x);
  const skips = [h];
  const attend = (layer: unknown, h: Value) => (layer ? transformer(graph, layer as Transformer, h, context) : h);
  for (const { resnets, attentions, downsamplers } of unet.down_blocks) {
    for (const [i, resnet] of resnets.entries()) {
      h = attend(attentions?.[i], resnetBlock(graph, resnet, h, time));
      skips.push(h);
    }
    if (downsamplers) skips.push((h = conv2d(graph, downsamplers[0].conv!, h, 2)));
  }
  const middle = unet.mid_block!;
  h = resnetBlock(graph, middle.resnets[0]!, h, time);
  h = resnetBlock(graph, middle.resnets[1]!, attend(middle.attentions![0], h), time);
  for (const { resnets, attentions, upsamplers } of unet.up_blocks) {
    for (const [i, resnet] of resnets.entries()) {
      h = attend(attentions?.[i], resnetBlock(graph, resnet, joined(graph, h, skips.pop()!), time));
    }
    if (upsamplers) h = conv2d(graph, upsamplers[0].conv!, doubled(graph, h));
  }
  graph.output(conv2d(graph, unet.conv_out, silu(graph, groupNorm(graph, unet.conv_norm_out, h))));
  return graph;
}

function sinusoid(graph: OnnxGraph, timesteps: Value, { config }: UNet2DConditionModel): Value {
  const [batch] = timesteps.shape as [number];
  const half = config.block_out_channels[0]! / 2;
  const values = Array.from({ length: half }, (_, k) => Math.exp((-Math.log(10000) * k) / (half - config.freq_shift)));
  const frequencies = constant(graph, () => tf.tensor2d(values, [1, half]));
  const angles = graph.node("Mul", [graph.reshape(timesteps, [batch, 1]), frequencies], [batch, half]);
  const waves = ["Sin", "Cos"].map((wave) => graph.node(wave, [angles], angles.shape));
  if (config.flip_sin_to_cos) waves.reverse();
  return graph.node("Concat", waves, [batch, 2 * half], { axis: 1 });
}

function joined(graph: OnnxGraph, a: Value, b: Value): Value {
  const [batch, channels, ...size] = a.shape as [number, number, number, number];
  return graph.node("Concat", [a, b], [batch, channels + b.shape[1]!, ...size], { axis: 1 });
}

/** Nearest neighbour, twice the height and width. */
function doubled(graph: OnnxGraph, x: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const scales = constant(graph, () => tf.tensor1d([1, 1, 2, 2]));
  const nothing = { name: "", shape: [] };
  return graph.node("Resize", [x, nothing, scales], [batch, channels, 2 * height, 2 * width], {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  });
}
