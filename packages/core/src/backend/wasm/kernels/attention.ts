import type * as tf from "@tensorflow/tfjs";
import type { WasmLayerKernel } from "./kernel.js";

interface Heads {
  heads: number;
}

/** q [B, N, C], k, v [B, L, C] -> the mixed values [B, N, C], and [B, heads, N, 2] for the gradient. Cut by heads. */
export const wasmAttention: WasmLayerKernel<"q" | "k" | "v", Heads, "saved0" | "saved1"> = {
  forward(wasm, { q, k, v }, { heads }) {
    const { batch, queries, keys, size } = sizes(q, k, heads);
    const [y, statistics] = [wasm.output(q.shape), wasm.output([batch, heads, queries, 2])];
    const scratch = () => wasm.scratch.attentionScratch(queries, keys, size);
    wasm.run("attention", { count: batch * heads, work: 4 * queries * keys * size, scratch }, (part) => [
      wasm.address(q),
      wasm.address(k),
      wasm.address(v),
      part.from,
      part.size,
      heads,
      queries,
      keys,
      size,
      1 / Math.sqrt(size),
      wasm.address(y),
      wasm.address(statistics),
      part.scratch,
    ]);
    return [y, statistics];
  },

  /** saved0 and saved1 are the results of the forward pass, dy [B, N, C] -> gradients of q, k and v. */
  gradient(wasm, { q, k, v, saved0: y, saved1: statistics, dy }, { heads }) {
    const { batch, queries, keys, size } = sizes(q, k, heads);
    const [dq, dk, dv] = [wasm.output(q.shape), wasm.output(k.shape), wasm.output(v.shape)];
    const scratch = () => wasm.scratch.attentionGradientScratch(queries, keys, size);
    wasm.run("attentionGradient", { count: batch * heads, work: 10 * queries * keys * size, scratch }, (part) => [
      wasm.address(q),
      wasm.address(k),
      wasm.address(v),
      wasm.address(y),
      wasm.address(statistics),
      wasm.address(dy),
      part.from,
      part.size,
      heads,
      queries,
      keys,
      size,
      1 / Math.sqrt(size),
      wasm.address(dq),
      wasm.address(dk),
      wasm.address(dv),
      part.scratch,
    ]);
    return [dq, dk, dv];
  },
};

function sizes(q: tf.TensorInfo, k: tf.TensorInfo, heads: number) {
  const [batch, queries, channels] = q.shape as [number, number, number];
  return { batch, queries, keys: k.shape[1]!, size: channels / heads };
}
