// Matrix product on SIMD: tiles of 4 x 8 of the result stay in registers while k runs.

const FLOAT: usize = 4;
/** Depth of one block: a packed panel of it (16 KB) stays in the first-level cache. */
const DEPTH: usize = 512;

/** Bytes of scratch that {@link batchMatMul} needs. */
export function matMulScratch(): usize {
  return DEPTH * 8 * FLOAT;
}

/**
 * c[z, i, j] = sum over k of a[z, i, k] b[z, k, j], z < batch, i < m, j < n, k < depth; c is dense.
 * Strides are in elements, so a transposed or broadcast (stride 0) operand costs nothing extra.
 */
export function batchMatMul(
  a: usize,
  aBatch: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bBatch: usize,
  bRow: usize,
  bColumn: usize,
  c: usize,
  batch: usize,
  m: usize,
  n: usize,
  depth: usize,
  scratch: usize,
): void {
  for (let z: usize = 0; z < batch; z++) {
    for (let k: usize = 0; k < depth; k += DEPTH) {
      const count = min(DEPTH, depth - k);
      for (let j: usize = 0; j < n; j += 8) {
        const columns = min<usize>(8, n - j);
        packPanel(b + (k * bRow + j * bColumn) * FLOAT, bRow, bColumn, count, columns, scratch);
        for (let i: usize = 0; i < m; i += 4) {
          const corner = c + (i * n + j) * FLOAT;
          const rows = min<usize>(4, m - i);
          tile(a + (i * aRow + k * aColumn) * FLOAT, aRow, aColumn, rows, count, scratch, corner, n, columns, k > 0);
        }
      }
    }
    a += aBatch * FLOAT;
    b += bBatch * FLOAT;
    c += m * n * FLOAT;
  }
}

/** Copies `count` rows of up to 8 columns of b to a dense panel of 8 columns, missing ones 0. */
function packPanel(b: usize, bRow: usize, bColumn: usize, count: usize, columns: usize, panel: usize): void {
  if (columns === 8 && bColumn === 1) {
    for (let k: usize = 0; k < count; k++) {
      v128.store(panel, v128.load(b));
      v128.store(panel, v128.load(b, 16), 16);
      b += bRow * FLOAT;
      panel += 32;
    }
    return;
  }
  for (let j: usize = 0; j < 8; j++) {
    let from = b + j * bColumn * FLOAT;
    let to = panel + j * FLOAT;
    for (let k: usize = 0; k < count; k++) {
      store<f32>(to, j < columns ? load<f32>(from) : 0);
      from += bRow * FLOAT;
      to += 32;
    }
  }
}

/** One 4 x 8 tile of c; rows and columns beyond the edge are computed and not stored. */
function tile(
  a: usize,
  aRow: usize,
  aColumn: usize,
  rows: usize,
  count: usize,
  panel: usize,
  c: usize,
  cRow: usize,
  columns: usize,
  accumulate: bool,
): void {
  // A missing row reads the last one again.
  let a0 = a;
  let a1 = a + min<usize>(1, rows - 1) * aRow * FLOAT;
  let a2 = a + min<usize>(2, rows - 1) * aRow * FLOAT;
  let a3 = a + min<usize>(3, rows - 1) * aRow * FLOAT;
  const step = aColumn * FLOAT;
  let c00 = f32x4.splat(0),
    c01 = c00,
    c10 = c00,
    c11 = c00,
    c20 = c00,
    c21 = c00,
    c30 = c00,
    c31 = c00;
  for (let at = panel, end = panel + count * 32; at < end; at += 32) {
    const b0 = v128.load(at);
    const b1 = v128.load(at, 16);
    let x = v128.load32_splat(a0);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a1);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a2);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a3);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
    a0 += step;
    a1 += step;
    a2 += step;
    a3 += step;
  }
  const row = cRow * FLOAT;
  storeRow(c, c00, c01, columns, accumulate);
  if (rows > 1) storeRow(c + row, c10, c11, columns, accumulate);
  if (rows > 2) storeRow(c + 2 * row, c20, c21, columns, accumulate);
  if (rows > 3) storeRow(c + 3 * row, c30, c31, columns, accumulate);
}

function storeRow(c: usize, left: v128, right: v128, columns: usize, accumulate: bool): void {
  if (columns === 8) {
    v128.store(c, accumulate ? f32x4.add(left, v128.load(c)) : left);
    v128.store(c, accumulate ? f32x4.add(right, v128.load(c, 16)) : right, 16);
    return;
  }
  storePart(c, left, min<usize>(4, columns), accumulate);
  if (columns > 4) storePart(c + 16, right, columns - 4, accumulate);
}

/** The first `count` lanes of `values`. */
function storePart(c: usize, values: v128, count: usize, accumulate: bool): void {
  for (let lane: usize = 0; lane < count; lane++) {
    const value = f32x4.extract_lane(values, 0);
    store<f32>(c, accumulate ? value + load<f32>(c) : value);
    values = i8x16.shuffle(values, values, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3);
    c += FLOAT;
  }
}
