import type * as tf from "@tensorflow/tfjs";
import { customGradient } from "./custom-gradient.js";
import { fusedOp } from "./fused-op.js";
import { ones, zeros } from "./initializers.js";
import { Parameter } from "./parameter.js";

/**
 * Layer normalisation (Ba et al. 2016, eq. 4): each token's features are shifted and scaled to mean 0
 * and variance 1.
 *
 * forward: [..., C] -> the same shape.
 */
export class LayerNorm {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(
    readonly features: number,
    readonly eps = 1e-5,
  ) {
    this.weight = new Parameter([features], ones);
    this.bias = new Parameter([features], zeros);
  }

  /** Borrows its arguments; the caller owns the result. */
  forward<T extends tf.Tensor>(x: T): T {
    return layerNorm(x, this.weight.value, this.bias.value, this.eps) as T;
  }
}

/** x [..., C], w, b [C] -> the same shape. */
export function layerNorm(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor, eps: number): tf.Tensor {
  return fusedOp("LayerNorm", { x, w, b }, { eps }, () => plainLayerNorm(x, w, b, eps));
}

/**
 * The reference of the fused kernel. The gradient is that of GroupNorm with one group for each token:
 * dL/dx = (w d - E[w d] - h E[w d h]) / s, h = (x - mean) / s.
 */
function plainLayerNorm(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor, eps: number): tf.Tensor {
  const rows = [-1, x.shape[x.rank - 1]!];
  return customGradient(
    [x, w, b],
    () => {
      const tokens = x.reshape(rows);
      const c = tokens.sub(tokens.mean(1, true));
      const inverse = c.square().mean(1, true).add(eps).rsqrt();
      const h = c.mul(inverse);
      return { value: h.mul(w).add(b).reshape(x.shape), saved: [h, inverse, w] };
    },
    (dy, [h, inverse, w]) => {
      const d = dy.reshape(rows);
      const dh = d.mul(h);
      const dw = d.mul(w);
      const slope = dh.mul(w).mean(1, true);
      const dx = dw.sub(h.mul(slope).add(dw.mean(1, true))).mul(inverse);
      return [dx.reshape(x.shape), dh.sum(0), d.sum(0)];
    },
  );
}
