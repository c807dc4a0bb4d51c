import * as tf from "@tensorflow/tfjs";
import { eventLoopTurn } from "../../platform/event-loop.js";

/** Some pictures of a batch: from `from` up to, but not including, `to`, of `of` pictures. */
export interface Slice {
  readonly from: number;
  readonly to: number;
  readonly of: number;
}

/** A batch in slices of at most `most` pictures, as equal as possible: 10 in slices of 4 are 4, 3 and 3. */
export function slicesOf(pictures: number, most = pictures): Slice[] {
  const count = Math.ceil(pictures / most);
  const border = (i: number) => Math.ceil((i * pictures) / count);
  return Array.from({ length: count }, (_, i) => ({ from: border(i), to: border(i + 1), of: pictures }));
}

/**
 * The rows of a slice: of a tensor with a row for each picture, or with several such batches one after the other, as
 * guidance needs them. A single row belongs to every picture and is returned unchanged. Borrows its argument, and may
 * return it; runs in a tidy.
 */
export function rowsOfSlice<T extends tf.Tensor>(x: T, { from, to, of }: Slice): T {
  const rows = x.shape[0];
  if (to - from === of || rows === 1) return x;
  const batches = Array.from({ length: rows / of }, (_, i) => x.slice(i * of + from, to - from));
  return batches.length === 1 ? batches[0]! : tf.concat(batches);
}

/** How {@link inSlices} works. */
export interface Slicing {
  /** Most pictures at once. Default: all. */
  atOnce?: number | undefined;
  /** Ends the work between two slices. */
  signal?: AbortSignal | undefined;
}

/**
 * Applies `f` to slices of a batch, one after the other, and joins the results. Between two slices it yields to the
 * event loop. With `f` that treats every picture on its own, the result is that of the whole batch, in less memory.
 *
 * @param x [B, ...]; borrowed
 * @param f runs in a tidy
 * @returns [B, ...], which the caller owns (if `f` returns its argument, `x` itself)
 */
export async function inSlices<T extends tf.Tensor, R extends tf.Tensor>(
  x: T,
  f: (part: T, slice: Slice) => R,
  { atOnce, signal }: Slicing,
): Promise<R> {
  const slices = slicesOf(x.shape[0], atOnce);
  if (slices.length === 1) return tf.tidy(() => f(x, slices[0]!));
  const parts: R[] = [];
  try {
    for (const slice of slices) {
      if (parts.length > 0) await eventLoopTurn();
      signal?.throwIfAborted();
      parts.push(tf.tidy(() => f(rowsOfSlice(x, slice), slice)));
    }
    return tf.concat<R>(parts);
  } finally {
    tf.dispose(parts);
  }
}
