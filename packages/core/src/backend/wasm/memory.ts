import {
  type BackendValues,
  type DataId,
  type DataType,
  engine,
  type KernelBackend,
  type TensorInfo,
} from "@tensorflow/tfjs";
import { sizeOf } from "../../platform/size-of.js";

/** The parts of `BackendWasm` that are used here; TensorFlow.js does not export their types. */
export interface WasmBackend extends KernelBackend {
  wasm: {
    /** The single-threaded binary exports its memory; the threaded one imports it. */
    asm: { memory?: WebAssembly.Memory };
    wasmMemory?: WebAssembly.Memory;
    /** 0 where there is no room, until `guardMemory` makes that an error. */
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  incRef(dataId: DataId): void;
  dataIdMap: { get(dataId: DataId): { memoryOffset: number } };
  makeOutput(shape: number[], dtype: "float32" | "int32"): TensorInfo;
  write(values: BackendValues, shape: number[], dtype: DataType): DataId;
}

/** Bytes of a float32, and of an int32. */
export const FLOAT_BYTES = 4;

export function memoryOf({ wasm }: WasmBackend): WebAssembly.Memory {
  const memory = wasm.asm.memory ?? wasm.wasmMemory;
  if (!memory) throw new Error("@tensorflow/tfjs-backend-wasm does not show its memory; version 4.22 does.");
  return memory;
}

/** Whether threads can work on the backend's memory. */
export function hasSharedMemory(backend: WasmBackend): boolean {
  return typeof SharedArrayBuffer !== "undefined" && memoryOf(backend).buffer instanceof SharedArrayBuffer;
}

/** Where the values of `tensor` begin in the backend's memory, in bytes. */
export function addressOf(backend: WasmBackend, tensor: TensorInfo): number {
  return backend.dataIdMap.get(tensor.dataId).memoryOffset;
}

/** Gives up one reference to data. After the last one the engine is told, which may have dropped the data before. */
export function release(backend: WasmBackend, dataId: DataId): void {
  if (backend.disposeData(dataId)) engine().removeDataId(dataId, backend);
}

/** Lends `bytes` of the backend's memory to `use`. */
export function withScratch<T>({ wasm }: WasmBackend, bytes: number, use: (address: number) => T): T {
  const address = wasm._malloc(bytes) >>> 0;
  try {
    return use(address);
  } finally {
    wasm._free(address);
  }
}

/** The values of a float32 tensor in place; valid until the backend next allocates. */
export function floatsOf(backend: WasmBackend, tensor: TensorInfo): Float32Array {
  return new Float32Array(memoryOf(backend).buffer, addressOf(backend, tensor), sizeOf(tensor.shape));
}

/** The values of an int32 tensor in place; valid until the backend next allocates. */
export function integersOf(backend: WasmBackend, tensor: TensorInfo): Int32Array {
  return new Int32Array(memoryOf(backend).buffer, addressOf(backend, tensor), sizeOf(tensor.shape));
}
