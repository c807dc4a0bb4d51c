import type * as tf from "@tensorflow/tfjs";
import { type Activation, activation, type ActivationName } from "../../nn/activations.js";
import { attend, requireHeads } from "../../nn/attention.js";
import { normal, zeros } from "../../nn/initializers.js";
import { LayerNorm } from "../../nn/layer-norm.js";
import { Linear } from "../../nn/linear.js";

/** The settings of the text tower's and the vision tower's transformers. */
export interface EncoderConfig {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  hidden_act: ActivationName;
  layer_norm_eps: number;
  initializer_factor: number;
}

/** A linear layer whose initial weight is normal and whose initial bias is zero, as in all of CLIP. */
function normalLinear(inFeatures: number, outFeatures: number, standardDeviation: number): Linear {
  return new Linear(inFeatures, outFeatures, { weightInit: normal(standardDeviation), biasInit: zeros });
}

class CLIPAttention {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly out_proj: Linear;
  readonly #heads: number;

  constructor({ hidden_size: width, num_attention_heads, num_hidden_layers, initializer_factor }: EncoderConfig) {
    requireHeads(width, num_attention_heads);
    this.#heads = num_attention_heads;
    const out = initializer_factor / Math.sqrt(width);
    const inward = () => normalLinear(width, width, out / Math.sqrt(2 * num_hidden_layers));
    this.q_proj = inward();
    this.k_proj = inward();
    this.v_proj = inward();
    this.out_proj = normalLinear(width, width, out);
  }

  forward(x: tf.Tensor3D, bias?: tf.Tensor): tf.Tensor3D {
    const mixed = attend(this.q_proj.forward(x), this.k_proj.forward(x), this.v_proj.forward(x), this.#heads, bias);
    return this.out_proj.forward(mixed);
  }
}

class CLIPMLP {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly #activation: Activation;

  constructor(config: EncoderConfig) {
    const { hidden_size: width, intermediate_size: inner, num_hidden_layers, initializer_factor } = config;
    const deviation = initializer_factor / Math.sqrt(2 * width);
    this.fc1 = normalLinear(width, inner, deviation);
    this.fc2 = normalLinear(inner, width, deviation / Math.sqrt(num_hidden_layers));
    this.#activation = activation(config.hidden_act);
  }

  forward(x: tf.Tensor3D): tf.Tensor3D {
    return this.fc2.forward(this.#activation(this.fc1.forward(x)));
  }
}

/** One pre-norm transformer layer: x += attention(norm(x)); x += mlp(norm(x)). [B, L, C] -> the same shape. */
class CLIPEncoderLayer {
  readonly layer_norm1: LayerNorm;
  readonly self_attn: CLIPAttention;
  readonly layer_norm2: LayerNorm;
  readonly mlp: CLIPMLP;

  constructor(config: EncoderConfig) {
    this.layer_norm1 = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.self_attn = new CLIPAttention(config);
    this.layer_norm2 = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.mlp = new CLIPMLP(config);
  }

  forward(x: tf.Tensor3D, bias?: tf.Tensor): tf.Tensor3D {
    const attended = x.add<tf.Tensor3D>(this.self_attn.forward(this.layer_norm1.forward(x), bias));
    return attended.add(this.mlp.forward(this.layer_norm2.forward(attended)));
  }
}

/** The transformer of both CLIP towers (Radford et al. 2021, section 2.4). */
export class CLIPEncoder {
  readonly layers: CLIPEncoderLayer[];

  constructor(config: EncoderConfig) {
    this.layers = Array.from({ length: config.num_hidden_layers }, () => new CLIPEncoderLayer(config));
  }

  /** x [B, L, C], bias added to the attention scores -> the states before each layer and after the last. */
  forward(x: tf.Tensor3D, bias?: tf.Tensor): tf.Tensor3D[] {
    const states = [x];
    for (const layer of this.layers) states.push(layer.forward(states[states.length - 1]!, bias));
    return states;
  }
}
