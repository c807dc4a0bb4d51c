import * as tf from "@tensorflow/tfjs";
import { addressOf, floatsOf, type WasmBackend, withScratch } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

export type Shape4D = [number, number, number, number];

interface ConvAttributes {
  strides: number | [number, number];
  pad: "same" | "valid" | number | tf.backend_util.ExplicitPadding;
  dataFormat: "NHWC" | "NCHW";
  dimRoundingMode?: "floor" | "round" | "ceil";
  dilations?: number | [number, number];
}

/**
 * tf.conv2d: inputs x [B, H, W, Cin], filter [kh, kw, Cin, Cout] -> [B, H', W', Cout]. Dilated ones stay with `stock`.
 */
export function conv2D(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const { x, filter } = call.inputs as { x: tf.TensorInfo; filter: tf.TensorInfo };
    const attributes = call.attrs as unknown as ConvAttributes;
    const isPlain = [attributes.dilations ?? 1].flat().every((dilation) => dilation === 1);
    if (!isPlain || attributes.dataFormat === "NCHW" || x.dtype !== "float32") return stock(call);
    const info = convInfo("Conv2D", x.shape, filter.shape, attributes);
    return convolve(simd, call.backend as WasmBackend, x, filter, false, info.outShape, geometryOf(info));
  };
}

/**
 * Gradient of conv2d with respect to its filter.
 * inputs x [B, H, W, Cin], dy [B, H', W', Cout] -> [kh, kw, Cin, Cout].
 */
export function conv2DBackpropFilter(simd: SimdKernels): tf.KernelFunc {
  return ({ inputs, attrs, backend: untyped }) => {
    const backend = untyped as WasmBackend;
    const { x, dy } = inputs as { x: tf.TensorInfo; dy: tf.TensorInfo };
    const { filterShape, ...rest } = attrs as unknown as ConvAttributes & { filterShape: Shape4D };
    const info = convInfo("Conv2DBackpropFilter", x.shape, filterShape, rest);
    return filterGradient(simd, backend, x, dy, filterShape, geometryOf(info));
  };
}

export function filterGradient(
  simd: SimdKernels,
  backend: WasmBackend,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  filterShape: Shape4D,
  { strides: [strideY, strideX], top, left }: Geometry,
): tf.TensorInfo {
  const [batch, inHeight, inWidth, inChannels] = x.shape as Shape4D;
  const [, outHeight, outWidth, outChannels] = dy.shape as Shape4D;
  const [filterHeight, filterWidth] = filterShape;
  const gradient = backend.makeOutput(filterShape, "float32");
  const bytes = simd.conv2dFilterGradientScratch(
    inWidth,
    inChannels,
    outHeight,
    outWidth,
    outChannels,
    filterHeight,
    filterWidth,
    strideY,
  );
  withScratch(backend, bytes, (scratch) =>
    simd.conv2dFilterGradient(
      addressOf(backend, x),
      batch,
      inHeight,
      inWidth,
      inChannels,
      inChannels,
      addressOf(backend, dy),
      outHeight,
      outWidth,
      outChannels,
      addressOf(backend, gradient),
      filterHeight,
      filterWidth,
      strideY,
      strideX,
      top,
      left,
      scratch,
    ),
  );
  return gradient;
}

/**
 * Gradient of conv2d with respect to its input: dy, spread out by the stride, convolved with the filter
 * turned by 180 degrees and its channels swapped.
 * inputs dy [B, H', W', Cout], filter [kh, kw, Cin, Cout] -> [B, H, W, Cin].
 */
export function conv2DBackpropInput(simd: SimdKernels): tf.KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const { dy, filter } = inputs as { dy: tf.TensorInfo; filter: tf.TensorInfo };
    const { inputShape, ...rest } = attrs as unknown as ConvAttributes & { inputShape: Shape4D };
    const info = convInfo("Conv2DBackpropInput", inputShape, filter.shape, rest);
    return inputGradient(simd, backend as WasmBackend, dy, filter, inputShape, geometryOf(info));
  };
}

