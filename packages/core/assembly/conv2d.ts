// Convolution, and its gradient with respect to the input, without unfolding the input (no im2col): a strip of rows
// is repacked by channel, with zeros around it, so that 4 neighbouring output pixels read 4 consecutive numbers.
import {
  addOuterProducts,
  packColumns,
  packRows,
  panelBytes,
  startTile,
  storeTile,
  TILE,
  transpose4,
} from "./lib/outer-products";

const FLOAT: usize = 4;
/** Bytes of repacked input that are read for every panel of the filter: they stay in the second-level cache. */
const STRIP_BYTES: i32 = 1 << 17;

/** Output rows of a strip. */
function stripRows(outHeight: i32, inRowBytes: i32, filterHeight: i32, strideY: i32): i32 {
  return min(outHeight, max(1, (STRIP_BYTES / inRowBytes - filterHeight) / strideY + 1));
}

/**
 * Columns of one phase of a repacked row. Every strideX-th column makes a phase, so that neighbouring output pixels
 * read neighbouring numbers; a multiple of 4 pixels is read.
 */
function phaseColumns(outWidth: i32, filterWidth: i32, strideX: i32): i32 {
  return ((outWidth + 3) & ~3) + (filterWidth - 1) / strideX;
}

/**
 * Bytes from channel to channel of a strip: an odd number of cache lines, so that channels do not compete for the same
 * place in the cache.
 */
function planeBytes(inRows: i32, phaseColumns: i32, strideX: i32): usize {
  return (((inRows * phaseColumns * strideX * 4 + 63) >> 6) | 1) << 6;
}

/** Bytes of scratch that {@link conv2d} needs. */
export function conv2dScratch(
  inChannels: i32,
  outHeight: i32,
  outWidth: i32,
  outChannels: i32,
  filterHeight: i32,
  filterWidth: i32,
  strideY: i32,
  strideX: i32,
): usize {
  const columns = phaseColumns(outWidth, filterWidth, strideX);
  const rows = stripRows(outHeight, columns * strideX * inChannels * 4, filterHeight, strideY);
  const plane = planeBytes((rows - 1) * strideY + filterHeight, columns, strideX);
  return panelBytes(outChannels, filterHeight * filterWidth * inChannels, 8) + plane * inChannels + 2 * TILE;
}

/**
 * output[b, y, x, o] = sum over ky, kx, i of input[b, y*strideY + ky - top, x*strideX + kx - left, i] filter[ky, kx, i,
 * o], input 0 outside. With `turned`, `filter` is [ky, kx, o, i] and is turned by 180 degrees: the convolution that
 * takes the gradient of an output back to its input. `bias` [o] is added, unless the address is 0. All dense.
 */
