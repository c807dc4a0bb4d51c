import * as tf from "@tensorflow/tfjs";

/** A tensor, or a weighted sum that is not computed yet. */
export type Quantity = tf.Tensor | Sum;

/** A weighted sum that is not computed yet; {@link combine} computes it. */
export type Sum = readonly Term[];

/** A quantity with its weight, which is a number or a tensor that broadcasts. */
export type Term = readonly [weight: number | tf.Tensor, quantity: Quantity];

/**
 * A weighted sum that is not computed yet. If another sum contains it, both are computed together in fewer operations.
 */
export const sum = (...terms: readonly Term[]): Sum => terms;

/**
 * Computes a weighted sum of tensors, to which nearly every step of every sampler reduces. Nested sums are multiplied
 * out, and the weights of each tensor are added in float64. Each tensor is therefore read once, however the method is
 * written. Terms of weight 0 are left out (an infinite value there does no harm), and those of weight 1 cost no
 * multiplication. The caller owns the result.
 */
export function combine(...terms: readonly Term[]): tf.Tensor {
  return tf.tidy(() => {
    const { weights, products } = multiplyOut(terms);
    const parts = [...weights]
      .filter(([, weight]) => weight !== 0)
      .map(([x, weight]) => (weight === 1 ? x : x.mul(weight)))
      .concat(products);
    if (parts.length === 0) return tf.zerosLike([...weights.keys()][0]!);
    return parts.length === 1 ? parts[0]!.clone() : parts.reduce((total, part) => total.add(part));
  });
}

/** A quantity as a tensor, to keep it or to use it in another operation than a sum. */
export const computed = (quantity: Quantity): tf.Tensor => combine([1, quantity]);

/** Every tensor of a sum with its total weight, and the products for weights that are tensors. */
function multiplyOut(terms: Sum): { weights: Map<tf.Tensor, number>; products: tf.Tensor[] } {
  const weights = new Map<tf.Tensor, number>();
  const products: tf.Tensor[] = [];
  const add = (sum: Sum, scale: number) => {
    for (const [weight, quantity] of sum) {
      if (typeof weight !== "number") {
        const product = weight.mul(computed(quantity));
        products.push(scale === 1 ? product : product.mul(scale));
      } else if (isSum(quantity)) {
        if (weight !== 0) add(quantity, scale * weight);
      } else {
        weights.set(quantity, (weights.get(quantity) ?? 0) + (weight === 0 ? 0 : scale * weight));
      }
    }
  };
  add(terms, 1);
  return { weights, products };
}

const isSum = (quantity: Quantity): quantity is Sum => Array.isArray(quantity);
