/** Names that {@link useBackend} takes, best first. */
export const BACKEND_NAMES = ["node-gpu", "node", "webgpu", "webgl", "wasm", "cpu"] as const;

/**
 * Names that useBackend knows, best first: native code on a graphics card and on the processor, WebGPU, WebGL,
 * WebAssembly, plain JavaScript.
 */
export type BackendName = (typeof BACKEND_NAMES)[number];

/** Settings of useBackend. A backend ignores the settings of others. */
export interface BackendOptions {
  /**
   * Threads of the wasm backend, 1 to 16; default: one for every two cores, at most 4. The number cannot change once
   * the backend runs. In a browser, more than one needs a cross-origin isolated page.
   */
  threads?: number;
  /**
   * Where a browser fetches `tfjs-backend-wasm*.wasm` from: a folder URL ending in `/`, or a URL for each of the
   * three files. Default: beside the script. In Node the files of the installed package are used.
   */
  wasmPaths?: string | Record<WasmFile, string>;
  /**
   * Whether networks are recorded and then run without TensorFlow.js in between (docs/recording.md); true at first, and
   * unchanged if left out. Set it to false to debug: each operation then goes through TensorFlow.js.
   */
  record?: boolean;
  /**
   * Bytes of the weights of the model that will run. Without a name, `useBackend` then leaves a graphics card aside in
   * Node if the model is small: to submit its work would take longer than to compute it.
   */
  modelBytes?: number;
}

export type WasmFile =
  "tfjs-backend-wasm.wasm" | "tfjs-backend-wasm-simd.wasm" | "tfjs-backend-wasm-threaded-simd.wasm";

/** One way to run TensorFlow.js. */
export interface Candidate {
  readonly name: BackendName;
  /**
   * Loads the code and registers the backend, without making it the current one. `isAskedFor`: the user named it.
   * Otherwise it may refuse if a later candidate is faster. Rejects with an Error that says in one sentence why it
   * cannot run here, and how to fix that.
   */
  load(options: BackendOptions, isAskedFor: boolean): Promise<LoadedBackend>;
}

export interface LoadedBackend {
  /** Its name in TensorFlow.js. */
  readonly registeredAs: string;
  /** A note for the user ("2 threads"; "1 thread: ..."). */
  readonly detail?: string;
  /** Runs when the backend is the current one, to register kernels that need it running. */
  readonly afterStart?: () => Promise<void> | void;
}
