import * as tf from "@tensorflow/tfjs";
import { torchDefault } from "./initializers.js";
import { type Initializer, Parameter } from "./parameter.js";

export interface LinearOptions {
  bias?: boolean;
  /** First value of the weight; default PyTorch's. */
  weightInit?: Initializer;
  biasInit?: Initializer;
}

/**
 * A fully connected layer: y = x W + b.
 *
 * forward: [..., inFeatures] -> [..., outFeatures].
 */
export class Linear {
  readonly weight: Parameter;
  readonly bias?: Parameter;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    { bias = true, weightInit = torchDefault(inFeatures), biasInit = torchDefault(inFeatures) }: LinearOptions = {},
  ) {
    this.weight = new Parameter([inFeatures, outFeatures], weightInit, "linear");
    if (bias) this.bias = new Parameter([outFeatures], biasInit);
  }

  forward<T extends tf.Tensor>(x: T): T {
    // One plain matrix product: with a batch dimension, the gradient of a broadcast weight is slow or missing.
    const rows = x.rank === 2 ? x : x.reshape([-1, this.inFeatures]);
    const product = tf.matMul(rows, this.weight.value);
    const y = this.bias ? product.add(this.bias.value) : product;
    return (x.rank === 2 ? y : y.reshape([...x.shape.slice(0, -1), this.outFeatures])) as T;
  }
}
