import * as tf from "@tensorflow/tfjs";
import { addressOf, type WasmBackend, withScratch } from "./memory.js";
import type { SimdKernels } from "./simd.js";

interface FilterGradientAttributes {
  strides: number | [number, number];
  pad: "same" | "valid" | number | tf.backend_util.ExplicitPadding;
  dataFormat: "NHWC" | "NCHW";
  dimRoundingMode?: "floor" | "round" | "ceil";
  filterShape: [number, number, number, number];
}

interface InputGradientAttributes extends Omit<FilterGradientAttributes, "filterShape"> {
  inputShape: [number, number, number, number];
}

/**
 * Gradient of conv2d with respect to its filter.
 * inputs x [B, H, W, Cin], dy [B, H', W', Cout] -> [kh, kw, Cin, Cout].
 */
export function conv2DBackpropFilter(simd: SimdKernels): tf.KernelFunc {
  return ({ inputs, attrs, backend: untyped }) => {
    const backend = untyped as WasmBackend;
    const { x, dy } = inputs as { x: tf.TensorInfo; dy: tf.TensorInfo };
    const { filterShape, ...rest } = attrs as unknown as FilterGradientAttributes;
    const info = convInfo("Conv2DBackpropFilter", x.shape, filterShape, rest);
    const gradient = backend.makeOutput(filterShape, "float32");
    const bytes = simd.conv2dFilterGradientScratch(
      info.inWidth,
      info.inChannels,
      info.outHeight,
      info.outWidth,
      info.outChannels,
      info.filterHeight,
      info.filterWidth,
      info.strideHeight,
    );
    withScratch(backend, bytes, (scratch) =>
      simd.conv2dFilterGradient(
        addressOf(backend, x),
        info.batchSize,
        info.inHeight,
        info.inWidth,
        info.inChannels,
        addressOf(backend, dy),
        info.outHeight,
        info.outWidth,
        info.outChannels,
        addressOf(backend, gradient),
        info.filterHeight,
        info.filterWidth,
        info.strideHeight,
        info.strideWidth,
        info.padInfo.top,
        info.padInfo.left,
        scratch,
      ),
    );
    return gradient;
  };
}

/**
 * Gradient of conv2d with respect to its input: dy, spread out by the stride, convolved with the filter
 * turned by 180 degrees and its channels swapped.
 * inputs dy [B, H', W', Cout], filter [kh, kw, Cin, Cout] -> [B, H, W, Cin].
 */
export const conv2DBackpropInput: tf.KernelFunc = ({ inputs, attrs }) => {
  const { dy, filter } = inputs as { dy: tf.Tensor4D; filter: tf.Tensor4D };
  const { inputShape, ...rest } = attrs as unknown as InputGradientAttributes;
  const info = convInfo("Conv2DBackpropInput", inputShape, filter.shape, rest);
  const { inHeight, inWidth, filterHeight, filterWidth, strideHeight, strideWidth } = info;
  return tf.tidy(() => {
    const turned = tf.transpose(tf.reverse(asTensor(filter), [0, 1]), [0, 1, 3, 2]);
    const spread = spreadOut(asTensor(dy), strideHeight, strideWidth);
    const top = filterHeight - 1 - info.padInfo.top;
    const left = filterWidth - 1 - info.padInfo.left;
    const bottom = inHeight + filterHeight - 1 - top - spread.shape[1];
    const right = inWidth + filterWidth - 1 - left - spread.shape[2];
    const cropped = crop(spread, [-top, -bottom], [-left, -right]);
    const margin = [
      [0, 0],
      atLeastZero(top, bottom),
      atLeastZero(left, right),
      [0, 0],
    ] as tf.backend_util.ExplicitPadding;
    return tf.conv2d(cropped, turned, 1, margin);
  });
};

/** Kernels are handed bare records in some paths of the engine; ops want tensors. */
function asTensor<T extends tf.Tensor>(info: T): T {
  return info instanceof tf.Tensor ? info : (tf.engine().makeTensorFromTensorInfo(info) as T);
}

/** Puts stride - 1 zeros after every row and column: [B, H, W, C] -> [B, H*strideY, W*strideX, C]. */
function spreadOut(dy: tf.Tensor4D, strideY: number, strideX: number): tf.Tensor4D {
  if (strideY === 1 && strideX === 1) return dy;
  const [batch, height, width, channels] = dy.shape;
  const columns = tf.pad(dy.reshape([-1, channels]), [
    [0, 0],
    [0, (strideX - 1) * channels],
  ]);
  const rowSize = width * strideX * channels;
  const rows = tf.pad(columns.reshape([-1, rowSize]), [
    [0, 0],
    [0, (strideY - 1) * rowSize],
  ]);
  return rows.reshape([batch, height * strideY, width * strideX, channels]);
}

/** Cuts the given numbers of rows and columns off each side; numbers below 0 cut nothing. */
function crop(x: tf.Tensor4D, rows: [number, number], columns: [number, number]): tf.Tensor4D {
  const [top, bottom] = atLeastZero(...rows);
  const [left, right] = atLeastZero(...columns);
  if (top + bottom + left + right === 0) return x;
  const [batch, height, width, channels] = x.shape;
  return tf.slice(x, [0, top, left, 0], [batch, height - top - bottom, width - left - right, channels]);
}

function atLeastZero(a: number, b: number): [number, number] {
  return [Math.max(0, a), Math.max(0, b)];
}

function convInfo(
  kernel: string,
  inShape: number[],
  filterShape: number[],
  { strides, pad, dimRoundingMode, dataFormat }: Omit<FilterGradientAttributes, "filterShape">,
) {
  if (dataFormat === "NCHW") throw new Error(`${kernel} on wasm: the data format must be NHWC, not NCHW.`);
  return tf.backend_util.computeConv2DInfo(
    inShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    1,
    pad,
    dimRoundingMode,
  );
}
