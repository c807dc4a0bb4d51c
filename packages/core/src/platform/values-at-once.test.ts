import { expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { PlatformError } from "./platform-error.js";
import { valuesAtHand, valuesAtOnce } from "./values-at-once.js";

it("Values are read at once, or the error names the function and another backend", () => {
  const x = tf.tensor1d([1, 2]);
  expect([...valuesAtOnce("straightness", x)]).toEqual([1, 2]);
  // As TensorFlow.js does on WebGPU in Node.
  x.dataSync = () => {
    throw new ReferenceError("OffscreenCanvas is not defined");
  };
  expect(valuesAtHand(x)).toBeUndefined();
  expect(() => valuesAtOnce("straightness", x)).toThrow(PlatformError);
  expect(() => valuesAtOnce("straightness", x)).toThrow(
    /^straightness returns numbers at once, .* useBackend\("wasm"\)/,
  );
  x.dispose();
});
