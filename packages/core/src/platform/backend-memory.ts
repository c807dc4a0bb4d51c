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

/** The most that tensors can use there, in bytes. */
export const WASM_LIMIT = WASM_BYTES - WASM_RESERVE;

/** The memory that tensors use, and the most that they can use, in bytes. */
export interface BackendMemory {
  limit: number;
  held: number;
}

/** The caller's own limit. */
let given: number | undefined;

/**
 * Sets how much memory tensors may take, in bytes, from now on and on every backend: that of a graphics card, or a
 * share of the computer's. What would certainly need more is refused before the work, and large batches are drawn in
 * slices that fit. Without an argument the default is restored: on WebAssembly what it can address, elsewhere no limit,
 * and slices as on WebAssembly.
 *
 * @throws RangeError unless `bytes` is a number above 0
 */
export function limitMemory(bytes?: number): void {
  if (bytes !== undefined && !(typeof bytes === "number" && bytes > 0)) {
    throw new RangeError(`limitMemory: ${String(bytes)}; give a number of bytes above 0, such as 8e9.`);
  }
  given = bytes;
}

/** Undefined for backends other than WebAssembly without {@link limitMemory}: how much they can hold is not known. */
export function backendMemory(): BackendMemory | undefined {
  const isWasm = tf.getBackend() === "wasm";
  if (!isWasm && given === undefined) return undefined;
  return { limit: Math.min(isWasm ? WASM_LIMIT : Infinity, given ?? Infinity), held: tf.memory().numBytes };
}

/**
 * @param what the thing that needs the memory, which begins the message
 * @param remedy how to use less memory, as a part of a sentence
 * @throws BackendMemoryError if the backend cannot hold `bytes` more
 */
export function requireMemory(bytes: number, what: string, remedy: string): void {
  const memory = backendMemory();
  if (!memory || memory.held + bytes <= memory.limit) return;
  const holder = memory.limit === given ? "limitMemory allows" : "WebAssembly can hold";
  const held = memory.held < 2 ** 20 ? "" : `, of which tensors hold ${inUnits(memory.held)}`;
  throw new BackendMemoryError(
    `${what} needs about ${inUnits(bytes)}; ${holder} ${inUnits(memory.limit)}${held}. ` +
      `Use the native backend or a graphics card (useBackend("node") or useBackend("webgpu"))${remedy && `, or ${remedy}`}.`,
  );
}

/** Bytes in readable units: "3.4 GiB", "12 MiB". */
export function inUnits(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
