import * as tf from "@tensorflow/tfjs";
import type { CLIPModel } from "../models/clip/clip-model.js";

/**
 * How well each picture fits its text, 0 to 100: 100 max(0, cosine of their CLIP vectors) (Hessel et al. 2021, eq. 1,
 * with a factor of 2.5; 100 is usual today). Compare only scores of the same CLIP.
 *
 * @param ids the texts' tokens, int32 [B, L]; borrowed
 * @param pixels the pictures as the CLIP reads them, [B, image_size, image_size, 3]; borrowed
 * @throws RangeError unless there is a text for each picture; ModelInputError for inputs that the CLIP cannot read
 */
export async function clipScore(clip: CLIPModel, ids: tf.Tensor2D, pixels: tf.Tensor4D): Promise<number[]> {
  if (ids.shape[0] !== pixels.shape[0]) {
    throw new RangeError(`clipScore: ${ids.shape[0]} texts for ${pixels.shape[0]} pictures; give one for each.`);
  }
  const scores = tf.tidy(() => {
    const { textEmbeds, imageEmbeds } = clip.forward(ids, pixels);
    return textEmbeds.mul(imageEmbeds).sum(1).relu().mul(100);
  });
  const values = await scores.data();
  scores.dispose();
  return [...values];
}
