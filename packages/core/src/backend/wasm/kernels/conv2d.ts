import * as tf from "@tensorflow/tfjs";
import type { WasmContext } from "../context.js";
import { FLOAT_BYTES, floatsOf } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";

export type Shape4D = [number, number, number, number];

interface ConvAttributes {
  strides: number | [number, number];
  pad: "same" | "valid" | number | tf.backend_util.ExplicitPadding;
  dataFormat: "NHWC" | "NCHW";
  dimRoundingMode?: "floor" | "round" | "ceil";
  dilations?: number | [number, number];
}

/**
 * tf.conv2d: inputs x [B, H, W, Cin], filter [kh, kw, Cin, Cout] -> [B, H', W', Cout]. `stock` computes dilated
 * convolutions.
 */
export const conv2D: WasmTfKernel = (wasm, stock) => (call) => {
  const { x, filter } = call.inputs as { x: tf.TensorInfo; filter: tf.TensorInfo };
  const attributes = call.attrs as unknown as ConvAttributes;
  const isPlain = [attributes.dilations ?? 1].flat().every((dilation) => dilation === 1);
  if (!isPlain || attributes.dataFormat === "NCHW" || x.dtype !== "float32") return stock(call);
  const info = convInfo("Conv2D", x.shape, filter.shape, attributes);
  return convolve(wasm, x, filter, info.outShape, geometryOf(info));
};

/**
 * Gradient of conv2d with respect to its filter.
 * inputs x [B, H, W, Cin], dy [B, H', W', Cout] -> [kh, kw, Cin, Cout].
 */
export const conv2DBackpropFilter: WasmTfKernel =
  (wasm) =>
  ({ inputs, attrs }) => {
    const { x, dy } = inputs as { x: tf.TensorInfo; dy: tf.TensorInfo };
    const { filterShape, ...rest } = attrs as unknown as ConvAttributes & { filterShape: Shape4D };
    const info = convInfo("Conv2DBackpropFilter", x.shape, filterShape, rest);
    return filterGradient(wasm, x, dy, filterShape, geometryOf(info));
  };

/** Input channels of a filter's gradient that are computed together. */
const BLOCK = 4;

/**
 * The gradient sums over pictures and pixels, so it is cut by input channels: nothing has to be added up afterwards.
 */
export function filterGradient(
  wasm: WasmContext,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  filterShape: Shape4D,
  { strides: [strideY, strideX], top, left }: Geometry,
): tf.TensorInfo {
  const [batch, inHeight, inWidth, inChannels] = x.shape as Shape4D;
  const [, outHeight, outWidth, outChannels] = dy.shape as Shape4D;
  const [filterHeight, filterWidth] = filterShape;
  const gradient = wasm.output(filterShape);
  const outSizes = [outHeight, outWidth, outChannels, filterHeight, filterWidth] as const;
  const scratch = (channels: number) =>
    wasm.scratch.conv2dFilterGradientScratch(inWidth, channels, ...outSizes, strideY);
  const work = 2 * batch * outHeight * outWidth * outChannels * filterHeight * filterWidth;
  const cut = { count: inChannels, work, step: BLOCK, scratch };
  wasm.run("conv2dFilterGradient", cut, ({ from, size, scratch }) => [
    wasm.address(x, from),
    batch,
    inHeight,
    inWidth,
    inChannels,
    size,
    wasm.address(dy),
    outHeight,
    outWidth,
    outChannels,
    wasm.address(gradient, outChannels * from),
    filterHeight,
    filterWidth,
    strideY,
    strideX,
    top,
    left,
    scratch,
  ]);
  return gradient;
}

/**
 * Gradient of conv2d with respect to its input: dy, spread out by the stride, convolved with the filter rotated by 180
 * degrees and its channels swapped. inputs dy [B, H', W', Cout], filter [kh, kw, Cin, Cout] -> [B, H, W, Cin].
 */
export const conv2DBackpropInput: WasmTfKernel =
  (wasm) =>
  ({ inputs, attrs }) => {
    const { dy, filter } = inputs as { dy: tf.TensorInfo; filter: tf.TensorInfo };
    const { inputShape, ...rest } = attrs as unknown as ConvAttributes & { inputShape: Shape4D };
    const info = convInfo("Conv2DBackpropInput", inputShape, filter.shape, rest);
    return inputGradient(wasm, dy, filter, inputShape, geometryOf(info));
  };

