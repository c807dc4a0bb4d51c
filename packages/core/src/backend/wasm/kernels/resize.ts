import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "./fused.js";
import { addressOf, type WasmBackend, withScratch } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

type Shape4D = [number, number, number, number];

/**
 * Gradient of tf.image.resizeNearestNeighbor: inputs images [B, H, W, C], dy [B, H', W', C] -> [B, H, W, C]. Where H'
 * and W' are multiples, each pixel's copies lie beside each other and are added up; all else stays with `stock`, which
 * looks for them.
 */
export function resizeNearestNeighborGrad(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { images, dy } = call.inputs as { images: tf.TensorInfo; dy: tf.TensorInfo };
    const [batch, height, width, channels] = images.shape as Shape4D;
    const [, outHeight, outWidth] = dy.shape as Shape4D;
    const [tall, wide] = [outHeight / height, outWidth / width];
    const isPlain =
      Number.isInteger(tall) && Number.isInteger(wide) && !(call.attrs as { alignCorners: boolean }).alignCorners;
    if (!isPlain || dy.dtype !== "float32" || sizeOf(dy.shape) === 0) return stock(call);
    const dx = backend.makeOutput(images.shape, "float32");
    const row = outWidth * channels;
    withScratch(backend, 4 * batch * height * row, (rows) => {
      simd.sumOver(addressOf(backend, dy), batch * height, tall, row, 1, rows);
      simd.sumOver(rows, batch * height * width, wide, channels, 1, addressOf(backend, dx));
    });
    return dx;
  };
}
