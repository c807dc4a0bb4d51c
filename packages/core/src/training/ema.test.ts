import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { Ema } from "./ema.js";

describe("Ema", () => {
  let weight: tf.Variable;
  let bias: tf.Variable;
  let parameters: Map<string, tf.Variable>;
  let ema: Ema;

  const set = (variable: tf.Variable, value: number) => tf.tidy(() => variable.assign(tf.fill(variable.shape, value)));
  const averageOf = (name: string) => {
    const values = ema.values();
    const result = values.get(name)!.dataSync()[0]!;
    tf.dispose([...values.values()]);
    return result;
  };

  beforeEach(() => {
    weight = tf.tidy(() => tf.variable(tf.fill([2, 3], 1)));
    bias = tf.tidy(() => tf.variable(tf.fill([3], -1)));
    parameters = new Map([
      ["weight", weight],
      ["bias", bias],
    ]);
  });
  afterEach(() => {
    ema.dispose();
    tf.dispose([weight, bias]);
  });

  it("starts at the parameters and follows the recursion average <- d average + (1 - d) parameter", () => {
    ema = new Ema(parameters, 0.6);
    let expected = 1;
    for (let n = 0; n < 40; n++) {
      const value = Math.sin(n);
      set(weight, value);
      ema.update();
      const d = Math.min(0.6, (1 + n) / (10 + n));
      expected = d * expected + (1 - d) * value;
      // 40 float32 roundings of numbers of order 1, each damped: a few 6e-8.
      expect(Math.abs(averageOf("weight") - expected)).toBeLessThan(5e-7);
    }
    expect(averageOf("bias")).toBe(-1);
  });

  it("gives the parameters their averages and restores them, also after an exception", async () => {
    ema = new Ema(parameters, 0);
    set(weight, 5);
    expect(await ema.use(async () => weight.dataSync()[0])).toBe(1);
    expect(weight.dataSync()[0]).toBe(5);
    await expect(ema.use(() => Promise.reject(new Error("while sampling")))).rejects.toThrow("while sampling");
    expect(weight.dataSync()[0]).toBe(5);
  });

  it("continues bit for bit from its saved state", async () => {
    ema = new Ema(parameters, 0.9);
    set(weight, 0.3);
    ema.update();
    const state = await ema.state();
    const copy = new Ema(parameters, 0.9);
    copy.load(state);
    set(weight, -0.7);
    ema.update();
    copy.update();
    expect(await copy.state()).toEqual(await ema.state());
    copy.dispose();
  });

  it("keeps the same number of tensors, also inside a tidy, and frees them all", async () => {
    const before = tf.memory().numTensors;
    ema = new Ema(parameters, 0.9);
    const { numTensors } = tf.memory();
    for (let i = 0; i < 10; i++) ema.update();
    tf.tidy(() => ema.update());
    await ema.use(() => undefined);
    expect(averageOf("weight")).toBe(1);
    expect(tf.memory().numTensors).toBe(numTensors);
    ema.dispose();
    expect(tf.memory().numTensors).toBe(before);
    ema = new Ema(parameters, 0.9);
  });

  it("refuses a decay outside [0, 1)", () => {
    ema = new Ema(parameters, 0);
    expect(() => new Ema(parameters, 1)).toThrow("decay is 1");
    expect(() => new Ema(parameters, -0.1)).toThrow(RangeError);
  });
});
