import { sizeOf } from "../../../platform/size-of.js";
import { ELEMENTWISE } from "../context.js";
import type { WasmLayerKernel } from "./kernel.js";

/** x -> the same shape. */
export const wasmSilu = elementwise("silu", "siluGradient");

/** x -> the same shape. */
export const wasmGelu = elementwise("gelu", "geluGradient");

function elementwise(forward: "silu" | "gelu", gradient: "siluGradient" | "geluGradient"): WasmLayerKernel<"x"> {
  return {
    forward(wasm, { x }) {
      const y = wasm.output(x.shape);
      wasm.run(forward, { count: sizeOf(x.shape), work: ELEMENTWISE }, ({ from, size }) => [
        wasm.address(x, from),
        size,
        wasm.address(y, from),
      ]);
      return [y];
    },

    gradient(wasm, { x, dy }) {
      const dx = wasm.output(x.shape);
      wasm.run(gradient, { count: sizeOf(x.shape), work: ELEMENTWISE }, ({ from, size }) => [
        wasm.address(x, from),
        wasm.address(dy, from),
        size,
        wasm.address(dx, from),
      ]);
      return [dx];
    },
  };
}

/** x [..., 2 C] -> [..., C]: the first half times the GELU of the second. */
export const wasmGeglu: WasmLayerKernel<"x"> = {
  forward(wasm, { x }) {
    const { rows, features } = halves(x.shape);
    const y = wasm.output([...x.shape.slice(0, -1), features]);
    wasm.run("geglu", { count: rows, work: ELEMENTWISE * features }, ({ from, size }) => [
      wasm.address(x, 2 * features * from),
      size,
      features,
      wasm.address(y, features * from),
    ]);
    return [y];
  },

  gradient(wasm, { x, dy }) {
    const { rows, features } = halves(x.shape);
    const dx = wasm.output(x.shape);
    wasm.run("gegluGradient", { count: rows, work: ELEMENTWISE * features }, ({ from, size }) => [
      wasm.address(x, 2 * features * from),
      wasm.address(dy, features * from),
      size,
      features,
      wasm.address(dx, 2 * features * from),
    ]);
    return [dx];
  },
};

function halves(shape: number[]) {
  const features = shape.at(-1)! / 2;
  return { rows: sizeOf(shape) / (2 * features), features };
}
