import * as tf from "@tensorflow/tfjs";
import { SchedulerConfigError } from "./errors.js";

/** What a network's output means: the noise, the clean sample, or the velocity between them. */
export type PredictionType = "epsilon" | "sample" | "v_prediction";

/** A network's output, seen as what it says of the clean sample and of the noise in x. */
export interface Prediction {
  x0: tf.Tensor;
  epsilon: tf.Tensor;
}

/**
 * With x = alpha x0 + sigma epsilon and alpha^2 + sigma^2 = 1, any one of x0, epsilon and v = alpha epsilon - sigma x0
 * (Salimans & Ho 2022) gives the others. The caller owns both results.
 */
const CONVERSIONS: Record<PredictionType, (output: tf.Tensor, x: tf.Tensor, alpha: number, sigma: number) => Prediction> = {
  epsilon: (output, x, alpha, sigma) => ({ x0: x.sub(output.mul(sigma)).div(alpha), epsilon: output.clone() }),
  sample: (output, x, alpha, sigma) => ({ x0: output.clone(), epsilon: x.sub(output.mul(alpha)).div(sigma) }),
  v_prediction: (output, x, alpha, sigma) => ({
    x0: x.mul(alpha).sub(output.mul(sigma)),
    epsilon: output.mul(alpha).add(x.mul(sigma)),
  }),
};

/** Reads a network's output at noise level alphaBar. */
export function predict(type: PredictionType, output: tf.Tensor, x: tf.Tensor, alphaBar: number): Prediction {
  return CONVERSIONS[type](output, x, Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar));
}

/** Throws SchedulerConfigError unless a method knows what `type` means. */
export function requirePredictionType(className: string, type: string): PredictionType {
  if (!Object.hasOwn(CONVERSIONS, type)) {
    throw new SchedulerConfigError(
      `${className}: prediction_type ${JSON.stringify(type)} is not known; known: ${Object.keys(CONVERSIONS).join(", ")}.`,
    );
  }
  return type as PredictionType;
}
