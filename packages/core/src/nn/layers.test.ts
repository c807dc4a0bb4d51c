import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { relativeRms } from "../testing/fixture.js";
import { type Activation, gelu, quickGelu, silu } from "./activations.js";
import { attend, causalBias, maskToBias } from "./attention.js";
import { Conv2d } from "./conv2d.js";
import { GEGLU } from "./feed-forward.js";
import { Linear } from "./linear.js";
import { namedParameters } from "./parameter.js";
import { nearestResize } from "./resample.js";
import { SelfAttention2D } from "./spatial-attention.js";
import { timestepSinusoid } from "./time-embedding.js";

const noise = keyedNoise(4);
const draw = <T extends tf.Tensor>(name: string, shape: number[]) => noise.at(name).normal(shape) as T;

function initialised<T extends object>(layer: T): T {
  for (const [name, parameter] of namedParameters(layer)) {
    tf.tidy(() => parameter.assign(parameter.initializer(parameter.shape, noise.at(name))));
  }
  return layer;
}

/** The error function to 1e-15, by its series: an independent reference for GELU. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const ACTIVATIONS: [string, Activation, (x: number) => number][] = [
  ["silu", silu, (x) => x / (1 + Math.exp(-x))],
  ["quick_gelu", quickGelu, (x) => x / (1 + Math.exp(-1.702 * x))],
  ["gelu", gelu, (x) => (x / 2) * (1 + erf(x / Math.SQRT2))],
];

describe("layers", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it.each(ACTIVATIONS)(
    "%s equals its formula, and its gradient the finite difference of the formula",
    (_, f, formula) => {
      const xs = [-4, -1.5, -0.3, 0, 0.2, 1, 3.7];
      const [values, slopes] = [
        f(tf.tensor1d(xs)).dataSync(),
        tf
          .grad((x) => f(x))(tf.tensor1d(xs))
          .dataSync(),
      ];
      xs.forEach((x, i) => {
        // TensorFlow.js's erf is an approximation to 1.5e-7.
        expect(Math.abs(values[i]! - formula(x))).toBeLessThan(1e-6);
        expect(Math.abs(slopes[i]! - (formula(x + 1e-4) - formula(x - 1e-4)) / 2e-4)).toBeLessThan(1e-6);
      });
    },
  );

  it("GEGLU's first half is the value, its second the gate", () => {
    const layer = initialised(new GEGLU(3, 2));
    const x = draw<tf.Tensor2D>("x", [4, 3]);
    const [value, gate] = tf.split(layer.proj.forward(x), 2, 1) as [tf.Tensor, tf.Tensor];
    expect(relativeRms(layer.forward(x), value.mul(gelu(gate)))).toBe(0);
  });

  it("a linear layer has the gradients of x W + b, for tokens of any rank", () => {
    const layer = new Linear(3, 2);
    const [w, b] = [draw("w", [3, 2]), draw("b", [2])];
    for (const shape of [
      [5, 3],
      [2, 4, 3],
      [2, 2, 2, 3],
    ]) {
      const x = draw("x", shape);
      const stand = (value: tf.Tensor) => ({ value: value as tf.Variable });
      const f = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        Object.assign(Object.create(layer) as Linear, { weight: stand(w), bias: stand(b) }).forward(x);
      const dy = draw("dy", [...shape.slice(0, -1), 2]);
      const got = tf.grads((x, w, b) => f(x, w, b).mul(dy).sum())([x, w, b]);
      const plain = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        tf
          .matMul(x.reshape([-1, 3]), w)
          .add(b)
          .reshape(dy.shape);
      const wanted = tf.grads((x, w, b) => plain(x, w, b).mul(dy).sum())([x, w, b]);
      got.forEach((gradient, i) => expect(relativeRms(gradient, wanted[i]!)).toBeLessThan(1e-6));
    }
  });

  it("a strided convolution is padded evenly, where TensorFlow's `same` would pad the right and bottom only", () => {
    const layer = new Conv2d(1, 1, { stride: 2, padding: 1, bias: false });
    // Picks the upper left of its 3x3 pixels: with one zero on each side, output (i, j) is input (2i - 1, 2j - 1).
    layer.weight.assign(tf.tensor([1, 0, 0, 0, 0, 0, 0, 0, 0], [3, 3, 1, 1]));
    const x = tf.range(1, 17).reshape<tf.Tensor4D>([1, 4, 4, 1]);
    expect([...layer.forward(x).dataSync()]).toEqual([0, 0, 0, 6]);
    const lopsided = new Conv2d(1, 1, { stride: 2, padding: [0, 1], bias: false });
    lopsided.weight.assign(layer.weight.value);
    expect([...lopsided.forward(x).dataSync()]).toEqual([1, 3, 9, 11]);
  });

  it("a 1x1 convolution equals the general convolution", () => {
    const layer = initialised(new Conv2d(3, 5, { kernel: 1 }));
    const x = draw<tf.Tensor4D>("x", [2, 3, 4, 3]);
    const filter = layer.weight.value as unknown as tf.Tensor4D;
    expect(relativeRms(layer.forward(x), tf.conv2d(x, filter, 1, "same").add(layer.bias!.value))).toBeLessThan(1e-6);
  });

  it("nearest-neighbour resizing takes the same pixels as PyTorch, also for odd sizes", () => {
    const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
    expect([...nearestResize(x).dataSync()]).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
    // torch.nn.functional.interpolate: source = floor(i * 2 / 3) = 0, 0, 1
    expect([...nearestResize(x, 3, 3).dataSync()]).toEqual([1, 1, 2, 1, 1, 2, 3, 3, 4]);
  });

  it("the sinusoid of time has 10000^(-k / (half - shift)) as frequencies, cosines first if flipped, and a zero to fill up", () => {
    const t = [0, 1, 17.5, 999];
    for (const [features, flipSinToCos, freqShift] of [
      [8, true, 0],
      [7, false, 1],
    ] as const) {
      const half = Math.floor(features / 2);
      const wanted = t.flatMap((t) => {
        const angles = Array.from({ length: half }, (_, k) => t * 10000 ** (-k / (half - freqShift)));
        const [sin, cos] = [angles.map(Math.sin), angles.map(Math.cos)];
        return [...(flipSinToCos ? [...cos, ...sin] : [...sin, ...cos]), ...Array<number>(features % 2).fill(0)];
      });
      const timesteps = tf.tensor1d(t);
      // On a backend that cannot read values synchronously, they are computed there.
      const elsewhere = Object.assign(tf.tensor1d(t), {
        dataSync: () => {
          throw new Error("later");
        },
      });
      for (const given of [timesteps, elsewhere]) {
        const got = timestepSinusoid(given, features, { flipSinToCos, freqShift });
        expect(got.shape).toEqual([4, features]);
        // The rounding error of an angle of 999 in float32 is up to 3e-5.
        wanted.forEach((value, i) => expect(Math.abs(got.dataSync()[i]! - value)).toBeLessThan(6e-5));
      }
    }
  });

  // numpy, float32 after each operation of diffusers' get_timestep_embedding: e = f32(-log(10000)) * arange(160) / 160,
  // w = f32(exp(e)), sin(f32(998 * w)). If the frequencies were rounded only once, these four would be off by 2e-5 to
  // 3e-5.
  it("the sinusoid of time is rounded after each operation, as PyTorch's formula is", () => {
    const wanted = { 12: -0.6222734115367047, 14: -0.3106759825012452, 15: -0.12003704996, 18: 0.7809845039560581 };
    const got = tf.tidy(() => timestepSinusoid(tf.tensor1d([998]), 320).dataSync());
    for (const [k, value] of Object.entries(wanted)) expect(Math.abs(got[160 + Number(k)]! - value)).toBeLessThan(1e-7);
  });
});

describe("attention", () => {
  const [q, k, v] = ["q", "k", "v"].map((name) => () => draw<tf.Tensor3D>(name, [2, name === "q" ? 7 : 5, 6]));

  it("of one query weights values by the softmax of scaled products, head by head", () => {
    const got = attend(q!(), k!(), v!(), 2).arraySync();
    const [qs, ks, vs] = [q!().arraySync(), k!().arraySync(), v!().arraySync()];
    for (const [b, head, row] of [
      [0, 0, 0],
      [1, 1, 6],
    ] as const) {
      const columns = [0, 1, 2].map((c) => head * 3 + c);
      const scores = ks[b]!.map(
        (key) => columns.reduce((sum, c) => sum + key[c]! * qs[b]![row]![c]!, 0) / Math.sqrt(3),
      );
      const weights = scores.map((score) => Math.exp(score));
      const total = weights.reduce((sum, w) => sum + w, 0);
      for (const c of columns) {
        const wanted = weights.reduce((sum, w, i) => sum + (w / total) * vs[b]![i]![c]!, 0);
        expect(Math.abs(got[b]![row]![c]! - wanted)).toBeLessThan(2e-6);
      }
    }
  });

  it.each([1, 30, 64, 100])("is the same, with its gradients, if no more than %i scores may exist at once", (limit) => {
    const bias = draw("bias", [1, 1, 7, 5]);
    const run = (limit: number) => {
      const f = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
        attend(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, 2, bias, limit);
      const inputs = [q!(), k!(), v!()];
      return [
        f(...(inputs as [tf.Tensor, tf.Tensor, tf.Tensor])),
        ...tf.grads((q, k, v) => f(q, k, v).square().sum())(inputs),
      ];
    };
    const wanted = run(Infinity);
    run(limit).forEach((tensor, i) => expect(relativeRms(tensor, wanted[i]!)).toBeLessThan(1e-6));
  });

  it("of pixels, perturbed, gives each pixel its own value", () => {
    const layer = initialised(new SelfAttention2D(6, { heads: 2, groups: 3, eps: 1e-5 }));
    const x = draw<tf.Tensor4D>("pixels", [2, 2, 3, 6]);
    const tokens = layer.group_norm!.forward(x).reshape<tf.Tensor3D>([2, 6, 6]);
    const own = layer.to_out[0].forward(layer.to_v.forward(tokens)).reshape(x.shape);
    expect(relativeRms(layer.forward(x, { perturbed: new Set([layer]) }), x.add(own))).toBeLessThan(1e-6);
    expect(relativeRms(layer.forward(x, { perturbed: new Set() }), layer.forward(x))).toBe(0);
  });

  it("never attends to masked tokens, or with a causal mask to later ones", () => {
    const seen = (bias: tf.Tensor) => {
      const tokens = draw<tf.Tensor3D>("tokens", [1, 4, 6]);
      // With one value per key, the output is the weights.
      const values = tf.pad(tf.eye(4).expandDims<tf.Tensor3D>(0), [
        [0, 0],
        [0, 0],
        [0, 2],
      ]);
      return attend(tokens, tokens, values, 1, bias)
        .arraySync()[0]!
        .map((row) => row.slice(0, 4).map((w) => w > 0));
    };
    expect(seen(causalBias(4))).toEqual([0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) => j <= i)));
    expect(seen(maskToBias(tf.tensor2d([[1, 0, 1, 0]])))).toEqual(Array(4).fill([true, false, true, false]));
  });
});