export function conv2d(
  input: usize,
  batch: i32,
  inHeight: i32,
  inWidth: i32,
  inChannels: i32,
  filter: usize,
  filterHeight: i32,
  filterWidth: i32,
  turned: bool,
  bias: usize,
  output: usize,
  outHeight: i32,
  outWidth: i32,
  outChannels: i32,
  strideY: i32,
  strideX: i32,
  top: i32,
  left: i32,
  scratch: usize,
): void {
  const taps = filterHeight * filterWidth;
  const panel = <usize>(taps * inChannels) * 32;
  const columns = phaseColumns(outWidth, filterWidth, strideX);
  const rows = stripRows(outHeight, columns * strideX * inChannels * 4, filterHeight, strideY);
  const inRows = (rows - 1) * strideY + filterHeight;
  const plane = planeBytes(inRows, columns, strideX);
  const rowBytes = <usize>(columns * strideX) * FLOAT;
  const strip = scratch + panelBytes(outChannels, taps * inChannels, 8);
  const tile = strip + plane * inChannels;
  const outRow = <usize>outChannels * FLOAT;
  const tapBytes = <usize>inChannels * 32;
  packFilter(filter, taps, inChannels, outChannels, turned, scratch);

  for (let b = 0; b < batch; b++) {
    const picture = input + <usize>(b * inHeight) * <usize>(inWidth * inChannels) * FLOAT;
    for (let y = 0; y < outHeight; y += rows) {
      const count = min(rows, outHeight - y);
      memory.fill(strip, 0, plane * inChannels);
      for (let row = 0; row < (count - 1) * strideY + filterHeight; row++) {
        const from = y * strideY - top + row;
        if (from < 0 || from >= inHeight) continue;
        const at = picture + <usize>(from * inWidth * inChannels) * FLOAT;
        packRow(at, inWidth, inChannels, left, columns, strideX, strip + <usize>row * rowBytes, plane);
      }
      for (let o = 0; o < outChannels; o += 8) {
        startTile(tile + TILE, bias === 0 ? 0 : bias + <usize>o * FLOAT, outChannels - o);
        const filters = scratch + <usize>(o / 8) * panel;
        let corner = output + <usize>((b * outHeight + y) * outWidth * outChannels + o) * FLOAT;
        for (let row = 0; row < count; row++) {
          const line = strip + <usize>(row * strideY) * rowBytes;
          for (let x = 0; x < outWidth; x += 4) {
            memory.copy(tile, tile + TILE, TILE);
            let weights = filters;
            for (let ky = 0; ky < filterHeight; ky++) {
              const first = line + <usize>ky * rowBytes + <usize>x * FLOAT;
              if (strideX === 1) {
                addOuterProducts(first, FLOAT, plane, weights, tapBytes, filterWidth, inChannels, tile);
                weights += <usize>filterWidth * tapBytes;
                continue;
              }
              for (let kx = 0; kx < filterWidth; kx++) {
                const column = first + <usize>((kx % strideX) * columns + kx / strideX) * FLOAT;
                addOuterProducts(column, 0, plane, weights, 0, 1, inChannels, tile);
                weights += tapBytes;
              }
            }
            const pixels = min(4, outWidth - x);
            storeTile(tile, pixels, min(8, outChannels - o), corner, outRow);
            corner += <usize>pixels * outRow;
          }
        }
      }
    }
  }
}

/** The filter as panels of 8 output channels, [outChannels / 8, taps, inChannels, 8]. */
function packFilter(filter: usize, taps: i32, inChannels: i32, outChannels: i32, turned: bool, to: usize): void {
  if (!turned) {
    packColumns(filter, <usize>outChannels * FLOAT, taps * inChannels, outChannels, 8, to);
    return;
  }
  const panel = <usize>(taps * inChannels) * 32;
  for (let tap = taps - 1; tap >= 0; tap--) {
    const from = filter + <usize>(tap * inChannels * outChannels) * FLOAT;
    packRows(from, <usize>inChannels * FLOAT, outChannels, inChannels, 8, to, panel);
    to += <usize>inChannels * 32;
  }
}

/** One row [width, channels] of a picture -> its place in every channel's plane, `left` columns further right. */
function packRow(
  from: usize,
  width: i32,
  channels: i32,
  left: i32,
  columns: i32,
  strideX: i32,
  to: usize,
  plane: usize,
): void {
  const pixel = <usize>channels * FLOAT;
  const end = min(width, columns * strideX - left);
  let x = max(0, -left);
  if (strideX === 1) {
    for (; x + 4 <= end; x += 4) {
      const target = to + <usize>(x + left) * FLOAT;
      let c = 0;
      for (; c + 4 <= channels; c += 4) {
        transpose4(from + <usize>x * pixel + <usize>c * FLOAT, pixel, target + <usize>c * plane, plane);
      }
      for (; c < channels; c++) {
        for (let i = 0; i < 4; i++) {
          const value = load<f32>(from + <usize>(x + i) * pixel + <usize>c * FLOAT);
          store<f32>(target + <usize>c * plane + <usize>i * FLOAT, value);
        }
      }
    }
  }
  for (; x < end; x++) {
    const column = x + left;
    let target = to + <usize>((column % strideX) * columns + column / strideX) * FLOAT;
    for (let c = 0; c < channels; c++) {
      store<f32>(target, load<f32>(from + <usize>x * pixel + <usize>c * FLOAT));
      target += plane;
    }
  }
}
