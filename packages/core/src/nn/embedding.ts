import * as tf from "@tensorflow/tfjs";
import { normal } from "./initializers.js";
import { type Initializer, Parameter } from "./parameter.js";

/**
 * A table of learned vectors.
 *
 * forward: int32 ids [...] in 0 .. count - 1 -> [..., features].
 */
export class Embedding {
  weight: Parameter;

  constructor(
    count: number,
    readonly features: number,
    readonly weightInit: Initializer = normal(1),
  ) {
    this.weight = new Parameter([count, features], weightInit);
  }

  /** Adds vectors [n, features] at the end, in a new parameter; borrows them. */
  append(vectors: tf.Tensor2D): void {
    const longer = tf.concat([this.weight.value, vectors]);
    this.weight.dispose();
    this.weight = new Parameter(longer.shape, this.weightInit);
    this.weight.assign(longer);
    longer.dispose();
  }

  /** Borrows its arguments; the caller owns the result. */
  forward(ids: tf.Tensor): tf.Tensor {
    return tf.gather(this.weight.value, ids);
  }
}
