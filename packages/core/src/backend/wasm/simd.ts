import { simdBinary } from "./simd-binary.js";
import { memoryOf, type WasmBackend } from "./memory.js";

/** The functions of `packages/core/assembly`; addresses are in bytes, sizes and strides in elements. */
// prettier-ignore
export interface SimdKernels {
  batchMatMulScratch(n: number, depth: number): number;
  batchMatMul(
    a: number, aBatch: number,
    b: number, bBatch: number, transposed: number,
    c: number, batch: number, m: number, n: number, depth: number,
    scratch: number,
  ): void;
  transposedMatMulScratch(m: number, n: number): number;
  transposedMatMul(
    a: number, aBatch: number, b: number, bBatch: number,
    c: number, batch: number, m: number, n: number, depth: number,
    scratch: number,
  ): void;
  conv2dScratch(
    inChannels: number, outHeight: number, outWidth: number, outChannels: number,
    filterHeight: number, filterWidth: number, strideY: number, strideX: number,
  ): number;
  conv2d(
    input: number, batch: number, inHeight: number, inWidth: number, inChannels: number,
    filter: number, filterHeight: number, filterWidth: number, turned: number,
    output: number, outHeight: number, outWidth: number, outChannels: number,
    strideY: number, strideX: number, top: number, left: number,
    scratch: number,
  ): void;
  copyRows(from: number, fromRow: number, to: number, toRow: number, bytes: number, rows: number): void;
  erf(input: number, count: number, output: number): void;
  sumOver(input: number, outer: number, count: number, inner: number, scale: number, output: number): void;
  softmax(input: number, rows: number, count: number, output: number): void;
  conv2dFilterGradientScratch(
    inWidth: number, inChannels: number, outHeight: number, outWidth: number, outChannels: number,
    filterHeight: number, filterWidth: number, strideY: number,
  ): number;
  conv2dFilterGradient(
    input: number, batch: number, inHeight: number, inWidth: number, inChannels: number,
    dy: number, outHeight: number, outWidth: number, outChannels: number,
    gradient: number, filterHeight: number, filterWidth: number,
    strideY: number, strideX: number, top: number, left: number,
    scratch: number,
  ): void;
}

/** Loads our SIMD code onto the memory of a running backend, so that it reads and writes tensors in place. */
export async function loadSimd(backend: WasmBackend): Promise<SimdKernels> {
  const memory = memoryOf(backend);
  const shared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  const bytes = bytesOf(shared ? simdBinary.shared : simdBinary.single);
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  return instance.exports as unknown as SimdKernels;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
