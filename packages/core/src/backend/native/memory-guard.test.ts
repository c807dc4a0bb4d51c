import { expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { BackendMemoryError } from "../../platform/backend-memory.js";
import { useBackend } from "../use-backend.js";
import type { NativeBackend } from "./binding.js";
import { guardNativeMemory } from "./memory-guard.js";

it("A failed allocation of TensorFlow is a BackendMemoryError, and other errors stay what they are", () => {
  const errors: Record<string, string> = {
    OOM: "Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[65536,16777216] and type float",
    Other: "Invalid TF_Status: 3\nMessage: Incompatible shapes: [2] vs. [3]",
  };
  const run = (name: string) => {
    if (!errors[name]) return [];
    throw new Error(errors[name]);
  };
  const backend = { binding: { executeOp: run, runSavedModel: run, TF_FLOAT: 1 } } as unknown as NativeBackend;
  guardNativeMemory(backend);
  const execute = backend.binding.executeOp as (name: string) => unknown;
  expect(execute("Add")).toEqual([]);
  expect(backend.binding.TF_FLOAT).toBe(1);
  expect(() => execute("OOM")).toThrow(BackendMemoryError);
  expect(() => execute("OOM")).toThrow(/^The native backend has no memory for a tensor \[65536,16777216\]\. Dispose/);
  expect(() => execute("Other")).toThrow(/^Invalid TF_Status: 3/);
  expect(() => (backend.binding.runSavedModel as unknown as typeof execute)("OOM")).toThrow(BackendMemoryError);
});

// TensorFlow waits ten seconds for memory, so that the real one is part of the long campaign, `npm run fuzz`.
(process.env.FUZZ_MINUTES ? it : it.skip)(
  "The native backend goes on after it",
  async () => {
    const native = await useBackend("node").catch((error: Error) => error);
    if (native instanceof Error) return console.info(`The native backend is not tested here: ${native.message}`);
    const before = tf.memory().numTensors;
    const huge = () => tf.tidy(() => tf.ones([2 ** 20, 1]).tile([1, 2 ** 20]));
    expect(huge).toThrow(BackendMemoryError);
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.tidy(() => tf.add(1, 2).dataSync()[0])).toBe(3);
  },
  60_000,
);
