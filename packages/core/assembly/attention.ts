// Attention without its matrix of scores: a few queries at a time against all keys, so that their scores stay in the
// second-level cache. The gradient computes them again (Dao et al. 2022, from blocks of queries only).
import { exponential } from "./lib/exponential";
import { sumLanes } from "./lib/lanes";
import {
  addOuterProducts,
  multiplyRows,
  packColumns,
  packRows,
  panelBytes,
  storeTile,
  storeTiles,
  TILE,
} from "./lib/outer-products";

const FLOAT: usize = 4;
/** Bytes of scores that exist at a time. */
const BLOCK_BYTES: i32 = 1 << 17;

/** Queries of one block, a multiple of 4. */
function blockRows(queries: i32, keys: i32): i32 {
  return min((queries + 3) & ~3, max(4, (BLOCK_BYTES / (4 * keys)) & ~3));
}

/**
 * Bytes from one query's scores to the next one's: an odd number of cache lines, so that rows do not compete for the
 * same place in the cache.
 */
function scoreRow(keys: i32): usize {
  return (<usize>(((((keys + 7) & ~7) * 4 + 63) >> 6) | 1)) << 6;
}

/** Bytes of scratch that {@link attention} needs; `size` is that of a head. */
export function attentionScratch(queries: i32, keys: i32, size: i32): usize {
  const panels = panelBytes(keys, size, 8) + panelBytes(size, keys, 8);
  return panels + <usize>blockRows(queries, keys) * scoreRow(keys) + 2 * TILE;
}

/**
 * y = softmax(scale q k^T) v for each head: q, y [batch, queries, heads * size], k, v [batch, keys, heads * size]. Of
 * the batch * heads heads, `count` from `first` are computed. Leaves each row's largest score and 1 / (sum of exp(score
 * - largest)) in statistics [batch, heads, queries, 2].
 */
export function attention(
  q: usize,
  k: usize,
  v: usize,
  first: i32,
  count: i32,
  heads: i32,
  queries: i32,
  keys: i32,
  size: i32,
  scale: f32,
  y: usize,
  statistics: usize,
  scratch: usize,
): void {
  const row = <usize>(heads * size) * FLOAT;
  const block = blockRows(queries, keys);
  const scoresRow = scoreRow(keys);
  const kPanels = scratch;
  const vPanels = kPanels + panelBytes(keys, size, 8);
  const scores = vPanels + panelBytes(size, keys, 8);
  const tile = scores + <usize>block * scoresRow;
  const zeros = tile + TILE;
  memory.fill(zeros, 0, TILE);
  statistics += <usize>(first * queries) * 8;
  for (let z = first; z < first + count; z++) {
    const head = <usize>((z % heads) * size) * FLOAT;
    const own = <usize>((z / heads) * keys) * row + head;
    const ownQueries = <usize>((z / heads) * queries) * row + head;
    packRows(k + own, row, keys, size, 8, kPanels, <usize>size * 32);
    scaleBy(kPanels, panelBytes(keys, size, 8), scale);
    packColumns(v + own, row, keys, size, 8, vPanels);
    for (let start = 0; start < queries; start += block) {
      const rows = min(block, queries - start);
      const from = ownQueries + <usize>start * row;
      products(q + from, row, rows, kPanels, keys, size, zeros, scores, scoresRow);
      const blockStatistics = statistics;
      for (let i = 0; i < rows; i++) {
        softmaxRow(scores + <usize>i * scoresRow, keys, statistics);
        statistics += 8;
      }
      for (let i = 0; i < rows; i += 4) {
        const lanes = min(4, rows - i);
        for (let j = 0; j < size; j += 8) {
          const panel = vPanels + <usize>(j * keys) * FLOAT;
          multiplyRows(scores + <usize>i * scoresRow, scoresRow, lanes, panel, keys, zeros, tile, 32);
          scaleTile(tile, lanes, blockStatistics + <usize>i * 8);
          const corner = y + from + <usize>i * row + <usize>j * FLOAT;
          storeTile(tile, lanes, min(8, size - j), corner, row);
        }
      }
    }
  }
}