export function inputGradient(
  wasm: WasmContext,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
  inputShape: Shape4D,
  { strides: [strideY, strideX], top, left }: Geometry,
): tf.TensorInfo {
  const [filterHeight, filterWidth] = filter.shape as Shape4D;
  const geometry: Geometry = { strides: [1, 1], top: filterHeight - 1 - top, left: filterWidth - 1 - left };
  const run = (spread: tf.TensorInfo) => convolve(wasm, spread, filter, inputShape, geometry, { isTurned: true });
  if (strideY === 1 && strideX === 1) return run(dy);
  const spread = spreadOut(wasm, dy, strideY, strideX);
  try {
    return run(spread);
  } finally {
    wasm.backend.disposeData(spread.dataId);
  }
}

/** The position of the filter's corner on the picture, and its stride. */
export interface Geometry {
  strides: [y: number, x: number];
  /** Rows and columns of zeros before the first; below 0, rows and columns that are skipped. */
  top: number;
  left: number;
}

function geometryOf({ strideHeight, strideWidth, padInfo: { top, left } }: tf.backend_util.Conv2DInfo): Geometry {
  return { strides: [strideHeight, strideWidth], top, left };
}

/** `bias` is added to each channel. With `isTurned`, the filter is [kh, kw, Cout, Cin] and rotated by 180 degrees. */
export function convolve(
  wasm: WasmContext,
  x: tf.TensorInfo,
  filter: tf.TensorInfo,
  outShape: Shape4D,
  { strides: [strideY, strideX], top, left }: Geometry,
  { bias, isTurned = false }: { bias?: tf.TensorInfo; isTurned?: boolean } = {},
): tf.TensorInfo {
  const [batch, inHeight, inWidth, inChannels] = x.shape as Shape4D;
  const [filterHeight, filterWidth] = filter.shape as Shape4D;
  const [, outHeight, outWidth, outChannels] = outShape;
  const output = wasm.output(outShape);
  const [picture, outRow] = [inHeight * inWidth * inChannels, outWidth * outChannels];
  const outSizes = [outHeight, outWidth, outChannels, filterHeight, filterWidth] as const;
  const scratch = () => wasm.scratch.conv2dScratch(inChannels, ...outSizes, strideY, strideX);
  const rowWork = 2 * outRow * filterHeight * filterWidth * inChannels;
  if (wasm.isEven(batch)) {
    wasm.run("conv2d", { count: batch, work: outHeight * rowWork, scratch }, ({ from, size, scratch }) => [
      wasm.address(x, picture * from),
      size,
      inHeight,
      inWidth,
      inChannels,
      wasm.address(filter),
      filterHeight,
      filterWidth,
      Number(isTurned),
      wasm.address(bias),
      wasm.address(output, outHeight * outRow * from),
      outHeight,
      outWidth,
      outChannels,
      strideY,
      strideX,
      top,
      left,
      scratch,
    ]);
    return output;
  }
  // The pictures cannot be split evenly, so the rows of each picture are.
  for (let b = 0; b < batch; b++) {
    wasm.run("conv2d", { count: outHeight, work: rowWork, scratch }, ({ from, size, scratch }) => [
      wasm.address(x, picture * b),
      1,
      inHeight,
      inWidth,
      inChannels,
      wasm.address(filter),
      filterHeight,
      filterWidth,
      Number(isTurned),
      wasm.address(bias),
      wasm.address(output, outRow * (outHeight * b + from)),
      size,
      outWidth,
      outChannels,
      strideY,
      strideX,
      top - strideY * from,
      left,
      scratch,
    ]);
  }
  return output;
}

/** Puts stride - 1 zeros after every row and column: [B, H, W, C] -> [B, H*strideY, W*strideX, C]. */
function spreadOut(wasm: WasmContext, dy: tf.TensorInfo, strideY: number, strideX: number): tf.TensorInfo {
  const [batch, height, width, channels] = dy.shape as Shape4D;
  const spread = wasm.output([batch, height * strideY, width * strideX, channels]);
  floatsOf(wasm.backend, spread).fill(0);
  const pixel = FLOAT_BYTES * channels;
  for (let row = 0; row < batch * height; row++) {
    const from = wasm.address(dy, row * width * channels);
    const to = wasm.address(spread, row * strideY * width * strideX * channels);
    wasm.copyRows(from, pixel, to, strideX * pixel, pixel, width);
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
