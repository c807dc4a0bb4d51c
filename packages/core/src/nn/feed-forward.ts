import * as tf from "@tensorflow/tfjs";
import { gelu } from "./activations.js";
import { fusedOp } from "./fused-op.js";
import { Linear } from "./linear.js";

/** Gated GELU (Shazeer 2020): the projection's first half times the GELU of its second. [..., in] -> [..., out]. */
export class GEGLU {
  readonly proj: Linear;

  constructor(inFeatures: number, outFeatures: number) {
    this.proj = new Linear(inFeatures, 2 * outFeatures);
  }

  forward<T extends tf.Tensor>(x: T): T {
    return geglu(this.proj.forward(x)) as T;
  }
}

/** [..., 2 C] -> [..., C]. */
export function geglu(x: tf.Tensor): tf.Tensor {
  return fusedOp("Geglu", { x }, {}, () => plainGeglu(x));
}

/** The reference of the fused kernel. */
function plainGeglu(x: tf.Tensor): tf.Tensor {
  const [value, gate] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
  return value.mul(gelu(gate));
}

/** A linear layer and an exact GELU. [..., in] -> [..., out]. */
export class GELU {
  readonly proj: Linear;

  constructor(inFeatures: number, outFeatures: number) {
    this.proj = new Linear(inFeatures, outFeatures);
  }

  forward<T extends tf.Tensor>(x: T): T {
    return gelu(this.proj.forward(x));
  }
}

/** How the inner layer of {@link FeedForward} is activated. */
export type FeedForwardActivation = "geglu" | "gelu";

/** The two-layer network of a transformer block, 4 times as wide inside. [..., features] -> the same shape. */
export class FeedForward {
  /** Position 1 is the checkpoint's dropout, which has no weights. */
  readonly net: [GEGLU | GELU, null, Linear];

  constructor(features: number, activation: FeedForwardActivation = "geglu") {
    const Inner = activation === "geglu" ? GEGLU : GELU;
    this.net = [new Inner(features, 4 * features), null, new Linear(4 * features, features)];
  }

  /** Borrows its arguments; the caller owns the result. */
  forward<T extends tf.Tensor>(x: T): T {
    return this.net[2].forward(this.net[0].forward(x));
  }
}