export function inputGradient(
  simd: SimdKernels,
  backend: WasmBackend,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  inputShape: Shape4D,
  { strides: [strideY, strideX], top, left }: Geometry,
): tf.TensorInfo {
  const [filterHeight, filterWidth] = filter.shape as Shape4D;
  const geometry: Geometry = { strides: [1, 1], top: filterHeight - 1 - top, left: filterWidth - 1 - left };
  const run = (spread: tf.TensorInfo) => convolve(simd, backend, spread, filter, true, inputShape, geometry);
  if (strideY === 1 && strideX === 1) return run(dy);
  const spread = spreadOut(simd, backend, dy, strideY, strideX);
  try {
    return run(spread);
  } finally {
    backend.disposeData(spread.dataId);
  }
}

/** Where the filter's corner lies on the picture, and how far it moves. */
export interface Geometry {
  strides: [y: number, x: number];
  /** Rows and columns of zeros before the first; below 0, rows and columns that are skipped. */
  top: number;
  left: number;
}

function geometryOf({ strideHeight, strideWidth, padInfo: { top, left } }: tf.backend_util.Conv2DInfo): Geometry {
  return { strides: [strideHeight, strideWidth], top, left };
}

/**
 * With `turned`, the filter is [kh, kw, Cout, Cin] and turned by 180 degrees. `bias` is the address of what is added to
 * each channel, 0 for nothing.
 */
export function convolve(
  simd: SimdKernels,
  backend: WasmBackend,
  x: tf.TensorInfo,
  filter: tf.TensorInfo,
  turned: boolean,
  outShape: Shape4D,
  { strides: [strideY, strideX], top, left }: Geometry,
  bias = 0,
): tf.TensorInfo {
  const [batch, inHeight, inWidth, inChannels] = x.shape as Shape4D;
  const [filterHeight, filterWidth] = filter.shape as Shape4D;
  const [, outHeight, outWidth, outChannels] = outShape;
  const output = backend.makeOutput(outShape, "float32");
  const bytes = simd.conv2dScratch(
    inChannels,
    outHeight,
    outWidth,
    outChannels,
    filterHeight,
    filterWidth,
    strideY,
    strideX,
  );
  withScratch(backend, bytes, (scratch) =>
    simd.conv2d(
      addressOf(backend, x),
      batch,
      inHeight,
      inWidth,
      inChannels,
      addressOf(backend, filter),
      filterHeight,
      filterWidth,
      turned ? 1 : 0,
      bias,
      addressOf(backend, output),
      outHeight,
      outWidth,
      outChannels,
      strideY,
      strideX,
      top,
      left,
      scratch,
    ),
  );
  return output;
}

/** Puts stride - 1 zeros after every row and column: [B, H, W, C] -> [B, H*strideY, W*strideX, C]. */
function spreadOut(
  simd: SimdKernels,
  backend: WasmBackend,
  dy: tf.TensorInfo,
  strideY: number,
  strideX: number,
): tf.TensorInfo {
  const [batch, height, width, channels] = dy.shape as Shape4D;
  const spread = backend.makeOutput([batch, height * strideY, width * strideX, channels], "float32");
  floatsOf(backend, spread).fill(0);
  const pixel = 4 * channels;
  for (let row = 0; row < batch * height; row++) {
    const from = addressOf(backend, dy) + row * width * pixel;
    const to = addressOf(backend, spread) + row * strideY * width * strideX * pixel;
    simd.copyRows(from, pixel, to, strideX * pixel, pixel, width);
  }
  return spread;
}

function convInfo(kernel: string, inShape: number[], filterShape: number[], attributes: ConvAttributes) {
  const { strides, pad, dimRoundingMode, dataFormat } = attributes;
  if (dataFormat === "NCHW") throw new Error(`${kernel} on wasm: the data format must be NHWC, not NCHW.`);
  return tf.backend_util.computeConv2DInfo(
    inShape as Shape4D,
    filterShape as Shape4D,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
}
