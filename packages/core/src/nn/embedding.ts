import * as tf from "@tensorflow/tfjs";
import { normal } from "./initializers.js";
import { type Initializer, Parameter } from "./parameter.js";

/**
 * A table of learned vectors.
 *
 * forward: int32 ids [...] in 0 .. count - 1 -> [..., features].
 */
export class Embedding {
  readonly weight: Parameter;

  constructor(
    readonly count: number,
    readonly features: number,
    weightInit: Initializer = normal(1),
  ) {
    this.weight = new Parameter([count, features], weightInit);
  }

  forward(ids: tf.Tensor): tf.Tensor {
    return tf.gather(this.weight.value, ids);
  }
}
