// The inner loop of all matrix products and convolutions: a sum of outer products of 4 numbers of one operand with
// 8 of the other. The 32 sums, a tile, stay in registers while the sum runs. Both operands are packed beforehand
// so that the loop reads each with one pointer.

const FLOAT: usize = 4;
/** Bytes of one tile, [4, 8]. */
export const TILE: usize = 4 * 8 * FLOAT;

/**
 * tile[i, j] += sum over r < rows, k < count of a_rk[i] b_rk[j], where a_rk are the 4 numbers at a + r aRow + k aStep
 * and b_rk the 8 numbers at b + r bRow + 32 k; all in bytes.
 */
export function addOuterProducts(
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bRow: usize,
  rows: i32,
  count: i32,
  tile: usize,
): void {
  let t00 = v128.load(tile);
  let t01 = v128.load(tile, 16);
  let t10 = v128.load(tile, 32);
  let t11 = v128.load(tile, 48);
  let t20 = v128.load(tile, 64);
  let t21 = v128.load(tile, 80);
  let t30 = v128.load(tile, 96);
  let t31 = v128.load(tile, 112);
  for (let row = 0; row < rows; row++) {
    let x = a;
    for (let at = b, end = b + <usize>count * 32; at < end; at += 32) {
      const b0 = v128.load(at);
      const b1 = v128.load(at, 16);
      let s = v128.load32_splat(x);
      t00 = f32x4.add(t00, f32x4.mul(s, b0));
      t01 = f32x4.add(t01, f32x4.mul(s, b1));
      s = v128.load32_splat(x, 4);
      t10 = f32x4.add(t10, f32x4.mul(s, b0));
      t11 = f32x4.add(t11, f32x4.mul(s, b1));
      s = v128.load32_splat(x, 8);
      t20 = f32x4.add(t20, f32x4.mul(s, b0));
      t21 = f32x4.add(t21, f32x4.mul(s, b1));
      s = v128.load32_splat(x, 12);
      t30 = f32x4.add(t30, f32x4.mul(s, b0));
      t31 = f32x4.add(t31, f32x4.mul(s, b1));
      x += aStep;
    }
    a += aRow;
    b += bRow;
  }
  v128.store(tile, t00);
  v128.store(tile, t01, 16);
  v128.store(tile, t10, 32);
  v128.store(tile, t11, 48);
  v128.store(tile, t20, 64);
  v128.store(tile, t21, 80);
  v128.store(tile, t30, 96);
  v128.store(tile, t31, 112);
}

/**
 * Multiplies up to 4 rows of a with a panel of 8 columns: as `addOuterProducts`, but a is not packed, since each
 * of its numbers is used only once for each panel. The 8 numbers at `first` are added to every row. Rows of a and c are
 * `aRow` and `cRow` bytes apart; 4 rows of c are always written.
 */
