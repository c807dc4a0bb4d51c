import type { SimdKernels } from "../simd-kernels.js";
import type { ThreadPool } from "./thread-pool.js";

/** Floating-point operations that are not worth a second thread: a few microseconds' work. */
const SMALL = 200_000;
/**
 * Operations a number of what goes through every number once: nothing is multiplied, but memory is read and an
 * exponential computed.
 */
const LIGHT = 20;
const FLOAT = 4;

/** Sums in one go that have room in what is set aside for them. */
const MOST_SUMS = 4096;

/** Bytes that {@link parallelKernels} needs for the sums of each thread. */
export const sumsBytes = (threads: number) => threads * MOST_SUMS * FLOAT;

/** A run of things: the first, and how many. */
type Range = readonly [from: number, size: number];

/** Input channels of a weight's gradient that are computed together. */
const BLOCK = 4;

/**
 * The same kernels on all threads of a pool: each call is cut into calls for parts of the batch, of rows, or of
 * numbers. The gradient of a weight sums over those, and is cut by its input channels; other sums are taken for each
 * part, and the parts summed after. Where a batch cannot be cut into parts of much the same size, each of its pictures
 * is.
 *
 * @param sums {@link sumsBytes} of the backend's memory
 * @param small Operations below which a call is not cut
 */
