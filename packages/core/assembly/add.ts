import { loadLanes, storeLanes } from "./lib/lanes";

const FLOAT: usize = 4;

/** x [blocks, rows, size] + b [blocks, 1, size]. */
export function add(x: usize, b: usize, blocks: i32, rows: i32, size: i32, y: usize): void {
  for (let block = 0; block < blocks; block++) {
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < size; i += 4) {
        const at = <usize>i * FLOAT;
        storeLanes(y + at, f32x4.add(loadLanes(x + at, size - i), loadLanes(b + at, size - i)), size - i);
      }
      x += <usize>size * FLOAT;
      y += <usize>size * FLOAT;
    }
    b += <usize>size * FLOAT;
  }
}