export function multiplyRows(
  a: usize,
  aRow: usize,
  rows: i32,
  panel: usize,
  depth: i32,
  first: usize,
  c: usize,
  cRow: usize,
): void {
  // A row beyond the edge reads the last one again.
  let a0 = a;
  let a1 = a + <usize>min(1, rows - 1) * aRow;
  let a2 = a + <usize>min(2, rows - 1) * aRow;
  let a3 = a + <usize>min(3, rows - 1) * aRow;
  let c00 = v128.load(first);
  let c01 = v128.load(first, 16);
  let c10 = c00;
  let c11 = c01;
  let c20 = c00;
  let c21 = c01;
  let c30 = c00;
  let c31 = c01;
  for (let end = panel + <usize>depth * 32; panel < end; panel += 32) {
    const b0 = v128.load(panel);
    const b1 = v128.load(panel, 16);
    let s = v128.load32_splat(a0);
    c00 = f32x4.add(c00, f32x4.mul(s, b0));
    c01 = f32x4.add(c01, f32x4.mul(s, b1));
    s = v128.load32_splat(a1);
    c10 = f32x4.add(c10, f32x4.mul(s, b0));
    c11 = f32x4.add(c11, f32x4.mul(s, b1));
    s = v128.load32_splat(a2);
    c20 = f32x4.add(c20, f32x4.mul(s, b0));
    c21 = f32x4.add(c21, f32x4.mul(s, b1));
    s = v128.load32_splat(a3);
    c30 = f32x4.add(c30, f32x4.mul(s, b0));
    c31 = f32x4.add(c31, f32x4.mul(s, b1));
    a0 += FLOAT;
    a1 += FLOAT;
    a2 += FLOAT;
    a3 += FLOAT;
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  c += cRow;
  v128.store(c, c10);
  v128.store(c, c11, 16);
  c += cRow;
  v128.store(c, c20);
  v128.store(c, c21, 16);
  c += cRow;
  v128.store(c, c30);
  v128.store(c, c31, 16);
}

/** Every row of the tile := the first `columns` (up to 8) numbers at `bias`, then zeros; all zeros where bias is 0. */
export function startTile(tile: usize, bias: usize, columns: i32): void {
  memory.fill(tile, 0, TILE);
  if (bias === 0) return;
  for (let row: usize = 0; row < TILE; row += 32) memory.copy(tile + row, bias, <usize>min(8, columns) * FLOAT);
}

/** Bytes of `columns` columns of `depth` numbers, packed in panels of `width` columns. */
export function panelBytes(columns: i32, depth: i32, width: i32): usize {
  return <usize>(((columns + width - 1) / width) * width) * <usize>depth * FLOAT;
}

/**
 * [depth, columns] -> panels [columns / width, depth, width], missing columns 0; width is 4 or 8.
 * The rows begin `row` bytes apart.
 */
export function packColumns(from: usize, row: usize, depth: i32, columns: i32, width: i32, to: usize): void {
  const step = <usize>width * FLOAT;
  for (let c = 0; c < columns; c += width) {
    let at = from + <usize>c * FLOAT;
    const count = min(width, columns - c);
    for (let k = 0; k < depth; k++) {
      if (count === width) {
        v128.store(to, v128.load(at));
        if (width === 8) v128.store(to, v128.load(at, 16), 16);
      } else {
        memory.fill(to, 0, step);
        for (let lane = 0; lane < count; lane++) {
          const offset = <usize>lane * FLOAT;
          store<f32>(to + offset, load<f32>(at + offset));
        }
      }
      at += row;
      to += step;
    }
  }
}

/**
 * The same for a transposed matrix: [columns, depth] -> panels [columns / width, depth, width].
 * Its rows begin `row` bytes apart, the panels `panelStride`.
 */
export function packRows(
  from: usize,
  row: usize,
  columns: i32,
  depth: i32,
  width: i32,
  to: usize,
  panelStride: usize,
): void {
  const step = <usize>width * FLOAT;
  for (let c = 0; c < columns; c += width) {
    for (let lane = 0; lane < width; lane += 4) {
      const at = from + <usize>(c + lane) * row;
      const lanes = max(0, min(4, columns - c - lane));
      let k = 0;
      if (lanes === 4) {
        for (; k + 4 <= depth; k += 4)
          transpose4(at + <usize>k * FLOAT, row, to + <usize>k * step + <usize>lane * FLOAT, step);
      }
      for (; k < depth; k++) {
        for (let l = 0; l < 4; l++) {
          const value: f32 = l < lanes ? load<f32>(at + <usize>l * row + <usize>k * FLOAT) : 0;
          store<f32>(to + <usize>k * step + <usize>(lane + l) * FLOAT, value);
        }
      }
    }
    to += panelStride;
  }
}

/** Turns 4 rows of 4 numbers into 4 columns; rows are `fromRow` and `toRow` bytes apart. */
export function transpose4(from: usize, fromRow: usize, to: usize, toRow: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + fromRow);
  const c = v128.load(from + 2 * fromRow);
  const d = v128.load(from + 3 * fromRow);
  const ab0 = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const ab1 = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const cd0 = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const cd1 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab0, cd0, 0, 2));
  v128.store(to + toRow, i64x2.shuffle(ab0, cd0, 1, 3));
  v128.store(to + 2 * toRow, i64x2.shuffle(ab1, cd1, 0, 2));
  v128.store(to + 3 * toRow, i64x2.shuffle(ab1, cd1, 1, 3));
}

/** Copies the first `rows` x `columns` numbers of a tile to c, whose rows are `cRow` bytes apart. */
export function storeTile(tile: usize, rows: i32, columns: i32, c: usize, cRow: usize): void {
  for (let i = 0; i < rows; i++) {
    if (columns === 8) {
      v128.store(c, v128.load(tile));
      v128.store(c, v128.load(tile, 16), 16);
    } else {
      for (let j: usize = 0; j < <usize>columns; j++) store<f32>(c + j * FLOAT, load<f32>(tile + j * FLOAT));
    }
    tile += 32;
    c += cRow;
  }
}

/** Tiles [rows / 4, columns / 8] -> [rows, columns], whose rows begin `row` bytes apart. */
export function storeTiles(tiles: usize, rows: i32, columns: i32, to: usize, row: usize): void {
  for (let i = 0; i < rows; i += 4) {
    for (let j = 0; j < columns; j += 8) {
      storeTile(tiles, min(4, rows - i), min(8, columns - j), to + <usize>i * row + <usize>j * FLOAT, row);
      tiles += TILE;
    }
  }
}
