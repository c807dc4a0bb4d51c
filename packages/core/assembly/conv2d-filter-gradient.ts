// Gradient of a convolution with respect to its filter: for every tap (ky, kx) of the filter,
//   gradient[ky, kx, ci, co] =
//     sum over b, y, x of input[b, y*stride + ky - top, x*stride + kx - left, ci] dy[b, y, x, co],
// a sum of outer products of two short rows of channels. Tiles of 4 (ci) x 8 (co) stay in registers while the pixels
// run. Nothing is unfolded (no im2col): a strip of rows is repacked so that a tile reads both operands in order.

import { addOuterProducts, packColumns, storeTiles, TILE } from "./lib/outer-products";

const FLOAT: usize = 4;
/** Output pixels of one strip, so that its panels stay in the caches; a strip is at least one row. */
const STRIP_PIXELS: i32 = 256;

function blocks(channels: i32, size: i32): i32 {
  return (channels + size - 1) / size;
}

function stripRows(outHeight: i32, outWidth: i32): i32 {
  return min(outHeight, max(1, STRIP_PIXELS / outWidth));
}

/** Bytes of scratch that {@link conv2dFilterGradient} needs for `channels` channels of the input. */
export function conv2dFilterGradientScratch(
  inWidth: i32,
  channels: i32,
  outHeight: i32,
  outWidth: i32,
  outChannels: i32,
  filterHeight: i32,
  filterWidth: i32,
  stride: i32,
): usize {
  const rows = stripRows(outHeight, outWidth);
  const inRows = (rows - 1) * stride + filterHeight;
  const ci = blocks(channels, 4),
    co = blocks(outChannels, 8);
  return (
    <usize>(filterHeight * filterWidth * ci * co) * TILE +
    <usize>(inRows * inWidth * ci) * 16 +
    <usize>(rows * outWidth * co) * 32
  );
}

/**
 * All sizes in elements; layouts: input [b, y, x, ci], dy [b, y, x, co], gradient [ky, kx, ci, co], all dense. Of the
 * input's `inChannels`, only the first `channels` are taken, and of the gradient only their rows are written.
 */
export function conv2dFilterGradient(
  input: usize,
  batch: i32,
  inHeight: i32,
  inWidth: i32,
  inChannels: i32,
  channels: i32,
  dy: usize,
  outHeight: i32,
  outWidth: i32,
  outChannels: i32,
  gradient: usize,
  filterHeight: i32,
  filterWidth: i32,
  strideY: i32,
  strideX: i32,
  top: i32,
  left: i32,
  scratch: usize,
): void {
  const ci = blocks(channels, 4),
    co = blocks(outChannels, 8);
  const rows = stripRows(outHeight, outWidth);
  const tilesBytes = <usize>(filterHeight * filterWidth * ci * co) * TILE;
  const tiles = scratch;
  const inputPanels = tiles + tilesBytes;
  const dyPanels = inputPanels + <usize>(((rows - 1) * strideY + filterHeight) * inWidth * ci) * 16;
  memory.fill(tiles, 0, tilesBytes);

  for (let b = 0; b < batch; b++) {
    for (let y = 0; y < outHeight; y += rows) {
      const yEnd = min(y + rows, outHeight);
      const inStart = max(0, y * strideY - top);
      const inEnd = min(inHeight, (yEnd - 1) * strideY - top + filterHeight);
      if (inEnd <= inStart) continue;
      const inPixels = (inEnd - inStart) * inWidth;
      const outPixels = (yEnd - y) * outWidth;
      packColumns(
        input + <usize>((b * inHeight + inStart) * inWidth * inChannels) * FLOAT,
        <usize>inChannels * FLOAT,
        inPixels,
        channels,
        4,
        inputPanels,
      );
      packColumns(
        dy + <usize>((b * outHeight + y) * outWidth * outChannels) * FLOAT,
        <usize>outChannels * FLOAT,
        outPixels,
        outChannels,
        8,
        dyPanels,
      );

      for (let ky = 0; ky < filterHeight; ky++) {
        // Output rows of the strip whose input row, y*stride + ky - top, exists.
        const first = max(y, firstInside(top - ky, strideY));
        const last = min(yEnd, firstInside(inHeight + top - ky, strideY));
        for (let kx = 0; kx < filterWidth; kx++) {
          const xFirst = firstInside(left - kx, strideX);
          const count = min(outWidth, firstInside(inWidth + left - kx, strideX)) - xFirst;
          if (last <= first || count <= 0) continue;
          const inputOffset =
            <usize>((first * strideY + ky - top - inStart) * inWidth + xFirst * strideX + kx - left) * 16;
          const dyOffset = <usize>((first - y) * outWidth + xFirst) * 32;
          let tile = tiles + <usize>((ky * filterWidth + kx) * ci * co) * TILE;
          for (let i = 0; i < ci; i++) {
            for (let o = 0; o < co; o++) {
              addOuterProducts(
                inputPanels + <usize>(i * inPixels) * 16 + inputOffset,
                <usize>(strideY * inWidth) * 16,
                <usize>strideX * 16,
                dyPanels + <usize>(o * outPixels) * 32 + dyOffset,
                <usize>outWidth * 32,
                last - first,
                count,
                tile,
              );
              tile += TILE;
            }
          }
        }
      }
    }
  }
  for (let tap = 0; tap < filterHeight * filterWidth; tap++) {
    storeTiles(tiles + <usize>(tap * ci * co) * TILE, channels, outChannels, gradient, <usize>outChannels * FLOAT);
    gradient += <usize>(inChannels * outChannels) * FLOAT;
  }
}

/** The smallest index >= 0 with index * stride >= from. */
function firstInside(from: i32, stride: i32): i32 {
  return from <= 0 ? 0 : (from + stride - 1) / stride;
}
