import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { clipFactor, clipGradients, globalNorm, parameterGradients } from "./gradients.js";

describe("parameterGradients", () => {
  it("names gradients by parameter and leaves out parameters the loss does not touch", () => {
    const parameters = new Map([
      ["scale", tf.variable(tf.scalar(3))],
      ["unused", tf.variable(tf.scalar(1))],
    ]);
    const { loss, gradients } = parameterGradients(() => tf.square(parameters.get("scale")!), parameters);
    expect(loss.dataSync()[0]).toBe(9);
    expect(Object.keys(gradients)).toEqual(["scale"]);
    expect(gradients.scale!.dataSync()[0]).toBe(6);
    tf.dispose([loss, gradients, [...parameters.values()]]);
  });
});

describe("clipGradients", () => {
  const makeGradients = () => ({ a: tf.tensor2d([[3, 0]]), b: tf.tensor1d([0, 4, 12]) });

  it("measures one norm over all gradients together: sqrt(9 + 16 + 144) = 13", () => {
    expect(tf.tidy(() => globalNorm(Object.values(makeGradients())).dataSync()[0])).toBe(13);
  });

  it("shortens a long gradient to the limit and keeps its direction", () => {
    tf.tidy(() => {
      const { gradients, norm } = clipGradients(makeGradients(), 1.3);
      expect(norm.dataSync()[0]).toBe(13);
      expect(gradients.a!.dataSync()[0]).toBeCloseTo(0.3, 6);
      expect([...gradients.b!.dataSync()].map((value) => value.toFixed(6))).toEqual([
        "0.000000",
        "0.400000",
        "1.200000",
      ]);
    });
  });

  it("leaves a short gradient as it is", () => {
    tf.tidy(() => expect([...clipGradients(makeGradients(), 14).gradients.b!.dataSync()]).toEqual([0, 4, 12]));
  });

  it("leaves only its result", () => {
    const given = makeGradients();
    const before = tf.memory().numTensors;
    const clipped = clipGradients(given, 1);
    expect(tf.memory().numTensors).toBe(before + 3);
    tf.dispose([given, clipped]);
  });

  it("refuses a limit that is not positive", () => {
    expect(() => clipFactor(1, 0)).toThrow(RangeError);
    expect(() => clipFactor(1, NaN)).toThrow("length NaN");
  });
});
