import type { AdamWCoefficients } from "../../../training/adamw.js";
import type { NativeKernel } from "./kernel.js";

/**
 * Parameters p, moments m, v and gradients g of one shape -> new p, m, v. TensorFlow's own Adam makes one pass over
 * memory; single operations make thirteen. It computes 1 - beta2 in float32: for 0.999 that is 1.3e-5 too small, and so
 * is the fraction that is added to v.
 */
export const nativeAdamW: NativeKernel<"p" | "m" | "v" | "g", AdamWCoefficients> = (
  ops,
  { p, m, v, g },
  { keep, fresh1, keep2, eps, rate },
) => {
  const decayed = ops.mul(p, ops.scalar(keep));
  // The rate already includes Adam's bias correction. With powers of beta of 0, the operation adds none.
  const [none, beta1] = [ops.scalar(0), ops.scalar(1 - fresh1)];
  const settings = [none, none, ops.scalar(rate), beta1, ops.scalar(keep2), ops.scalar(eps)];
  return ops.overwrite("ResourceApplyAdam", [decayed, m, v], [...settings, g]);
};
