// Matrix products in batches. Sizes and batch strides are in elements; a batch stride of 0 repeats a matrix.
import { addOuterProducts, packColumns, packRows, panelBytes, storeTile, storeTiles, TILE } from "./outer-products";

const FLOAT: usize = 4;
/** Bytes of a that are packed and gone through for every panel of b: they stay in the second-level cache. */
const BLOCK_BYTES: i32 = 1 << 17;

function blockRows(m: i32, depth: i32): i32 {
  return min(m, max(4, (BLOCK_BYTES / (4 * max(1, depth))) & ~3));
}

/** Bytes of scratch that {@link batchMatMul} needs. */
export function batchMatMulScratch(m: i32, n: i32, depth: i32): usize {
  return panelBytes(n, depth, 8) + panelBytes(blockRows(m, depth), depth, 4) + TILE;
}

/**
 * c[z, i, j] = sum over k of a[z, i, k] b[z, k, j], z < batch, i < m, j < n, k < depth; all dense.
 * With `transposed`, b is [z, j, k].
 */
export function batchMatMul(
  a: usize,
  aBatch: usize,
  b: usize,
  bBatch: usize,
  transposed: bool,
  c: usize,
  batch: i32,
  m: i32,
  n: i32,
  depth: i32,
  scratch: usize,
): void {
  const block = blockRows(m, depth);
  const aRow = <usize>depth * FLOAT;
  const cRow = <usize>n * FLOAT;
  const aPanels = scratch + panelBytes(n, depth, 8);
  const tile = aPanels + panelBytes(block, depth, 4);
  for (let z = 0; z < batch; z++) {
    if (z === 0 || bBatch > 0) {
      if (transposed) packRows(b, n, depth, 8, scratch, 8 * aRow);
      else packColumns(b, depth, n, 8, scratch);
    }
    for (let start = 0; start < m; start += block) {
      const rows = min(block, m - start);
      packRows(a + <usize>start * aRow, rows, depth, 4, aPanels, 4 * aRow);
      for (let j = 0; j < n; j += 8) {
        for (let i = 0; i < rows; i += 4) {
          memory.fill(tile, 0, TILE);
          addOuterProducts(aPanels + <usize>i * aRow, 0, 16, scratch + <usize>j * aRow, 0, 1, depth, tile);
          const corner = c + <usize>(start + i) * cRow + <usize>j * FLOAT;
          storeTile(tile, min(4, rows - i), min(8, n - j), corner, cRow);
        }
      }
    }
    a += aBatch * FLOAT;
    b += bBatch * FLOAT;
    c += <usize>m * cRow;
  }
}

/** Rows of a and b that {@link transposedMatMul} packs at a time. */
const STRIP: i32 = 256;

/** Bytes of scratch that {@link transposedMatMul} needs. */
export function transposedMatMulScratch(m: i32, n: i32): usize {
  return <usize>(((m + 3) / 4) * ((n + 7) / 8)) * TILE + panelBytes(m, STRIP, 4) + panelBytes(n, STRIP, 8);
}

/** c[z, i, j] = sum over k of a[z, k, i] b[z, k, j]: as in the gradient of a weight. All dense. */
export function transposedMatMul(
  a: usize,
  aBatch: usize,
  b: usize,
  bBatch: usize,
  c: usize,
  batch: i32,
  m: i32,
  n: i32,
  depth: i32,
  scratch: usize,
): void {
  const tilesBytes = <usize>(((m + 3) / 4) * ((n + 7) / 8)) * TILE;
  const aPanels = scratch + tilesBytes;
  const bPanels = aPanels + panelBytes(m, STRIP, 4);
  for (let z = 0; z < batch; z++) {
    memory.fill(scratch, 0, tilesBytes);
    for (let k = 0; k < depth; k += STRIP) {
      const count = min(STRIP, depth - k);
      packColumns(a + <usize>k * <usize>m * FLOAT, count, m, 4, aPanels);
      packColumns(b + <usize>k * <usize>n * FLOAT, count, n, 8, bPanels);
      const row = <usize>count * FLOAT;
      let tile = scratch;
      for (let i = 0; i < m; i += 4) {
        for (let j = 0; j < n; j += 8) {
          addOuterProducts(aPanels + <usize>i * row, 0, 16, bPanels + <usize>j * row, 0, 1, count, tile);
          tile += TILE;
        }
      }
    }
    storeTiles(scratch, m, n, c);
    a += aBatch * FLOAT;
    b += bBatch * FLOAT;
    c += <usize>m * <usize>n * FLOAT;
  }
}