/** c[i, j] = sum over s of a[i, s] b[j, s], b in panels of 8; rows of c are written in fours. */
function products(
  a: usize,
  aRow: usize,
  count: i32,
  panels: usize,
  columns: i32,
  depth: i32,
  zeros: usize,
  c: usize,
  cRow: usize,
): void {
  for (let j = 0; j < columns; j += 8) {
    const panel = panels + <usize>(j * depth) * FLOAT;
    for (let i = 0; i < count; i += 4) {
      const to = c + <usize>i * cRow + <usize>j * FLOAT;
      multiplyRows(a + <usize>i * aRow, aRow, min(4, count - i), panel, depth, zeros, to, cRow);
    }
  }
}

/** Multiplies the numbers in `bytes` bytes, a multiple of 16. */
function scaleBy(at: usize, bytes: usize, scale: f32): void {
  for (let end = at + bytes; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(scale)));
}

/** scores := exp(scores - the largest); statistics gets the largest and 1 / their sum. */
function softmaxRow(scores: usize, count: i32, statistics: usize): void {
  const end = endOfRow(scores, count, -Infinity);
  let most = v128.load(scores);
  // pmax is twice as fast as max. Where it misses a NaN, the sum still finds it.
  for (let at = scores; at < end; at += 16) most = f32x4.pmax(most, v128.load(at));
  let largest = max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
  largest = max(largest, max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)));
  const shift = f32x4.splat(largest);
  let sum: f32 = 0;
  for (let at = scores; at < end;) {
    let part = f32x4.splat(0);
    for (const stop = min(end, at + 512); at < stop; at += 16) {
      const value = exponential(f32x4.sub(v128.load(at), shift));
      v128.store(at, value);
      part = f32x4.add(part, value);
    }
    sum += sumLanes(part);
  }
  store<f32>(statistics, largest);
  store<f32>(statistics, 1 / sum, 4);
}

/** The end of the row's last whole vector, in which the numbers after the first `count` of the row become `filler`. */
function endOfRow(row: usize, count: i32, filler: f32): usize {
  for (let i = count; (i & 3) !== 0; i++) store<f32>(row + <usize>i * FLOAT, filler);
  return row + <usize>((count + 3) & ~3) * FLOAT;
}

/** Multiplies every row of a tile by its 1 / sum, the second of its statistics. */
function scaleTile(tile: usize, rows: i32, statistics: usize): void {
  for (let i = 0; i < rows; i++) {
    const inverse = f32x4.splat(load<f32>(statistics + <usize>i * 8, 4));
    v128.store(tile, f32x4.mul(v128.load(tile), inverse));
    v128.store(tile, f32x4.mul(v128.load(tile, 16), inverse), 16);
    tile += 32;
  }
}

/** Tiles of a sum over queries, [keys / 4, size / 8]. */
function tilesBytes(keys: i32, size: i32): usize {
  return <usize>(((keys + 3) / 4) * ((size + 7) / 8)) * TILE;
}

/** Bytes of scratch that {@link attentionGradient} needs. */
export function attentionGradientScratch(queries: i32, keys: i32, size: i32): usize {
  const rows = blockRows(queries, keys);
  const panels = panelBytes(keys, size, 8) * 2 + panelBytes(size, keys, 8) + panelBytes(size, rows, 8) * 2;
  return panels + tilesBytes(keys, size) * 2 + scoreRow(keys) * <usize>rows * 2 + TILE * 2;
}

/**
 * The gradient of {@link attention}, from its inputs, its result and statistics. With p the softmax,
 * dv = p^T dy; ds = p (dy v^T - (dy, y)); dq = scale ds k; dk = scale ds^T q.
 */
