import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../platform/size-of.js";
import { type ByRole, endingsOf, type LoraFormat, misfit, sameShape } from "./format.js";
import { tucker, tuckerShape } from "./tucker.js";

/**
 * LoKr, the Kronecker product of a small and a large matrix (LyCORIS, Yeh et al. 2024):
 *
 *     dW[o1 O2 + o2, i1 I2 + i2, y, x] = w1[o1, i1] w2[o2, i2, y, x]
 *
 * w1: [O1, I1], w2: [O2, I2, height, width]. Each is stored as a whole, or as a product of two factors, `w_a` [., rank]
 * and `w_b` [rank, .]; w2 can also be a kernel by {@link tucker}'s decomposition with a core `t2`. Alpha applies only
 * if there is a factor. If both are whole, LyCORIS and ComfyUI use the change unscaled, and PEFT divides by the rank of
 * its settings.
 */
export const LOKR: LoraFormat = {
  name: "LoKr",
  endings: endingsOf("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),

  problem(shapes, weight) {
    for (const half of ["lokr_w1", "lokr_w2"]) {
      const factors = [`${half}_a`, `${half}_b`, ...(half === "lokr_w2" ? ["lokr_t2"] : [])];
      const given = factors.filter((role) => shapes[role]);
      if (shapes[half] && given.length > 0) return `its LoKr has ${half} both as a whole and as ${given.join(", ")}`;
      const absent = factors.slice(0, 2).filter((role) => !shapes[role]);
      if (!shapes[half] && absent.length > 0) return `its LoKr lacks ${absent.length < 2 ? absent[0] : half}`;
    }
    const [left, right] = [leftShape(shapes), rightShape(shapes)];
    if (left?.length !== 2 || !right || right.length < 2) return misfit(shapes, weight);
    const product = [left[0]! * right[0]!, left[1]! * right[1]!, ...right.slice(2)];
    // The columns of the product contain the kernel's height and width.
    const isFlat = right.length === 2 && weight[1]! % left[1]! === 0;
    const fits = sameShape(product, isFlat ? [weight[0]!, sizeOf(weight.slice(1))] : weight);
    return fits ? undefined : misfit(shapes, weight);
  },

  rank: ({ lokr_w1_b: first, lokr_w2_b: second }) => (second ?? first)?.[0],

  delta(tensors, weight) {
    const left = tensors.lokr_w1 ?? tf.matMul(tensors.lokr_w1_a!, tensors.lokr_w1_b!);
    const right = rightFactor(tensors);
    const [o1, i1] = left.shape as [number, number];
    const o2 = right.shape[0];
    // The axes [i2, y, x] are kept together, so that the product of matrices is the product of kernels.
    return left
      .reshape([o1, 1, i1, 1])
      .mul(right.reshape([1, o2, 1, -1]))
      .reshape([...weight]);
  },
};

function rightFactor({ lokr_w2: whole, lokr_w2_a: a, lokr_w2_b: b, lokr_t2: core }: ByRole<tf.Tensor>): tf.Tensor {
  if (whole) return whole;
  return core ? tucker(core, a as tf.Tensor2D, b as tf.Tensor2D) : tf.matMul(a!, b!);
}

function leftShape({ lokr_w1: whole, lokr_w1_a: a, lokr_w1_b: b }: ByRole<readonly number[]>) {
  return whole ?? productShape(a!, b!);
}

function rightShape({ lokr_w2: whole, lokr_w2_a: a, lokr_w2_b: b, lokr_t2: core }: ByRole<readonly number[]>) {
  return whole ?? (core ? tuckerShape(core, a!, b!) : productShape(a!, b!));
}

function productShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  return a.length === 2 && b.length === 2 && a[1] === b[0] ? [a[0]!, b[1]!] : undefined;
}
