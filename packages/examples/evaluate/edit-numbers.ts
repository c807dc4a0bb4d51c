import * as tf from "@tensorflow/tfjs";
import { ATTRIBUTES, type Attribute, type Face, HIDDEN_BY_HAT, visible } from "../datasets/faces/index.js";
import type { RandomNumbers } from "@tfjs-diffusion/schedulers";

/** A face, the same face with one visible attribute changed, and the name of that attribute. */
export interface Change {
  face: Face;
  changed: Face;
  attribute: Attribute;
}

/** Changes one visible attribute to another value that the face can have. */
export function changeOne(face: Face, random: RandomNumbers): Change {
  const faces = (Object.keys(visible(face)) as Attribute[]).flatMap((attribute) =>
    ATTRIBUTES[attribute]
      .filter((value) => value !== face[attribute])
      .map((value) => ({ attribute, changed: { ...face, [attribute]: value } }))
      .filter(({ changed }) => changed.hat === "none" || !HIDDEN_BY_HAT.includes(changed.hair)),
  );
  const attributes = [...new Set(faces.map(({ attribute }) => attribute))];
  const attribute = attributes[random.integer(attributes.length)]!;
  const among = faces.filter((each) => each.attribute === attribute);
  return { face, ...among[random.integer(among.length)]! };
}

/**
 * The share of pictures that show the changed attribute, and the share of the other attributes, visible before and
 * after, that stayed the same.
 */
export function changeShares(changes: readonly Change[], readings: readonly Partial<Face>[]) {
  let [done, stayed, others] = [0, 0, 0];
  changes.forEach(({ face, changed, attribute }, i) => {
    const reading = readings[i]!;
    done += Number(reading[attribute] === changed[attribute]);
    const after = visible(changed);
    for (const name of Object.keys(visible(face)) as Attribute[]) {
      if (name === attribute || !(name in after)) continue;
      others++;
      stayed += Number(reading[name] === face[name]);
    }
  });
  return { done: done / changes.length, stayed: stayed / others };
}

/**
 * How visible the seams of pictures [B, H, W, 3] are at the left borders of `columns`: the mean absolute difference of
 * neighbours there, divided by that elsewhere. About 1 without a seam.
 */
export function seamRatio(images: tf.Tensor4D, columns: readonly number[]): number {
  return tf.tidy(() => {
    const [batch, height, width] = images.shape;
    const left = images.slice([0, 0, 0, 0], [batch, height, width - 1, 3]);
    const right = images.slice([0, 0, 1, 0], [batch, height, width - 1, 3]);
    const steep = right.sub(left).abs().mean([0, 1, 3]).dataSync();
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const across = columns.map((column) => steep[column - 1]!);
    const inside = [...steep].filter((_, i) => !columns.includes(i + 1));
    return mean(across) / mean(inside);
  });
}

/** The largest difference of two pictures where the mask is 0; 0 if every bit is the same. */
export function changeOutside(before: tf.Tensor4D, after: tf.Tensor4D, mask: tf.Tensor4D): number {
  return tf.tidy(() => tf.sub(after, before).abs().mul(tf.sub(1, mask)).max().dataSync()[0]!);
}

/**
 * The pixels of a mask [1, H, W, 1] that are 1 and touch a pixel that is 0, at a side or a corner. The caller owns it.
 */
export function innerEdge(mask: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => tf.maxPool(tf.sub<tf.Tensor4D>(1, mask), 3, 1, "same").mul(mask));
}

/** Root mean square difference of two batches of pictures [B, H, W, C] where the mask [1, H, W, 1] is 1. */
export function differenceWithin(a: tf.Tensor4D, b: tf.Tensor4D, mask: tf.Tensor4D): number {
  return tf.tidy(() => {
    const [batch, , , channels] = a.shape;
    return tf
      .sub(a, b)
      .square()
      .mul(mask)
      .sum()
      .div(mask.sum().mul(batch * channels))
      .sqrt()
      .dataSync()[0]!;
  });
}
