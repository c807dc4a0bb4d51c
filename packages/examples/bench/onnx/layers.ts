/** Our layers as ONNX nodes. Pictures are [B, C, H, W] there, tokens [B, N, C] as here. */
import * as tf from "@tensorflow/tfjs";
import type { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import type { Conv2d, Linear, Parameter } from "@tfjs-diffusion/core/nn";
import type { OnnxGraph, Value } from "./graph.js";

type GroupNorm = UNet2DConditionModel["conv_norm_out"];
type ResnetBlock = UNet2DConditionModel["up_blocks"][number]["resnets"][number];
type TimestepEmbedding = UNet2DConditionModel["time_embedding"];

interface LayerNorm {
  weight: Parameter;
  bias: Parameter;
  eps: number;
}

interface Attention {
  heads: number;
  channels: number;
  to_q: Linear;
  to_k: Linear;
  to_v: Linear;
  to_out: [Linear];
}

interface TransformerBlock {
  norm1: LayerNorm;
  attn1: Attention;
  norm2: LayerNorm;
  attn2: Attention;
  norm3: LayerNorm;
  ff: { net: [{ proj: Linear }, null, Linear] };
}

/** The part of Stable Diffusion 1's attention layer that the exporter reads. */
export interface Transformer {
  norm: GroupNorm;
  proj_in: Conv2d;
  transformer_blocks: TransformerBlock[];
  proj_out: Conv2d;
}

/** A parameter in PyTorch's order, or in `shape`. */
function weight(graph: OnnxGraph, parameter: Parameter, shape?: number[]): Value {
  return constant(graph, () => (shape ? parameter.toDisk().reshape(shape) : parameter.toDisk()));
}

/** The constant that `make` returns; frees what it makes. */
export function constant(graph: OnnxGraph, make: () => tf.Tensor): Value {
  let value!: Value;
  tf.tidy(() => void (value = graph.constant(make())));
  return value;
}

export function conv2d(graph: OnnxGraph, layer: Conv2d, x: Value, stride = 1): Value {
  const [batch, , height, width] = x.shape as [number, number, number, number];
  const kernel = layer.weight.shape[0]!;
  const pad = (kernel - 1) >> 1;
  const inputs = [x, weight(graph, layer.weight)];
  if (layer.bias) inputs.push(weight(graph, layer.bias));
  const resized = [height, width].map((size) => Math.floor((size + 2 * pad - kernel) / stride) + 1);
  return graph.node("Conv", inputs, [batch, layer.outChannels, ...resized], {
    kernel_shape: [kernel, kernel],
    pads: [pad, pad, pad, pad],
    strides: [stride, stride],
  });
}

/** As in PyTorch's exporter: instance normalisation of the groups, then scale and shift of each channel. */
export function groupNorm(graph: OnnxGraph, layer: GroupNorm, x: Value): Value {
  const { groups, channels, eps } = layer;
  const grouped = graph.reshape(x, [x.shape[0]!, groups, x.shape.slice(1).reduce((a, b) => a * b) / groups]);
  const unit = [tf.ones, tf.zeros].map((fill) => constant(graph, () => fill([groups])));
  const normal = graph.node("InstanceNormalization", [grouped, ...unit], grouped.shape, { epsilon: { float: eps } });
  const scaled = graph.multiply(graph.reshape(normal, x.shape), weight(graph, layer.weight, [channels, 1, 1]));
  return graph.add(scaled, weight(graph, layer.bias, [channels, 1, 1]));
}

export function silu(graph: OnnxGraph, x: Value): Value {
  return graph.multiply(x, graph.node("Sigmoid", [x], x.shape));
}

export function linear(graph: OnnxGraph, layer: Linear, x: Value): Value {
  const matrix = graph.constant(layer.weight.value);
  const product = graph.node("MatMul", [x, matrix], [...x.shape.slice(0, -1), layer.outFeatures]);
  return layer.bias ? graph.add(product, weight(graph, layer.bias)) : product;
}

export function timestepEmbedding(graph: OnnxGraph, layer: TimestepEmbedding, x: Value): Value {
  return linear(graph, layer.linear_2, silu(graph, linear(graph, layer.linear_1, x)));
}

/** `time` is activated already. */
export function resnetBlock(graph: OnnxGraph, layer: ResnetBlock, x: Value, time: Value): Value {
  let h = conv2d(graph, layer.conv1, silu(graph, groupNorm(graph, layer.norm1, x)));
  const projected = linear(graph, layer.time_emb_proj!, time);
  h = graph.add(h, graph.reshape(projected, [...projected.shape, 1, 1]));
  h = conv2d(graph, layer.conv2, silu(graph, groupNorm(graph, layer.norm2, h)));
  return graph.add(layer.conv_shortcut ? conv2d(graph, layer.conv_shortcut, x) : x, h);
}

export function transformer(graph: OnnxGraph, layer: Transformer, x: Value, context: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const projected = conv2d(graph, layer.proj_in, groupNorm(graph, layer.norm, x));
  let tokens = graph.reshape(graph.transpose(projected, [0, 2, 3, 1]), [batch, height * width, channels]);
  for (const block of layer.transformer_blocks) tokens = transformerBlock(graph, block, tokens, context);
  const pixels = graph.transpose(graph.reshape(tokens, [batch, height, width, channels]), [0, 3, 1, 2]);
  return graph.add(x, conv2d(graph, layer.proj_out, pixels));
}

function transformerBlock(graph: OnnxGraph, block: TransformerBlock, x: Value, context: Value): Value {
  const own = layerNorm(graph, block.norm1, x);
  let y = graph.add(x, attention(graph, block.attn1, own, own));
  y = graph.add(y, attention(graph, block.attn2, layerNorm(graph, block.norm2, y), context));
  const [inner, , outer] = block.ff.net;
  const both = linear(graph, inner.proj, layerNorm(graph, block.norm3, y));
  const half = [...both.shape.slice(0, -1), both.shape.at(-1)! / 2];
  const [value, gate] = graph.split("Split", [both], [half, half], { axis: -1, num_outputs: 2 }) as [Value, Value];
  const gated = graph.multiply(value, graph.node("Gelu", [gate], half));
  return graph.add(y, linear(graph, outer, gated));
}

function layerNorm(graph: OnnxGraph, layer: LayerNorm, x: Value): Value {
  const inputs = [x, weight(graph, layer.weight), weight(graph, layer.bias)];
  return graph.node("LayerNormalization", inputs, x.shape, { axis: -1, epsilon: { float: layer.eps } });
}

function attention(graph: OnnxGraph, layer: Attention, x: Value, context: Value): Value {
  const { heads, channels } = layer;
  const split = (tokens: Value, perm: number[]) => {
    const [batch, length] = tokens.shape as [number, number];
    return graph.transpose(graph.reshape(tokens, [batch, length, heads, channels / heads]), perm);
  };
  const scale = graph.scalar(Math.sqrt(heads / channels));
  const queries = graph.multiply(split(linear(graph, layer.to_q, x), [0, 2, 1, 3]), scale);
  const keys = split(linear(graph, layer.to_k, context), [0, 2, 3, 1]);
  const values = split(linear(graph, layer.to_v, context), [0, 2, 1, 3]);
  const scores = graph.node("MatMul", [queries, keys], [...queries.shape.slice(0, 3), keys.shape[3]!]);
  const shares = graph.node("Softmax", [scores], scores.shape, { axis: -1 });
  const mixed = graph.transpose(graph.node("MatMul", [shares, values], queries.shape), [0, 2, 1, 3]);
  return linear(graph, layer.to_out[0], graph.reshape(mixed, x.shape));
}
