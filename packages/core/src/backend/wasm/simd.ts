import { hasSharedMemory, memoryOf, type WasmBackend } from "./memory.js";
import { simdBinary, type SimdFunctions } from "./simd-binary.js";
import { inTurn, type Threads } from "./cut.js";
import { ThreadPool } from "./threads/thread-pool.js";

/** Loads our SIMD code with the memory of a running backend, so it reads and writes tensors in place. */
export async function loadSimd(
  backend: WasmBackend,
  threads: number,
): Promise<{ functions: SimdFunctions; threads: Threads }> {
  const memory = memoryOf(backend);
  const isShared = hasSharedMemory(backend);
  const module = await WebAssembly.compile(bytesOf(isShared ? simdBinary.shared : simdBinary.single));
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const functions = instance.exports as unknown as SimdFunctions;
  if (threads === 1 || !isShared) return { functions, threads: inTurn(functions, 1) };
  const pool = await ThreadPool.start(module, memory, instance, threads);
  const dispose = backend.dispose.bind(backend);
  backend.dispose = () => {
    pool.end();
    dispose();
  };
  return { functions, threads: pool };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
