import * as tf from "@tensorflow/tfjs";
import { BackendMemoryError, inUnits, WASM_RESERVE } from "../../platform/backend-memory.js";
import { memoryOf, type WasmBackend } from "./memory.js";

/** Above this size of the memory, an allocation also checks that the reserve is still there. */
const NEAR_THE_END = 2 ** 32 - 6 * WASM_RESERVE;
/** Smaller allocations may use the reserve. */
const LARGE = 2 ** 16;

/**
 * Makes a failed allocation throw an error. The stock backend uses the address 0, which `malloc` then returns, as
 * memory. It overwrites data of the program there, and every later call fails.
 *
 * Kernels also allocate memory, and these allocations are not checked. So a reserve is kept free for them. After an
 * error, the data that a kernel had already made are freed: TensorFlow.js does not know them yet.
 */
export function guardMemory(backend: WasmBackend): void {
  const { wasm } = backend;
  wasm._free(wasm._malloc(LARGE)); // The first call replaces these two functions.
  const malloc = wasm._malloc.bind(wasm);
  const free = wasm._free.bind(wasm);
  wasm._malloc = (bytes) => {
    const address = malloc(bytes);
    if (address === 0 && bytes > 0) throw outOfMemory(bytes);
    if (bytes >= LARGE && memoryOf(backend).buffer.byteLength > NEAR_THE_END) {
      const reserve = malloc(WASM_RESERVE);
      if (reserve === 0) {
        free(address);
        throw outOfMemory(bytes);
      }
      free(reserve);
    }
    return address;
  };
  freeAfterErrors(backend);
}

function outOfMemory(bytes: number): BackendMemoryError {
  const { numBytes, numTensors } = tf.memory();
  return new BackendMemoryError(
    `The wasm backend has no room for ${inUnits(bytes)} more: ${numTensors} tensors hold ${inUnits(numBytes)} of its 4 GiB. ` +
      'Dispose of tensors, draw smaller or fewer pictures at once, or use another backend, such as useBackend("node").',
  );
}

/** Frees what a kernel made before it failed. */
function freeAfterErrors(backend: WasmBackend): void {
  /** The data that the running kernels have made; empty between kernels. */
  const made: tf.DataId[] = [];
  let depth = 0;
  const write = backend.write.bind(backend);
  backend.write = (values, shape, dtype) => {
    const dataId = write(values, shape, dtype);
    if (depth > 0) made.push(dataId);
    return dataId;
  };
  const { state } = tf.engine();
  const guarded =
    (kernel: tf.KernelFunc): tf.KernelFunc =>
    (given) => {
      const first = made.length;
      depth++;
      try {
        return kernel(given);
      } catch (error) {
        for (const dataId of made.splice(first)) if (!state.tensorInfo.has(dataId)) backend.disposeData(dataId, true);
        throw error;
      } finally {
        if (--depth === 0) made.length = 0;
      }
    };
  for (const config of tf.getKernelsForBackend("wasm")) {
    tf.unregisterKernel(config.kernelName, "wasm");
    tf.registerKernel({ ...config, kernelFunc: guarded(config.kernelFunc) });
  }
}
