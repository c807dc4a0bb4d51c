import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../platform/size-of.js";
import { endingsOf, type LoraFormat, misfit, missing, sameShape } from "./format.js";
import { tucker, tuckerShape } from "./tucker.js";

const HALVES = ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"];
const CORES = ["hada_t1", "hada_t2"];

/**
 * LoHa, the Hadamard product of two low-rank matrices (Hyeon-Woo et al. 2022, FedPara; LyCORIS, Yeh et al. 2024):
 *
 *     dW = (w1_a w1_b) * (w2_a w2_b), element by element
 *
 * w_a: [out, rank], w_b: [rank, in height width]. With cores t [rank, rank, height, width] each half is a kernel by
 * {@link tucker}'s decomposition of w_a [rank, out] and w_b [rank, in].
 */
export const LOHA: LoraFormat = {
  name: "LoHa",
  endings: endingsOf(...HALVES, ...CORES),

  problem(shapes, weight) {
    const hasCores = CORES.some((role) => shapes[role]);
    const absent = missing("LoHa", shapes, hasCores ? [...HALVES, ...CORES] : HALVES);
    if (absent !== undefined) return absent;
    const fits = [1, 2].every((half) => {
      const [a, b] = [shapes[`hada_w${half}_a`]!, shapes[`hada_w${half}_b`]!];
      if (hasCores) return sameShape(tuckerShape(shapes[`hada_t${half}`]!, a, b) ?? [], weight);
      const isProduct = a.length === 2 && b.length === 2 && a[1] === b[0];
      return isProduct && a[0] === weight[0] && b[1] === sizeOf(weight.slice(1));
    });
    return fits ? undefined : misfit(shapes, weight);
  },

  rank: ({ hada_w1_b: b }) => b![0],

  delta(tensors, weight) {
    const half = (number: 1 | 2) => {
      const [a, b] = [tensors[`hada_w${number}_a`] as tf.Tensor2D, tensors[`hada_w${number}_b`] as tf.Tensor2D];
      const core = tensors[`hada_t${number}`];
      return (core ? tucker(core, a, b) : tf.matMul(a, b)).reshape([...weight]);
    };
    return half(1).mul(half(2));
  },
};
