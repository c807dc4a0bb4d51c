import { BackendMemoryError } from "../../platform/backend-memory.js";
import type { Binding, NativeBackend } from "./binding.js";

/** What TensorFlow says if it finds no memory: TF_RESOURCE_EXHAUSTED is 8 in its C interface. */
const EXHAUSTED = /Invalid TF_Status: 8\b/;

/** Makes a failed allocation of TensorFlow a {@link BackendMemoryError}. Its tensors are still there. */
export function guardNativeMemory(backend: NativeBackend): void {
  const { binding } = backend;
  // The functions of the binding itself cannot be replaced.
  backend.binding = Object.create(binding, {
    executeOp: { value: guarded(binding.executeOp.bind(binding)) },
    runSavedModel: { value: guarded(binding.runSavedModel.bind(binding)) },
  }) as Binding;
}

function guarded<A extends unknown[], R>(call: (...given: A) => R): (...given: A) => R {
  return (...given) => {
    try {
      return call(...given);
    } catch (error) {
      const { message } = error as Error;
      if (!EXHAUSTED.test(message)) throw error;
      const shape = /tensor with shape(\[[\d,]*\])/.exec(message)?.[1];
      throw new BackendMemoryError(
        `The native backend has no memory${shape ? ` for a tensor ${shape}` : ""}. ` +
          "Dispose of tensors, or draw smaller or fewer pictures at once.",
        { cause: error },
      );
    }
  };
}
