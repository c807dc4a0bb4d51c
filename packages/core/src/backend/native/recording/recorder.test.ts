import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { CALLS, testRecordedNetworks } from "../../testing/recorded-networks.js";
import { useBackend } from "../../use-backend.js";
import { temporaryGraphFile } from "./graph.js";
import type { NativeBackend } from "../binding.js";
import { GraphRecorder } from "./recorder.js";

const native = await useBackend("node").then(
  () => true,
  () => false,
);
const binding = () => (tf.backend() as NativeBackend).binding as unknown as { getNumOfSavedModels(): number };

// The native backend is an optional installation (docs/backends.md).
(native ? describe : describe.skip)(
  "networks as graphs of native TensorFlow (skipped where that is not installed)",
  () => {
    testRecordedNetworks({
      backend: ["tensorflow", "node"],
      recorder: async () => new GraphRecorder(await temporaryGraphFile()),
      callsBefore: 8,
      // Sums are added up in another order; measured up to 6e-6 of the largest gradient.
      rounding: 3e-5,
      held: () => binding().getNumOfSavedModels(),
      heldByOne: 1,
    });

    it("are not recorded where no temporary file can be written", () => {
      const nowhere = new GraphRecorder(() => {
        throw new Error("EROFS: read-only file system");
      });
      const [owner, x] = [{}, tf.tensor1d([1, 2])];
      const twice = { owner, key: "x", reads: [x], parts: [], isTraining: false, body: () => [x.add(x)] };
      for (let i = 0; i < CALLS; i++) {
        const [result] = nowhere.run(twice);
        expect([...result!.dataSync()]).toEqual([2, 4]);
        result!.dispose();
      }
      expect(nowhere.describe(owner)[0]!.refused).toMatch("read-only");
      x.dispose();
    });
  },
);
