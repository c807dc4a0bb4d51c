import { join } from "node:path";
import { afterEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { openSafetensors } from "../weights/safetensors.js";
import { AdamW, type AdamWOptions } from "./adamw.js";
import { ParameterBuckets } from "./buckets.js";

/** The formula of the class comment in float64, as an independent reference. */
function referenceAdamW(start: number[], gradients: number[][], lr: number, options: Required<AdamWOptions>): number[] {
  const { beta1, beta2, eps, weightDecay } = options;
  return start.map((p, k) => {
    let [m, v] = [0, 0];
    gradients.forEach((gradient, i) => {
      const g = gradient[k]!;
      const n = i + 1;
      p *= 1 - lr * weightDecay;
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      p -= ((lr / (1 - beta1 ** n)) * m) / (Math.sqrt(v) / Math.sqrt(1 - beta2 ** n) + eps);
    });
    return p;
  });
}

const START = [0.5, -1.25, 3, 1e-3, -0.02, 7];
const GRADIENTS = [
  [0.1, -0.2, 3, 0, 1e-9, -40],
  [-0.3, -0.25, 0.01, 0, 1e-9, 80],
  [0.05, 1, -2, 0, -1e-9, 1],
  [0.7, -1, 0, 0, 2e-9, 0.5],
  [0, 0.1, 1, 1e-4, 0, -3],
];

describe("AdamW", () => {
  const owned: { dispose(): void }[] = [];
  afterEach(() => owned.splice(0).forEach((item) => item.dispose()));

  function makeParameters(): Map<string, tf.Variable> {
    const parameters = new Map<string, tf.Variable>([
      ["a.weight", tf.variable(tf.tensor2d(START.slice(0, 4), [2, 2]))],
      ["a.bias", tf.variable(tf.tensor1d(START.slice(4)))],
    ]);
    owned.push(...parameters.values());
    return parameters;
  }

  function stepOn(optimizer: AdamW, g: number[], lr: number): void {
    tf.tidy(() =>
      optimizer.step({ "a.weight": tf.tensor2d(g.slice(0, 4), [2, 2]), "a.bias": tf.tensor1d(g.slice(4)) }, lr),
    );
  }

  const valuesOf = (parameters: Map<string, tf.Variable>) => [...parameters.values()].flatMap((p) => [...p.dataSync()]);

  for (const bucketSize of [1, 4, 1024]) {
    it.each([
      { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
      { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 },
      { beta1: 0.5, beta2: 0.9, eps: 0.1, weightDecay: 0.3 },
      { beta1: 0, beta2: 0, eps: 1e-3, weightDecay: 0.1 },
    ])(`follows Loshchilov & Hutter's algorithm 2 in buckets of ${bucketSize} (%o)`, (options) => {
      const parameters = makeParameters();
      const buckets = new ParameterBuckets(parameters, bucketSize);
      const optimizer = new AdamW(buckets, options);
      owned.push(optimizer, buckets);
      for (const [i, g] of GRADIENTS.entries()) {
        stepOn(optimizer, g, 0.05);
        const expected = referenceAdamW(START, GRADIENTS.slice(0, i + 1), 0.05, options);
        // About ten float32 operations with a rounding of 6e-8 each: 1e-6 relative, on parameters and steps of order 1.
        valuesOf(parameters).forEach((p, k) =>
          expect(Math.abs(p - expected[k]!)).toBeLessThan(1e-6 * (1 + Math.abs(expected[k]!))),
        );
      }
    });
  }

  it("equals torch.optim.AdamW on every parameter of a UNet, for the same gradients", async () => {
    // The fixture's meta.json: lr 1e-3, betas (0.9, 0.999), eps 1e-8, weight_decay 1e-2, one step.
    const folder = join(import.meta.dirname, "../../fixtures/unet2d_basic");
    const start = await openSafetensors(join(folder, "diffusion_pytorch_model.safetensors"));
    const recorded = await openSafetensors(join(folder, "io.safetensors"));
    const parameters = new Map<string, tf.Variable>();
    const gradients: Record<string, tf.Tensor> = {};
    for (const [name, { shape }] of start.tensors) {
      parameters.set(name, tf.variable(tf.tensor((await start.read(name)) as Float32Array, [...shape])));
      gradients[name] = tf.tensor((await recorded.read(`grad.${name}`)) as Float32Array, [...shape]);
    }
    const optimizer = new AdamW(parameters);
    owned.push(optimizer, ...parameters.values(), ...Object.values(gradients));
    optimizer.step(gradients, 1e-3);
    for (const [name, parameter] of parameters) {
      const expected = (await recorded.read(`adamw1.${name}`)) as Float32Array;
      const worst = Math.max(...[...parameter.dataSync()].map((value, k) => Math.abs(value - expected[k]!)));
      // Both round numbers of order 1 to float32 three times: 3 x 6e-8.
      expect({ name, close: worst < 2e-7 }).toEqual({ name, close: true });
    }
    await Promise.all([start.close(), recorded.close()]);
  });

  it("moves, in its first step, by the learning rate against the sign of the gradient, for gradients of any size", () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(parameters, { weightDecay: 0 });
    owned.push(optimizer);
    stepOn(optimizer, [1e-3, -1e3, 5, 0, -1, 1e5], 0.1);
    const expected = [0.4, -1.15, 2.9, 1e-3, 0.08, 6.9];
    valuesOf(parameters).forEach((p, k) => expect(p).toBeCloseTo(expected[k]!, 5));
  });

  it("continues bit for bit from its saved state", async () => {
    const whole = makeParameters();
    const wholeOptimizer = new AdamW(whole);
    owned.push(wholeOptimizer);
    GRADIENTS.forEach((g) => stepOn(wholeOptimizer, g, 0.01));

    const halved = makeParameters();
    const first = new AdamW(halved);
    GRADIENTS.slice(0, 2).forEach((g) => stepOn(first, g, 0.01));
    const state = await first.state();
    first.dispose();
    const second = new AdamW(halved);
    owned.push(second);
    second.load(state);
    GRADIENTS.slice(2).forEach((g) => stepOn(second, g, 0.01));
    expect(valuesOf(halved)).toEqual(valuesOf(whole));
  });

  it("uses a parameter that was assigned from outside between steps", () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(parameters, { weightDecay: 0 });
    owned.push(optimizer);
    stepOn(optimizer, GRADIENTS[0]!, 0.1);
    tf.tidy(() => parameters.get("a.bias")!.assign(tf.tensor1d([100, 200])));
    tf.tidy(() => optimizer.step({}, 0));
    expect([...parameters.get("a.bias")!.dataSync()]).toEqual([100, 200]);
  });

  it("treats a missing gradient as zero", () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(parameters, { weightDecay: 0.5 });
    owned.push(optimizer);
    tf.tidy(() => optimizer.step({ "a.weight": tf.ones([2, 2]) }, 0.1));
    parameters
      .get("a.bias")!
      .dataSync()
      .forEach((p, k) => expect(p).toBeCloseTo(START[4 + k]! * 0.95, 6));
  });

  it("holds two numbers for each parameter and frees them, and each step leaves no other tensor", () => {
    const parameters = makeParameters();
    const before = tf.memory().numTensors;
    const optimizer = new AdamW(parameters);
    stepOn(optimizer, GRADIENTS[0]!, 0.1);
    const { numTensors, numBytes } = tf.memory();
    for (let i = 0; i < 20; i++) stepOn(optimizer, GRADIENTS[i % 5]!, 0.1);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numBytes).toBe(numBytes);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses unknown names, wrong shapes and settings out of range", () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(parameters);
    owned.push(optimizer);
    tf.tidy(() => {
      expect(() => optimizer.step({ "b.weight": tf.ones([1]) }, 0.1)).toThrow('no parameter "b.weight"');
      expect(() => optimizer.step({ "a.bias": tf.ones([3]) }, 0.1)).toThrow("Parameter a.bias");
    });
    expect(() => new AdamW(parameters, { beta1: 1 })).toThrow(RangeError);
    expect(() => new AdamW(parameters, { beta2: -0.1 })).toThrow("beta2 is -0.1");
    expect(() => new AdamW(parameters, { eps: 0 })).toThrow("eps is 0");
    expect(() => new AdamW(parameters, { weightDecay: NaN })).toThrow("weightDecay is NaN");
    expect(() => new AdamW(new Map())).toThrow("no parameters");
  });
});
