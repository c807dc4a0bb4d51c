import type * as tf from "@tensorflow/tfjs";
import type { FusedKernel } from "./fused.js";

interface Heads {
  heads: number;
}

/** q [B, N, C], k, v [B, L, C] -> the mixed values [B, N, C], and [B, heads, N, 2] for the gradient. */
export const attention: FusedKernel<"q" | "k" | "v", Heads> = (place, { q, k, v }, { heads }) => {
  const { batch, queries, keys, size } = sizes(q, k, heads);
  const [y, statistics] = [place.make(q.shape), place.make([batch, heads, queries, 2])];
  place.withScratch(place.simd.attentionScratch(queries, keys, size), (scratch) =>
    place.simd.attention(
      place.at(q),
      place.at(k),
      place.at(v),
      0,
      batch * heads,
      heads,
      queries,
      keys,
      size,
      1 / Math.sqrt(size),
      place.at(y),
      place.at(statistics),
      scratch,
    ),
  );
  return [y, statistics];
};

/** saved0 and saved1 are the results of the forward pass, dy [B, N, C] -> gradients of q, k and v. */
export const attentionGradient: FusedKernel<"q" | "k" | "v" | "saved0" | "saved1" | "dy", Heads> = (
  place,
  { q, k, v, saved0: y, saved1: statistics, dy },
  { heads },
) => {
  const { batch, queries, keys, size } = sizes(q, k, heads);
  const [dq, dk, dv] = [place.make(q.shape), place.make(k.shape), place.make(v.shape)];
  place.withScratch(place.simd.attentionGradientScratch(queries, keys, size), (scratch) =>
    place.simd.attentionGradient(
      place.at(q),
      place.at(k),
      place.at(v),
      place.at(y),
      place.at(statistics),
      place.at(dy),
      0,
      batch * heads,
      heads,
      queries,
      keys,
      size,
      1 / Math.sqrt(size),
      place.at(dq),
      place.at(dk),
      place.at(dv),
      scratch,
    ),
  );
  return [dq, dk, dv];
};

function sizes(q: tf.TensorInfo, k: tf.TensorInfo, heads: number) {
  const [batch, queries, channels] = q.shape as [number, number, number];
  return { batch, queries, keys: k.shape[1]!, size: channels / heads };
}
