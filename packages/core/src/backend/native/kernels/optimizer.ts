import type { AdamWCoefficients } from "../../../training/adamw.js";
import type { NativeKernel } from "./kernel.js";

/**
 * Parameters p, moments m, v and gradients g of one shape -> new p, m, v. TensorFlow's own Adam makes one pass over
 * memory, where single operations make thirteen. It computes 1 - beta2 in float32: for 0.999 that is 1.3e-5 too small,
 * and so is the share that is added to v.
 */
export const nativeAdamW: NativeKernel<"p" | "m" | "v" | "g", AdamWCoefficients> = (
  ops,
  { p, m, v, g },
  { keep, fresh1, keep2, eps, rate },
) => {
  const decayed = ops.mul(p, ops.scalar(keep));
  // The rate is corrected for Adam's bias already, so the operation must not correct it: its powers of beta are 0.
  const [none, beta1] = [ops.scalar(0), ops.scalar(1 - fresh1)];
  const settings = [none, none, ops.scalar(rate), beta1, ops.scalar(keep2), ops.scalar(eps)];
  return ops.overwrite("ResourceApplyAdam", [decayed, m, v], [...settings, g]);
};
