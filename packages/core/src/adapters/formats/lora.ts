import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../platform/size-of.js";
import { type ByRole, type Ending, type LoraFormat, misfit } from "./format.js";
import { tucker } from "./tucker.js";

/** The names in PEFT, in earlier versions of diffusers, and in kohya's scripts and LyCORIS. */
const ENDINGS: readonly (readonly [RegExp, role: string])[] = [
  [/\.lora_A(?:\.\w+)?\.weight$/, "down"],
  [/\.lora_B(?:\.\w+)?\.weight$/, "up"],
  [/\.lora(?:_linear_layer)?\.down\.weight$/, "down"],
  [/\.lora(?:_linear_layer)?\.up\.weight$/, "up"],
  [/\.lora_down\.weight$/, "down"],
  [/\.lora_up\.weight$/, "up"],
  [/\.lora_mid\.weight$/, "mid"],
];

/**
 * LoRA (Hu et al. 2022): dW = up down, with down [rank, in] and up [out, rank]. For a convolution (LoCon in LyCORIS),
 * down [rank, in, height, width] and up [out, rank, 1, 1] are two consecutive convolutions. With a `mid` [rank, rank,
 * height, width] there are three, of which the outer ones are 1 x 1: {@link tucker}'s decomposition.
 */
export const LORA: LoraFormat = {
  name: "LoRA",
  endings: ENDINGS.map(([pattern, role]): Ending => ({ pattern, role, of: "weight" })),

  problem({ down, up, mid }, weight) {
    if (!down || !up) return `its ${down ? "up" : "down"} matrix is missing`;
    const [out = 0, ...rest] = weight;
    const rank = down[0] ?? 0;
    const shapes: ByRole<readonly number[]> = { down, up, ...(mid && { mid }) };
    const [inputs = 1, ...kernel] = rest;
    const downSize = mid ? rank * inputs : rank * sizeOf(rest);
    const midFits = !mid || (sizeOf(mid) === rank * rank * sizeOf(kernel) && mid[0] === rank && mid[1] === rank);
    const fits = rank > 0 && up[0] === out && sizeOf(up) === out * rank && sizeOf(down) === downSize && midFits;
    return fits ? undefined : misfit(shapes, weight);
  },

  rank: ({ down }) => down![0],

  delta({ down, up, mid }, weight) {
    const rank = down!.shape[0];
    const [rows, columns] = [up!.reshape<tf.Tensor2D>([-1, rank]), down!.reshape<tf.Tensor2D>([rank, -1])];
    const delta = mid ? tucker(mid, rows.transpose<tf.Tensor2D>(), columns) : tf.matMul(rows, columns);
    return delta.reshape([...weight]);
  },
};
