import { sizeOf } from "../../../platform/size-of.js";
import { ELEMENTWISE } from "../context.js";
import type { WasmLayerKernel } from "./kernel.js";

/** x [..., C], w, b [C] -> the same shape, and mean and 1 / deviation [rows, 2] for the gradient. */
export const wasmLayerNorm: WasmLayerKernel<"x" | "w" | "b", { eps: number }, "saved0"> = {
  forward(wasm, { x, w, b }, { eps }) {
    const { rows, features } = sizes(x.shape);
    const [y, statistics] = [wasm.output(x.shape), wasm.output([rows, 2])];
    wasm.run("layerNorm", { count: rows, work: ELEMENTWISE * features }, ({ from, size }) => [
      wasm.address(x, features * from),
      size,
      features,
      wasm.address(w),
      wasm.address(b),
      eps,
      wasm.address(y, features * from),
      wasm.address(statistics, 2 * from),
    ]);
    return [y, statistics];
  },

  gradient(wasm, { x, w, b, saved0: statistics, dy }) {
    const { rows, features } = sizes(x.shape);
    const [dx, dw, db] = [wasm.output(x.shape), wasm.output(w.shape), wasm.output(b.shape)];
    const scratch = () => wasm.scratch.layerNormScratch(features);
    const sums = { sums: [wasm.address(dw), wasm.address(db)], length: features };
    const cut = { count: rows, work: ELEMENTWISE * features, scratch };
    wasm.runAndSum("layerNormGradient", cut, sums, ({ from, size, scratch }, [dwPart, dbPart]) => [
      wasm.address(x, features * from),
      wasm.address(dy, features * from),
      size,
      features,
      wasm.address(w),
      wasm.address(statistics, 2 * from),
      wasm.address(dx, features * from),
      dwPart!,
      dbPart!,
      scratch,
    ]);
    return [dx, dw, db];
  },
};

function sizes(shape: number[]) {
  const features = shape.at(-1)!;
  return { rows: sizeOf(shape) / features, features };
}
