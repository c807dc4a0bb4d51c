import { convolve, filterGradient, type Geometry, inputGradient, type Shape4D } from "./conv2d.js";
import type { WasmLayerKernel } from "./kernel.js";
import { sumRows } from "./reduce.js";

interface Attributes {
  stride: number;
  /** Zeros around the picture: above and left, below and right. */
  before: number;
  after: number;
}

/** x [B, H, W, Cin], filter [kh, kw, Cin, Cout], optional bias [Cout] -> [B, H', W', Cout]. */
export const wasmConv2D: WasmLayerKernel<"x" | "filter" | "bias", Attributes> = {
  forward(wasm, { x, filter, bias }, attributes) {
    const [batch, height, width] = x.shape as Shape4D;
    const [kernelHeight, kernelWidth, , channels] = filter.shape as Shape4D;
    const { stride, before, after } = attributes;
    const resized = (size: number, kernel: number) => Math.floor((size + before + after - kernel) / stride) + 1;
    const outShape: Shape4D = [batch, resized(height, kernelHeight), resized(width, kernelWidth), channels];
    return [convolve(wasm, x, filter, outShape, geometryOf(attributes), { bias })];
  },

  /** dy [B, H', W', Cout] -> gradients of x, filter and the bias, if there is one. */
  gradient(wasm, { x, filter, bias, dy }, attributes) {
    const geometry = geometryOf(attributes);
    const dx = inputGradient(wasm, dy, filter, x.shape as Shape4D, geometry);
    const dFilter = filterGradient(wasm, x, dy, filter.shape as Shape4D, geometry);
    return bias ? [dx, dFilter, sumRows(wasm, dy, bias.shape)] : [dx, dFilter];
  },
};

function geometryOf({ stride, before }: Attributes): Geometry {
  return { strides: [stride, stride], top: before, left: before };
}
