// Matrix products in batches. Sizes and batch strides are in elements; a batch stride of 0 repeats a matrix.
import {
  addOuterProducts,
  multiplyRows,
  packColumns,
  packRows,
  panelBytes,
  startTile,
  storeTile,
  storeTiles,
  TILE,
} from "./lib/outer-products";

const FLOAT: usize = 4;
/** Bytes of a that are read for every panel of b: they stay in the second-level cache. */
const BLOCK_BYTES: i32 = 1 << 17;

/** Bytes of scratch that {@link batchMatMul} needs. */
export function batchMatMulScratch(n: i32, depth: i32): usize {
  return panelBytes(n, depth, 8) + 2 * TILE;
}

/**
 * c[z, i, j] = sum over k of a[z, i, k] b[z, k, j], z < batch, i < m, j < n, k < depth; all dense.
 * With `transposed`, b is [z, j, k]. `bias` [n] is added to every row, unless the address is 0.
 */
export function batchMatMul(
  a: usize,
  aBatch: usize,
  b: usize,
  bBatch: usize,
  transposed: bool,
  bias: usize,
  c: usize,
  batch: i32,
  m: i32,
  n: i32,
  depth: i32,
  scratch: usize,
): void {
  const block = max(4, (BLOCK_BYTES / (4 * max(1, depth))) & ~3);
  const aRow = <usize>depth * FLOAT;
  const cRow = <usize>n * FLOAT;
  const tile = scratch + panelBytes(n, depth, 8);
  const first = tile + TILE;
  for (let z = 0; z < batch; z++) {
    if (z === 0 || bBatch > 0) {
      if (transposed) packRows(b, aRow, n, depth, 8, scratch, 8 * aRow);
      else packColumns(b, cRow, depth, n, 8, scratch);
    }
    for (let start = 0; start < m; start += block) {
      const end = min(m, start + block);
      for (let j = 0; j < n; j += 8) {
        const columns = min(8, n - j);
        startTile(first, bias === 0 ? 0 : bias + <usize>j * FLOAT, columns);
        for (let i = start; i < end; i += 4) {
          const rows = min(4, m - i);
          const corner = c + <usize>i * cRow + <usize>j * FLOAT;
          const isWhole = rows === 4 && columns === 8;
          const to = isWhole ? corner : tile;
          multiplyRows(
            a + <usize>i * aRow,
            aRow,
            rows,
            scratch + <usize>j * aRow,
            depth,
            first,
            to,
            isWhole ? cRow : 32,
          );
          if (!isWhole) storeTile(tile, rows, columns, corner, cRow);
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

/**
 * c[z, i, j] = sum over k of a[z, k, i] b[z, k, j], i < m: as in the gradient of a weight. A row of a has `aColumns`
 * numbers, of which only the first m are used; b and c are dense.
 */
export function transposedMatMul(
  a: usize,
  aBatch: usize,
  aColumns: i32,
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
  const aRow = <usize>aColumns * FLOAT;
  for (let z = 0; z < batch; z++) {
    memory.fill(scratch, 0, tilesBytes);
    for (let k = 0; k < depth; k += STRIP) {
      const count = min(STRIP, depth - k);
      packColumns(a + <usize>k * aRow, aRow, count, m, 4, aPanels);
      packColumns(b + <usize>k * <usize>n * FLOAT, <usize>n * FLOAT, count, n, 8, bPanels);
      const row = <usize>count * FLOAT;
      let tile = scratch;
      for (let i = 0; i < m; i += 4) {
        for (let j = 0; j < n; j += 8) {
          addOuterProducts(aPanels + <usize>i * row, 0, 16, bPanels + <usize>j * row, 0, 1, count, tile);
          tile += TILE;
        }
      }
    }
    storeTiles(scratch, m, n, c, <usize>n * FLOAT);
    a += aBatch * FLOAT;
    b += bBatch * FLOAT;
    c += <usize>m * <usize>n * FLOAT;
  }
}
