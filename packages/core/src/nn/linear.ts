import * as tf from "@tensorflow/tfjs";
import { customGradient } from "./custom-gradient.js";
import { fusedOp } from "./fused-op.js";
import { torchDefault } from "./initializers.js";
import { type Initializer, Parameter } from "./parameter.js";

/** Whether there is a bias (default: yes), and the initial values. */
export interface LinearOptions {
  bias?: boolean;
  /** Initialiser of the weight. Default: PyTorch's. */
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

  /** [..., in] -> [..., out]. */
  forward<T extends tf.Tensor>(x: T): T {
    return affine(x, this.weight.value, this.bias?.value) as T;
  }
}

/** x W + b on the last axis of x: [..., in], [in, out], [out] -> [..., out]. */
export function affine(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const inputs = { x, weight, ...(bias && { bias }) };
  return fusedOp("Affine", inputs, {}, () => plainAffine(x, weight, bias));
}

/**
 * The reference of the fused kernel. It is one matrix product without a batch axis, because a batched product's
 * gradient for the weight is slow or missing. The hand-written gradient takes half the operations.
 */
function plainAffine(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const [inFeatures, outFeatures] = weight.shape as [number, number];
  const toRows = (x: tf.Tensor, features: number) => (x.rank === 2 ? x : x.reshape([-1, features]));
  const fromRows = (rows: tf.Tensor, features: number) =>
    x.rank === 2 ? rows : rows.reshape([...x.shape.slice(0, -1), features]);
  return customGradient(
    bias ? [x, weight, bias] : [x, weight],
    () => {
      const rows = toRows(x, inFeatures);
      const product = tf.matMul(rows, weight);
      return { value: fromRows(bias ? product.add(bias) : product, outFeatures), saved: [rows, weight] };
    },
    (dy, [rows, weight]) => {
      const d = toRows(dy, outFeatures);
      const gradients = [fromRows(tf.matMul(d, weight, false, true), inFeatures), tf.matMul(rows, d, true)];
      return bias ? [...gradients, d.sum(0)] : gradients;
    },
  );
}
