import * as tf from "@tensorflow/tfjs";

/**
 * Thrown if the running backend has not enough memory: before the work if that is known in advance, else at the
 * allocation that fails. Nothing is lost: the backend can still be used.
 */
export class BackendMemoryError extends Error {
  override name = "BackendMemoryError";
}

/** WebAssembly addresses 4 GiB with 32 bits. */
const WASM_BYTES = 2 ** 32;

/** Kept free for what the kernels allocate themselves: packed filters and their scratch. */
export const WASM_RESERVE = 128 * 2 ** 20;

/** The memory that tensors use, and the most that they can use, in bytes. */
export interface BackendMemory {
  limit: number;
  held: number;
}

/** Undefined for backends other than WebAssembly: how much they can hold is not known. */
export function backendMemory(): BackendMemory | undefined {
  if (tf.getBackend() !== "wasm") return undefined;
  return { limit: WASM_BYTES - WASM_RESERVE, held: tf.memory().numBytes };
}

/**
 * @param what the thing that needs the memory, which begins the message
 * @param remedy how to use less memory, as a part of a sentence
 * @throws BackendMemoryError if the backend cannot hold `bytes` more
 */
export function requireMemory(bytes: number, what: string, remedy: string): void {
  const memory = backendMemory();
  if (!memory || memory.held + bytes <= memory.limit) return;
  const held = memory.held < 2 ** 20 ? "" : `, of which tensors hold ${inUnits(memory.held)}`;
  throw new BackendMemoryError(
    `${what} needs about ${inUnits(bytes)}; WebAssembly can hold ${inUnits(memory.limit)}${held}. ` +
      `Use the native backend or a graphics card (useBackend("node") or useBackend("webgpu"))${remedy && `, or ${remedy}`}.`,
  );
}

/** Bytes in readable units: "3.4 GiB", "12 MiB". */
export function inUnits(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
