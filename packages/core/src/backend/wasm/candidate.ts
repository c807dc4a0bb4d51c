import type { BackendOptions, Candidate, LoadedBackend } from "../candidate.js";
import { isNode, requireFrom } from "../node-only.js";
import { completeWasmBackend } from "./register.js";

/** WebAssembly with SIMD: runs everywhere, the default where nothing faster is installed. */
export const wasmCandidate: Candidate = { name: "wasm", load: loadWasm };

async function loadWasm(options: BackendOptions): Promise<LoadedBackend> {
  if (typeof WebAssembly === "undefined") throw new Error("this JavaScript engine has no WebAssembly.");
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  if (options.wasmPaths !== undefined) wasm.setWasmPaths(options.wasmPaths);
  else if (isNode) wasm.setWasmPaths(await installedFolder());
  const listeners = isNode ? keepProcessListeners() : undefined;
  return {
    registeredAs: "wasm",
    afterStart: () => {
      listeners?.();
      return completeWasmBackend();
    },
  };
}

async function installedFolder(): Promise<string> {
  const file = (await requireFrom()).resolve("@tensorflow/tfjs-backend-wasm/package.json");
  return file.replace(/package\.json$/, "dist/");
}

/**
 * The wasm loader adds process-wide handlers that rethrow every uncaught error, which hides where it came from.
 * Returns a function that removes whatever handlers were added since this call.
 */
function keepProcessListeners(): () => void {
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const before = new Set(events.flatMap((event) => process.rawListeners(event)));
  return () => {
    for (const event of events) {
      for (const listener of process.rawListeners(event)) {
        if (!before.has(listener)) process.removeListener(event, listener as () => void);
      }
    }
  };
}