export function parallelKernels(
  simd: SimdKernels,
  pool: Pick<ThreadPool, "threads" | "run">,
  sums: number,
  small = SMALL,
): SimdKernels {
  const { threads } = pool;
  /**
   * Scratch memory for each thread, a cache line and its neighbour apart: what one thread writes, no other has beside
   * it.
   */
  const room = (bytes: number) => Math.ceil(bytes / 128 + 1) * 128;
  /** The most channels that one thread has of a weight's gradient. */
  const share = (channels: number) => Math.min(channels, BLOCK * Math.ceil(Math.ceil(channels / BLOCK) / threads));

  /** Whether so many pictures make parts of much the same size. */
  const isEven = (batch: number) => batch % threads === 0 || batch >= 4 * threads;

  /** As `over`, for parts of `channels` that begin where a block does. */
  function overChannels(
    name: keyof SimdKernels,
    channels: number,
    work: number,
    call: (part: Range, number: number) => number[],
  ) {
    over(name, Math.ceil(channels / BLOCK), BLOCK * work, ([from, size], i) =>
      call([BLOCK * from, Math.min(BLOCK * size, channels - BLOCK * from)], i),
    );
  }

  /**
   * Calls `name` for each part of `count` things that take so many operations each; a call is told of its part and its
   * number.
   */
  function over(name: keyof SimdKernels, count: number, work: number, call: (part: Range, number: number) => number[]) {
    if (count * work < small || count < 2) {
      Reflect.apply(simd[name], undefined, call([0, count], 0));
      return 1;
    }
    const parts = divide(count, threads);
    pool.run(name, parts.map(call));
    return parts.length;
  }

  const elementwise = (name: "silu" | "gelu" | "erf") => (input: number, count: number, output: number) =>
    void over(name, count, LIGHT, ([from, size]) => [input + FLOAT * from, size, output + FLOAT * from]);

  const elementwiseGradient =
    (name: "siluGradient" | "geluGradient") => (input: number, dy: number, count: number, dx: number) =>
      void over(name, count, LIGHT, ([from, size]) => [
        ...[input + FLOAT * from, dy + FLOAT * from],
        ...[size, dx + FLOAT * from],
      ]);

  return {
    ...simd,
    silu: elementwise("silu"),
    gelu: elementwise("gelu"),
    erf: elementwise("erf"),
    siluGradient: elementwiseGradient("siluGradient"),
    geluGradient: elementwiseGradient("geluGradient"),

    add(x, b, blocks, rows, size, y) {
      const block = FLOAT * rows * size;
      if (blocks > 1 && isEven(blocks)) {
        over("add", blocks, LIGHT * rows * size, ([from, count]) => [
          ...[x + block * from, b + FLOAT * size * from, count, rows, size, y + block * from],
        ]);
        return;
      }
      for (let z = 0; z < blocks; z++, x += block, b += FLOAT * size, y += block) {
        const [own, ofAll, to] = [x, b, y];
        if (rows > 1) {
          over("add", rows, LIGHT * size, ([from, count]) => [
            ...[own + FLOAT * size * from, ofAll, 1, count, size, to + FLOAT * size * from],
          ]);
        } else {
          over("add", size, LIGHT, ([from, count]) => [
            ...[own + FLOAT * from, ofAll + FLOAT * from, 1, 1, count, to + FLOAT * from],
          ]);
        }
      }
    },

    geglu(x, rows, features, y) {
      over("geglu", rows, LIGHT * features, ([from, size]) => [
        ...[x + 2 * FLOAT * features * from, size, features, y + FLOAT * features * from],
      ]);
    },

    gegluGradient(x, dy, rows, features, dx) {
      over("gegluGradient", rows, LIGHT * features, ([from, size]) => {
        const [narrow, wide] = [FLOAT * features * from, 2 * FLOAT * features * from];
        return [x + wide, dy + narrow, size, features, dx + wide];
      });
    },

    batchMatMulScratch: (n, depth) => threads * room(simd.batchMatMulScratch(n, depth)),
    batchMatMul(a, aBatch, b, bBatch, transposed, bias, c, batch, m, n, depth, scratch) {
      const own = room(simd.batchMatMulScratch(n, depth));
      const work = 2 * n * depth;
      if (batch > 1) {
        over("batchMatMul", batch, m * work, ([from, size], i) => [
          ...[a + FLOAT * aBatch * from, aBatch, b + FLOAT * bBatch * from, bBatch, transposed, bias],
          ...[c + FLOAT * m * n * from, size, m, n, depth, scratch + i * own],
        ]);
      } else {
        over("batchMatMul", m, work, ([from, size], i) => [
          ...[a + FLOAT * depth * from, aBatch, b, bBatch, transposed, bias],
          ...[c + FLOAT * n * from, batch, size, n, depth, scratch + i * own],
        ]);
      }
    },

    transposedMatMulScratch: (m, n) => threads * room(simd.transposedMatMulScratch(m, n)),
    transposedMatMul(a, aBatch, aColumns, b, bBatch, c, batch, m, n, depth, scratch) {
      const own = room(simd.transposedMatMulScratch(m, n));
      if (batch > 1) {
        over("transposedMatMul", batch, 2 * m * n * depth, ([from, size], i) => [
          ...[a + FLOAT * aBatch * from, aBatch, aColumns, b + FLOAT * bBatch * from, bBatch],
          ...[c + FLOAT * m * n * from, size, m, n, depth, scratch + i * own],
        ]);
      } else {
        overChannels("transposedMatMul", m, 2 * n * depth, ([from, size], i) => [
          ...[a + FLOAT * from, aBatch, aColumns, b, bBatch],
          ...[c + FLOAT * n * from, batch, size, n, depth, scratch + i * own],
        ]);
      }
    },

    conv2dScratch: (...shape) => threads * room(simd.conv2dScratch(...shape)),
    conv2d(
      input,
      batch,
      inHeight,
      inWidth,
      inChannels,
      filter,
      filterHeight,
      filterWidth,
      turned,
      bias,
      output,
      outHeight,
      outWidth,
      outChannels,
      strideY,
      strideX,
      top,
      left,
      scratch,
    ) {
      const own = room(
        simd.conv2dScratch(inChannels, outHeight, outWidth, outChannels, filterHeight, filterWidth, strideY, strideX),
      );
      const [picture, outRow] = [inHeight * inWidth * inChannels, outWidth * outChannels];
      const work = 2 * outRow * filterHeight * filterWidth * inChannels;
      if (isEven(batch)) {
        over("conv2d", batch, outHeight * work, ([from, size], i) => [
          input + FLOAT * picture * from,
          size,
          inHeight,
          inWidth,
          inChannels,
          filter,
          filterHeight,
          filterWidth,
          turned,
          bias,
          output + FLOAT * outHeight * outRow * from,
          outHeight,
          outWidth,
          outChannels,
          strideY,
          strideX,
          top,
          left,
          scratch + i * own,
        ]);
        return;
      }
      for (let b = 0; b < batch; b++) {
        over("conv2d", outHeight, work, ([from, size], i) => [
          input + FLOAT * picture * b,
          1,
          inHeight,
          inWidth,
          inChannels,
          filter,
          filterHeight,
          filterWidth,
          turned,
          bias,
          output + FLOAT * outRow * (outHeight * b + from),
          size,
          outWidth,
          outChannels,
          strideY,
          strideX,
          top - strideY * from,
          left,
          scratch + i * own,
        ]);
      }
    },

    conv2dFilterGradientScratch: (inWidth, channels, ...rest) =>
      threads * room(simd.conv2dFilterGradientScratch(inWidth, share(channels), ...rest)),
    conv2dFilterGradient(
      input,
      batch,
      inHeight,
      inWidth,
      inChannels,
      channels,
      dy,
      outHeight,
      outWidth,
      outChannels,
      gradient,
      filterHeight,
      filterWidth,
      strideY,
      strideX,
      top,
      left,
      scratch,
    ) {
      const own = room(
        simd.conv2dFilterGradientScratch(
          inWidth,
          share(channels),
          outHeight,
          outWidth,
          outChannels,
          filterHeight,
          filterWidth,
          strideY,
        ),
      );
      const work = 2 * batch * outHeight * outWidth * outChannels * filterHeight * filterWidth;
      overChannels("conv2dFilterGradient", channels, work, ([from, size], i) => [
        input + FLOAT * from,
        batch,
        inHeight,
        inWidth,
        inChannels,
        size,
        dy,
        outHeight,
        outWidth,
        outChannels,
        gradient + FLOAT * outChannels * from,
        filterHeight,
        filterWidth,
        strideY,
        strideX,
        top,
        left,
        scratch + i * own,
      ]);
    },

    attentionScratch: (...shape) => threads * room(simd.attentionScratch(...shape)),
    attention(q, k, v, first, count, heads, queries, keys, size, scale, y, statistics, scratch) {
      const own = room(simd.attentionScratch(queries, keys, size));
      over("attention", count, 4 * queries * keys * size, ([from, part], i) => [
        ...[q, k, v, first + from, part, heads, queries, keys, size, scale, y, statistics, scratch + i * own],
      ]);
    },

    attentionGradientScratch: (...shape) => threads * room(simd.attentionGradientScratch(...shape)),
    attentionGradient(
      q,
      k,
      v,
      y,
      statistics,
      dy,
      first,
      count,
      heads,
      queries,
      keys,
      size,
      scale,
      dq,
      dk,
      dv,
      scratch,
    ) {
      const own = room(simd.attentionGradientScratch(queries, keys, size));
      over("attentionGradient", count, 10 * queries * keys * size, ([from, part], i) => [
        q,
        k,
        v,
        y,
        statistics,
        dy,
        first + from,
        part,
        heads,
        queries,
        keys,
        size,
        scale,
        dq,
        dk,
        dv,
        scratch + i * own,
      ]);
    },

    // Two sums, of w's and of b's gradient, lie behind the scratch memory of the gradient.
    groupNormScratch: (channels) => threads * (room(simd.groupNormScratch(channels)) + 2 * FLOAT * channels),
    groupNorm(x, batch, pixels, stride, channels, groups, w, b, eps, silu, y, statistics, scratch) {
      const own = room(simd.groupNormScratch(channels));
      if (isEven(batch)) {
        const picture = FLOAT * pixels * stride;
        over("groupNorm", batch, LIGHT * pixels * channels, ([from, size], i) => [
          ...[x + picture * from, size, pixels, stride, channels, groups, w, b, eps, silu],
          ...[y + picture * from, statistics + 2 * FLOAT * groups * from, scratch + i * own],
        ]);
        return;
      }
      const width = channels / groups;
      over("groupNorm", groups, LIGHT * batch * pixels * width, ([from, size], i) => {
        const offset = FLOAT * width * from;
        return [
          ...[x + offset, batch, pixels, stride, width * size, size, w + offset, b + offset, eps, silu],
          ...[y + offset, statistics + 2 * FLOAT * from, scratch + i * own],
        ];
      });
    },
    groupNormGradient(x, dy, batch, pixels, stride, channels, groups, w, b, silu, statistics, dx, dw, db, scratch) {
      const own = room(simd.groupNormScratch(channels));
      if (isEven(batch)) {
        const picture = FLOAT * pixels * stride;
        const [ofW, ofB] = sumsBehind(scratch + threads * own, channels);
        const parts = over("groupNormGradient", batch, LIGHT * pixels * channels, ([from, size], i) => [
          ...[x + picture * from, dy + picture * from, size, pixels, stride, channels, groups, w, b, silu],
          ...[statistics + 2 * FLOAT * groups * from, dx + picture * from],
          ...[ofW + i * FLOAT * channels, ofB + i * FLOAT * channels, scratch + i * own],
        ]);
        addUp(ofW, parts, channels, dw);
        addUp(ofB, parts, channels, db);
        return;
      }
      const width = channels / groups;
      over("groupNormGradient", groups, LIGHT * batch * pixels * width, ([from, size], i) => {
        const offset = FLOAT * width * from;
        return [
          ...[x + offset, dy + offset, batch, pixels, stride, width * size, size, w + offset, b + offset, silu],
          ...[statistics + 2 * FLOAT * from, dx + offset, dw + offset, db + offset, scratch + i * own],
        ];
      });
    },

    layerNorm(x, rows, features, w, b, eps, y, statistics) {
      over("layerNorm", rows, LIGHT * features, ([from, size]) => [
        ...[x + FLOAT * features * from, size, features, w, b, eps],
        ...[y + FLOAT * features * from, statistics + 2 * FLOAT * from],
      ]);
    },
    layerNormScratch: (features) => threads * (room(simd.layerNormScratch(features)) + 2 * FLOAT * features),
    layerNormGradient(x, dy, rows, features, w, statistics, dx, dw, db, scratch) {
      const own = room(simd.layerNormScratch(features));
      const [ofW, ofB] = sumsBehind(scratch + threads * own, features);
      const parts = over("layerNormGradient", rows, LIGHT * features, ([from, size], i) => [
        ...[
          x + FLOAT * features * from,
          dy + FLOAT * features * from,
          size,
          features,
          w,
          statistics + 2 * FLOAT * from,
        ],
        ...[dx + FLOAT * features * from, ofW + i * FLOAT * features, ofB + i * FLOAT * features, scratch + i * own],
      ]);
      addUp(ofW, parts, features, dw);
      addUp(ofB, parts, features, db);
    },

    softmax(input, rows, count, output) {
      over("softmax", rows, LIGHT * count, ([from, size]) => [
        ...[input + FLOAT * count * from, size, count, output + FLOAT * count * from],
      ]);
    },

    sumOver(input, outer, count, inner, scale, output) {
      if (outer !== 1 || inner > MOST_SUMS) {
        over("sumOver", outer, 4 * count * inner, ([from, size]) => [
          ...[input + FLOAT * count * inner * from, size, count, inner, scale, output + FLOAT * inner * from],
        ]);
        return;
      }
      const parts = over("sumOver", count, 4 * inner, ([from, size], i) => [
        ...[input + FLOAT * inner * from, 1, size, inner, scale, sums + i * FLOAT * inner],
      ]);
      addUp(sums, parts, inner, output);
    },

    movingAverage(average, value, count, fresh, result) {
      over("movingAverage", count, LIGHT, ([from, size]) => [
        ...[average + FLOAT * from, value + FLOAT * from, size, fresh, result + FLOAT * from],
      ]);
    },

    adamW(p, m, v, g, count, keep, fresh1, keep2, fresh2, eps, rate, newP) {
      over("adamW", count, LIGHT, ([from, size]) => [
        ...[p, m, v, g].map((address) => address + FLOAT * from),
        ...[size, keep, fresh1, keep2, fresh2, eps, rate, newP + FLOAT * from],
      ]);
    },
  };

  /** Adds up `parts` runs of `count` numbers that lie behind each other. */
  function addUp(from: number, parts: number, count: number, to: number): void {
    simd.sumOver(from, 1, parts, count, 1, to);
  }

  function sumsBehind(address: number, count: number): [number, number] {
    return [address, address + threads * FLOAT * count];
  }
}

/** `count` things as at most `parts` runs of nearly the same length; one empty run of none. */
export function divide(count: number, parts: number): Range[] {
  const runs = Math.max(1, Math.min(parts, count));
  const bound = (i: number) => Math.floor((i * count) / runs);
  return Array.from({ length: runs }, (_, i) => [bound(i), bound(i + 1) - bound(i)]);
}
