import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise.js";

/**
 * The same source for pictures [B, H, W, C]: a source that draws channels first (see {@link NoiseSource.layout}) draws
 * them as [B, C, H, W], and the axes are swapped. Other sources, and tensors of other ranks, are left as they are.
 *
 *     channelsLast(torchNoise(7)).normal([1, 64, 64, 4]); // torch.randn(1, 4, 64, 64), seen as [1, 64, 64, 4]
 */
export function channelsLast(noise: NoiseSource): NoiseSource {
  if (noise.layout !== "channels-first") return noise;
  const turned = (draw: (shape: number[]) => tf.Tensor) => (shape: number[]) => {
    if (shape.length !== 4) return draw(shape);
    const [batch, height, width, channels] = shape as [number, number, number, number];
    return tf.tidy(() => draw([batch, channels, height, width]).transpose([0, 2, 3, 1]));
  };
  return { normal: turned((shape) => noise.normal(shape)), uniform: turned((shape) => noise.uniform(shape)) };
}
