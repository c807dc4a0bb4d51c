import { simdBinary } from "./simd-binary.js";
import type { SimdKernels } from "./simd-kernels.js";
import { hasSharedMemory, memoryOf, type WasmBackend } from "./memory.js";
import { parallelKernels, sumsBytes } from "./threads/parallel.js";
import { ThreadPool } from "./threads/thread-pool.js";

/**
 * Loads our SIMD code onto the memory of a running backend, so that it reads and writes tensors in place, on so many
 * threads.
 */
export async function loadSimd(backend: WasmBackend, threads: number): Promise<SimdKernels> {
  const memory = memoryOf(backend);
  const isShared = hasSharedMemory(backend);
  const module = await WebAssembly.compile(bytesOf(isShared ? simdBinary.shared : simdBinary.single));
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const kernels = instance.exports as unknown as SimdKernels;
  if (threads === 1 || !isShared) return kernels;
  const pool = await ThreadPool.start(module, memory, instance, threads);
  const dispose = backend.dispose.bind(backend);
  backend.dispose = () => {
    pool.end();
    dispose();
  };
  return parallelKernels(kernels, pool, backend.wasm._malloc(sumsBytes(threads)) >>> 0);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
