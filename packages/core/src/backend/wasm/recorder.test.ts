import { describe } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { testRecordedNetworks } from "../testing/recorded-networks.js";
import type { WasmBackend } from "./memory.js";
import { ReplayRecorder } from "./recorder.js";

describe("networks as lists of kernel calls on wasm", () => {
  testRecordedNetworks({
    backend: ["wasm", "wasm"],
    recorder: () => new ReplayRecorder(),
    callsBefore: 1,
    rounding: 0,
    held: () => (tf.backend() as WasmBackend).numDataIds(),
    heldByOne: 0,
  });
});
