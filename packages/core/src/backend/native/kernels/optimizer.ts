import type { AdamWCoefficients } from "../../../training/adamw.js";
import type { NativeKernel } from "./kernel.js";

/**
 * Parameters p, moments m, v and gradients g of one shape -> new p, m, v. TensorFlow's own Adam in one pass over
 * memory, where operations one by one make thirteen. Its 1 - beta2 is taken in float32, for 0.999 by 1.3e-5 less, and
 * so is what is added to v.
 */
export const nativeAdamW: NativeKernel<"p" | "m" | "v" | "g", AdamWCoefficients> = (
  ops,
  { p, m, v, g },
  { keep, fresh1, keep2, eps, rate },
) => {
  const decayed = ops.mul(p, ops.scalar(keep));
  // The rate is corrected for Adam's bias already: as if infinitely many steps had been made.
  const [none, beta1] = [ops.scalar(0), ops.scalar(1 - fresh1)];
  const settings = [none, none, ops.scalar(rate), beta1, ops.scalar(keep2), ops.scalar(eps)];
  return ops.overwrite("ResourceApplyAdam", [decayed, m, v], [...settings, g]);
};
