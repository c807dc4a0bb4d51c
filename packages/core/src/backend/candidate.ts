/** Names that {@link useBackend} takes, best first. */
export const BACKEND_NAMES = ["node-gpu", "node", "webgpu", "webgl", "wasm", "cpu"] as const;

/**
 * Names that useBackend knows, best first: native code on a graphics card and on the processor, WebGPU, WebGL,
 * WebAssembly, plain JavaScript.
 */
export type BackendName = (typeof BACKEND_NAMES)[number];

/** Settings of useBackend; a backend ignores what is not its own. */
export interface BackendOptions {
  /**
   * Threads of the wasm backend, 1 to 16; default: one for every two cores, at most 4. It is
   * fixed when the backend first starts. In a browser, more than one needs a cross-origin isolated page.
   */
  threads?: number;
  /**
   * Where a browser fetches `tfjs-backend-wasm*.wasm` from: a folder URL ending in `/`, or a URL for each of the
   * three files. Default: beside the script. In Node the files of the installed package are used.
   */
  wasmPaths?: string | Record<WasmFile, string>;
  /**
   * Whether networks are recorded and then run without TensorFlow.js in between (docs/backends.md). Default: as before,
   * and at first yes. With false each operation is done by TensorFlow.js, as when you look for an error.
   */
  record?: boolean;
}

export type WasmFile =
  "tfjs-backend-wasm.wasm" | "tfjs-backend-wasm-simd.wasm" | "tfjs-backend-wasm-threaded-simd.wasm";

/** One way to run TensorFlow.js. */
export interface Candidate {
  readonly name: BackendName;
  /**
   * Loads the code and registers the backend, without making it the current one.
   * `isAskedFor`: the user named it; otherwise it may decline where a later candidate would be faster.
   * Rejects with an Error that says in one sentence why it cannot be had here and what would help.
   */
  load(options: BackendOptions, isAskedFor: boolean): Promise<LoadedBackend>;
}

export interface LoadedBackend {
  /** The name TensorFlow.js knows it by. */
  readonly registeredAs: string;
  /** What a user may want to know of it ("2 threads"; "1 thread: ..."). */
  readonly detail?: string;
  /** Runs once the backend is the current one: kernels that need it live. */
  readonly afterStart?: () => Promise<void> | void;
}
