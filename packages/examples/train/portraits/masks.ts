import * as tf from "@tensorflow/tfjs";
import type { RandomNumbers } from "@tfjs-diffusion/schedulers";

/** Share of masks that cover everything, so that the network still learns to draw whole pictures. */
const ALL = 0.15;

/**
 * Masks for learning to inpaint, [count, side, side, 1], for each latent 1 (paint) or 0 (keep): a rectangle with sides
 * of at least a quarter of the picture, or all but a rectangle, or everything. The caller owns them.
 */
export function randomMasks(count: number, side: number, random: RandomNumbers): tf.Tensor4D {
  const values = new Float32Array(count * side * side);
  for (let i = 0; i < count; i++) {
    const mask = values.subarray(i * side * side, (i + 1) * side * side);
    if (random.uniform() < ALL) {
      mask.fill(1);
      continue;
    }
    const least = Math.ceil(side / 4);
    const [height, width] = [least + random.integer(side - least), least + random.integer(side - least)];
    const [top, left] = [random.integer(side - height + 1), random.integer(side - width + 1)];
    const inside = random.uniform() < 0.7 ? 1 : 0;
    mask.forEach((_, at) => {
      const [y, x] = [Math.floor(at / side) - top, (at % side) - left];
      const isInside = y >= 0 && y < height && x >= 0 && x < width;
      mask[at] = isInside ? inside : 1 - inside;
    });
  }
  return tf.tensor4d(values, [count, side, side, 1]);
}
