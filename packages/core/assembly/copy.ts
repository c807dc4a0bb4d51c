/** Copies `rows` rows of `bytes` bytes; they begin `fromRow` and `toRow` bytes apart. */
export function copyRows(from: usize, fromRow: usize, to: usize, toRow: usize, bytes: usize, rows: i32): void {
  for (let row = 0; row < rows; row++) {
    memory.copy(to, from, bytes);
    from += fromRow;
    to += toRow;
  }
}
