import * as tf from "@tensorflow/tfjs";
import { impliedX0, type Mixture, type TrainingLevel } from "@tfjs-diffusion/schedulers";
import { perSample } from "./per-sample.js";

/**
 * Moves samples along the probability flow, from the noise levels of the network's input to other levels, in one step
 * (Song et al. 2021a, eq. 12, eta 0): x0 and noise are computed from the output and mixed again.
 *
 * @param shown the network's input, [B, ...]
 * @param output the network's output
 * @param from the noise level of each sample
 * @param to the mixture that each becomes
 * @returns [B, ...]; the caller owns it
 */
export function ddimMove<X extends tf.Tensor>(
  shown: X,
  output: tf.Tensor,
  from: readonly TrainingLevel[],
  to: readonly Mixture[],
): X {
  return tf.tidy(() => {
    const column = (of: (i: number) => number) =>
      perSample(
        from.map((_, i) => of(i)),
        shown.rank,
      );
    // a' x0 + s' (x - a x0) / s
    const ratio = (i: number) => to[i]!.ofNoise / from[i]!.input.ofNoise;
    const x0 = impliedX0(from, shown, output);
    return shown.mul(column(ratio)).add<X>(x0.mul(column((i) => to[i]!.ofX0 - ratio(i) * from[i]!.input.ofX0)));
  });
}
