import type { NativeLayerKernel } from "./kernel.js";
import type { NativeTensor } from "../binding.js";
import type { NativeOps } from "../ops.js";

interface Heads {
  heads: number;
}

/** Scores that are computed at once: 4 MiB. */
const SCORES_AT_ONCE = 2 ** 20;

/** q [B, N, C], k, v [B, L, C] -> the mixed values [B, N, C], without ever holding all scores. */
export const nativeAttention: NativeLayerKernel<"q" | "k" | "v", Heads, "saved0"> = {
  forward(ops, { q, k, v }, { heads }) {
    const [keys, values] = [byHead(ops, k, heads), byHead(ops, v, heads)];
    const mixed = ops.inTurn(
      someQueries(ops, scaledByHead(ops, q, heads), keys).map((queries) => () => [
        ops.matMul(weights(ops, queries(), keys), values),
      ]),
    );
    return [together(ops, ops.concat(mixed.flat(), 2))];
  },

  /**
   * saved0 is the mixed values y, dy [B, N, C] -> gradients of q, k and v. The weights P = softmax(q k^T / sqrt(d)) are
   * computed again: dS = P (dP - sum(dy y)), dP = dy v^T (Dao et al. 2022, appendix B).
   */
  gradient(ops, { q, k, v, saved0: y, dy }, { heads }) {
    const [scaled, keys, values] = [scaledByHead(ops, q, heads), byHead(ops, k, heads), byHead(ops, v, heads)];
    const d = byHead(ops, dy, heads);
    const sums = ops.sum(ops.mul(d, byHead(ops, y, heads)), [3], true);
    // With one more column, the product also subtracts the sums. This saves a pass over all scores.
    const [wideD, wideV] = [
      ops.concat([d, sums], 3),
      ops.concat([values, ops.fill([...values.shape.slice(0, 3), 1], -1)], 3),
    ];
    const parts = ops.inTurn(
      someQueries(ops, scaled, keys).map((queries) => () => {
        const [someD, someQ] = [queries(d), queries()];
        const p = weights(ops, someQ, keys);
        const dS = ops.mul(p, ops.matMul(queries(wideD), wideV, { transposeB: true }));
        return [
          ops.matMul(dS, keys),
          ops.matMul(dS, someQ, { transposeA: true }),
          ops.matMul(p, someD, { transposeA: true }),
        ];
      }),
    );
    const total = (i: number) => parts.map((part) => part[i]!).reduce((a, b) => ops.add(a, b));
    const dq = ops.concat(
      parts.map(([first]) => first!),
      2,
    );
    return [ops.mul(together(ops, dq), scale(ops, q, heads)), together(ops, total(1)), together(ops, total(2))];
  },
};

function weights(ops: NativeOps, queries: NativeTensor, keys: NativeTensor): NativeTensor {
  return ops.softmax(ops.matMul(queries, keys, { transposeB: true }));
}

/**
 * For each block of queries, a function that slices it from a tensor [B, heads, N, ...], by default from the queries.
 */
function someQueries(ops: NativeOps, all: NativeTensor, keys: NativeTensor): ((of?: NativeTensor) => NativeTensor)[] {
  const [batch, heads, length] = all.shape as [number, number, number];
  const atOnce = Math.max(1, Math.floor(SCORES_AT_ONCE / (batch * heads * keys.shape[2]!)));
  if (atOnce >= length) return [(of = all) => of];
  return Array.from({ length: Math.ceil(length / atOnce) }, (_, i) => (of = all) => {
    const begin = i * atOnce;
    return ops.slice(of, [0, 0, begin, 0], [-1, -1, Math.min(atOnce, length - begin), -1]);
  });
}

function scale(ops: NativeOps, { shape }: NativeTensor, heads: number): NativeTensor {
  return ops.scalar(1 / Math.sqrt(shape[2]! / heads));
}

function scaledByHead(ops: NativeOps, q: NativeTensor, heads: number): NativeTensor {
  return byHead(ops, ops.mul(q, scale(ops, q, heads)), heads);
}

/** [B, N, C] -> [B, heads, N, C / heads]. */
function byHead(ops: NativeOps, x: NativeTensor, heads: number): NativeTensor {
  const [batch, length, channels] = x.shape as [number, number, number];
  return ops.transpose(ops.reshape(x, [batch, length, heads, channels / heads]), [0, 2, 1, 3]);
}

/** The reverse. */
function together(ops: NativeOps, x: NativeTensor): NativeTensor {
  const [batch, heads, length, size] = x.shape as [number, number, number, number];
  return ops.reshape(ops.transpose(x, [0, 2, 1, 3]), [batch, length, heads * size]);
}
