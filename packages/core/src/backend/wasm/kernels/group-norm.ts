import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { ELEMENTWISE } from "../context.js";
import type { SimdFunctions } from "../simd-binary.js";
import type { WasmLayerKernel } from "./kernel.js";

interface Attributes {
  groups: number;
  eps: number;
  /** SiLU of the result. */
  silu: boolean;
}

/** x [B, ..., C], w, b [C] -> the same shape, and mean and 1 / deviation [B, groups, 2] for the gradient. */
export const wasmGroupNorm: WasmLayerKernel<"x" | "w" | "b", Attributes, "saved0"> = {
  forward(wasm, { x, w, b }, { groups, eps, silu }) {
    const { batch, pixels, channels, width } = sizes(x, groups);
    const [y, statistics] = [wasm.output(x.shape), wasm.output([batch, groups, 2])];
    const argumentsOf = (part: Block, scratch: number): Parameters<SimdFunctions["groupNorm"]> => {
      const first = pixels * channels * part.picture + width * part.group;
      return [
        wasm.address(x, first),
        part.pictures,
        pixels,
        channels,
        width * part.groups,
        part.groups,
        wasm.address(w, width * part.group),
        wasm.address(b, width * part.group),
        eps,
        Number(silu),
        wasm.address(y, first),
        wasm.address(statistics, 2 * (groups * part.picture + part.group)),
        scratch,
      ];
    };
    const scratch = () => wasm.scratch.groupNormScratch(channels);
    if (wasm.isEven(batch)) {
      const cut = { count: batch, work: ELEMENTWISE * pixels * channels, scratch };
      wasm.run("groupNorm", cut, ({ from, size, scratch }) =>
        argumentsOf({ picture: from, pictures: size, group: 0, groups }, scratch),
      );
    } else {
      const cut = { count: groups, work: ELEMENTWISE * batch * pixels * width, scratch };
      wasm.run("groupNorm", cut, ({ from, size, scratch }) =>
        argumentsOf({ picture: 0, pictures: batch, group: from, groups: size }, scratch),
      );
    }
    return [y, statistics];
  },

  gradient(wasm, { x, w, b, saved0: statistics, dy }, { groups, silu }) {
    const { batch, pixels, channels, width } = sizes(x, groups);
    const [dx, dw, db] = [wasm.output(x.shape), wasm.output(w.shape), wasm.output(b.shape)];
    const argumentsOf = (
      part: Block,
      dwPart: number,
      dbPart: number,
      scratch: number,
    ): Parameters<SimdFunctions["groupNormGradient"]> => {
      const first = pixels * channels * part.picture + width * part.group;
      return [
        wasm.address(x, first),
        wasm.address(dy, first),
        part.pictures,
        pixels,
        channels,
        width * part.groups,
        part.groups,
        wasm.address(w, width * part.group),
        wasm.address(b, width * part.group),
        Number(silu),
        wasm.address(statistics, 2 * (groups * part.picture + part.group)),
        wasm.address(dx, first),
        dwPart,
        dbPart,
        scratch,
      ];
    };
    const scratch = () => wasm.scratch.groupNormScratch(channels);
    if (wasm.isEven(batch)) {
      const cut = { count: batch, work: ELEMENTWISE * pixels * channels, scratch };
      const sums = { sums: [wasm.address(dw), wasm.address(db)], length: channels };
      wasm.runAndSum("groupNormGradient", cut, sums, ({ from, size, scratch }, [dwPart, dbPart]) =>
        argumentsOf({ picture: from, pictures: size, group: 0, groups }, dwPart!, dbPart!, scratch),
      );
    } else {
      const cut = { count: groups, work: ELEMENTWISE * batch * pixels * width, scratch };
      wasm.run("groupNormGradient", cut, ({ from, size, scratch }) => {
        const [dwPart, dbPart] = [wasm.address(dw, width * from), wasm.address(db, width * from)];
        return argumentsOf({ picture: 0, pictures: batch, group: from, groups: size }, dwPart, dbPart, scratch);
      });
    }
    return [dx, dw, db];
  },
};

/** The groups from `group` on, in the pictures from `picture` on. */
type Block = Record<"picture" | "pictures" | "group" | "groups", number>;

function sizes({ shape }: tf.TensorInfo, groups: number) {
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  return { batch, channels, pixels: sizeOf(shape) / batch / channels, width: channels / groups };
}
