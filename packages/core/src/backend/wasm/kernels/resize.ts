import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { FLOAT_BYTES, withScratch } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";
import { sumOver } from "./reduce.js";

type Shape4D = [number, number, number, number];

/**
 * Gradient of tf.image.resizeNearestNeighbor: inputs images [B, H, W, C], dy [B, H', W', C] -> [B, H, W, C]. If H' and
 * W' are multiples of H and W, the copies of a pixel are neighbours and are added up; `stock` computes all other cases.
 */
export const resizeNearestNeighborGrad: WasmTfKernel = (wasm, stock) => (call) => {
  const { images, dy } = call.inputs as { images: tf.TensorInfo; dy: tf.TensorInfo };
  const [batch, height, width, channels] = images.shape as Shape4D;
  const [, outHeight, outWidth] = dy.shape as Shape4D;
  const [tall, wide] = [outHeight / height, outWidth / width];
  const isPlain =
    Number.isInteger(tall) && Number.isInteger(wide) && !(call.attrs as { alignCorners: boolean }).alignCorners;
  if (!isPlain || dy.dtype !== "float32" || sizeOf(dy.shape) === 0) return stock(call);
  const dx = wasm.output(images.shape);
  const row = outWidth * channels;
  withScratch(wasm.backend, FLOAT_BYTES * batch * height * row, (rows) => {
    sumOver(wasm, { input: wasm.address(dy), outer: batch * height, count: tall, inner: row }, rows);
    const columns = { input: rows, outer: batch * height * width, count: wide, inner: channels };
    sumOver(wasm, columns, wasm.address(dx));
  });
  return dx;
};