export function attentionGradient(
  q: usize,
  k: usize,
  v: usize,
  y: usize,
  statistics: usize,
  dy: usize,
  first: i32,
  count: i32,
  heads: i32,
  queries: i32,
  keys: i32,
  size: i32,
  scale: f32,
  dq: usize,
  dk: usize,
  dv: usize,
  scratch: usize,
): void {
  const row = <usize>(heads * size) * FLOAT;
  const block = blockRows(queries, keys);
  const scoresRow = scoreRow(keys);
  const tiles = tilesBytes(keys, size);
  const rowsBytes = panelBytes(keys, size, 8);
  const columnsBytes = panelBytes(size, keys, 8);
  const blockBytes = panelBytes(size, block, 8);
  const kRows = scratch;
  const vRows = kRows + rowsBytes;
  const kColumns = vRows + rowsBytes;
  const qBlock = kColumns + columnsBytes;
  const dyBlock = qBlock + blockBytes;
  const dkTiles = dyBlock + blockBytes;
  const dvTiles = dkTiles + tiles;
  const shares = dvTiles + tiles;
  const slopes = shares + <usize>block * scoresRow;
  const tile = slopes + <usize>block * scoresRow;
  const zeros = tile + TILE;
  memory.fill(zeros, 0, TILE);
  statistics += <usize>(first * queries) * 8;
  for (let z = first; z < first + count; z++) {
    const head = <usize>((z % heads) * size) * FLOAT;
    const own = <usize>((z / heads) * keys) * row + head;
    const ownQueries = <usize>((z / heads) * queries) * row + head;
    packRows(k + own, row, keys, size, 8, kRows, <usize>size * 32);
    scaleBy(kRows, rowsBytes, scale);
    packRows(v + own, row, keys, size, 8, vRows, <usize>size * 32);
    packColumns(k + own, row, keys, size, 8, kColumns);
    scaleBy(kColumns, columnsBytes, scale);
    memory.fill(dkTiles, 0, tiles * 2);
    for (let start = 0; start < queries; start += block) {
      const rows = min(block, queries - start);
      const at = ownQueries + <usize>start * row;
      products(q + at, row, rows, kRows, keys, size, zeros, shares, scoresRow);
      products(dy + at, row, rows, vRows, keys, size, zeros, slopes, scoresRow);
      for (let i = 0; i < rows; i++) {
        const offset = <usize>i * scoresRow;
        const along = dotProduct(dy + at + <usize>i * row, y + at + <usize>i * row, size);
        softmaxGradientRow(shares + offset, slopes + offset, keys, along, statistics);
        statistics += 8;
      }
      packColumns(q + at, row, rows, size, 8, qBlock);
      packColumns(dy + at, row, rows, size, 8, dyBlock);
      addProducts(slopes, scoresRow, rows, keys, qBlock, size, dkTiles);
      addProducts(shares, scoresRow, rows, keys, dyBlock, size, dvTiles);
      for (let i = 0; i < rows; i += 4) {
        const lanes = min(4, rows - i);
        for (let j = 0; j < size; j += 8) {
          const panel = kColumns + <usize>(j * keys) * FLOAT;
          multiplyRows(slopes + <usize>i * scoresRow, scoresRow, lanes, panel, keys, zeros, tile, 32);
          storeTile(tile, lanes, min(8, size - j), dq + at + <usize>i * row + <usize>j * FLOAT, row);
        }
      }
    }
    scaleBy(dkTiles, tiles, scale);
    storeTiles(dkTiles, keys, size, dk + own, row);
    storeTiles(dvTiles, keys, size, dv + own, row);
  }
}

/** shares: scores -> p; slopes: dy v^T -> p (dy v^T - along). */
function softmaxGradientRow(shares: usize, slopes: usize, count: i32, along: f32, statistics: usize): void {
  const largest = f32x4.splat(load<f32>(statistics));
  const inverse = f32x4.splat(load<f32>(statistics, 4));
  const end = endOfRow(shares, count, -Infinity);
  for (let at = shares; at < end; at += 16) {
    const share = f32x4.mul(exponential(f32x4.sub(v128.load(at), largest)), inverse);
    v128.store(at, share);
    v128.store(slopes, f32x4.mul(share, f32x4.sub(v128.load(slopes), f32x4.splat(along))));
    slopes += 16;
  }
}

function dotProduct(a: usize, b: usize, count: i32): f32 {
  let sum: f32 = 0;
  for (let i: usize = 0; i < <usize>count * FLOAT; i += FLOAT) sum += load<f32>(a + i) * load<f32>(b + i);
  return sum;
}

/** tiles[j, s] += sum over i of a[i, j] b[i, s], b in panels of 8 columns. */
function addProducts(a: usize, aRow: usize, count: i32, columns: i32, b: usize, size: i32, tiles: usize): void {
  for (let j = 0; j < columns; j += 4) {
    for (let s = 0; s < size; s += 8) {
      addOuterProducts(a + <usize>j * FLOAT, 0, aRow, b + <usize>(s * count) * FLOAT, 0, 1, count, tiles);
      tiles += TILE;
    }
  }
}
