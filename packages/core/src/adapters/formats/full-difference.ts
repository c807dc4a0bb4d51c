import { type Ending, type LoraFormat, misfit, sameShape } from "./format.js";

const ENDINGS: readonly (readonly [RegExp, of: Ending["of"]])[] = [
  [/\.(?:diff|w_norm)$/, "weight"],
  [/\.(?:diff_b|b_norm)$/, "bias"],
];

/**
 * The full difference of a weight or a bias, as LyCORIS ("full") and ComfyUI write it, mostly for norms and biases in
 * addition to a LoRA: dW = diff. It has no alpha.
 */
export const FULL_DIFFERENCE: LoraFormat = {
  name: "full difference",
  endings: ENDINGS.map(([pattern, of]) => ({ pattern, role: "diff", of })),
  problem: ({ diff }, weight) => (sameShape(diff!, weight) ? undefined : misfit({ diff: diff! }, weight)),
  delta: ({ diff }, weight) => diff!.reshape([...weight]),
};
