// %% [markdown]
// # Solutions of chapter 2
//
// The exercises are at the end of [The best denoiser](../02-the-best-denoiser.md). Try each of them first.

// %% setup
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { DDPMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { faceBatch } from "../../datasets/faces/index.js";
import { check, hint, solution } from "../../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });

// %% [markdown]
// ## best guess
//
// Both chances have the same variance, $1 - \bar\alpha = 0.5$, so the exponents are
// $-(x - \sqrt{\bar\alpha}\, m)^2$.

// %%
const chanceOf = (picture: number) =>
  Math.exp(-((0.7 - Math.sqrt(0.5) * picture) ** 2));
const p = chanceOf(3) / (chanceOf(3) + chanceOf(-1));
check("best guess", 3 * p - 1 * (1 - p), 0.9598, 0.0001);
await solution("best guess", 3 * p - 1 * (1 - p), 1e-6);

// %% [markdown]
// ## error of the picture
//
// $x_0 = (x - \sqrt{1-\bar\alpha}\,\varepsilon) / \sqrt{\bar\alpha}$: an error in $\varepsilon$ is
// multiplied by $\sqrt{(1-\bar\alpha)/\bar\alpha} = 1/2$.

// %%
await solution(
  "error of the picture",
  0.1 * Math.sqrt((1 - 0.8) / 0.8),
  1e-9,
);

// %% [markdown]
// ## the median's answer
//
// Of two pictures, the likelier one has more than half of the chance, so it is the median: never a
// blur, always a decision. The mean would say 0.1405.

// %%
const meanAnswer = Math.tanh((Math.sqrt(0.5) * 0.1) / 0.5);
check("the mean would say", meanAnswer, 0.1405, 0.0001);
await solution("the median's answer", 1, 0);

// %% [markdown]
// ## suspects at t = 900
//
// Each chance is a softmax over the 64 faces. $e^H$ of each noisy face counts those that are still
// likely. Over 64 noisy faces, the mean is about eight.

// %%
const K = 64;
const album = tf.tensor2d(
  faceBatch(Array(K).keys(), { seed: 7, split: "train" }).pixels,
  [K, 768],
);
const noisiness = new DDPMScheduler({
  beta_schedule: "squaredcos_cap_v2",
}).alphaBar[900]!;
const left = tf.tidy(() => {
  const noise = keyedNoise(2027).at("solution").normal([K, 768]);
  const x = album
    .mul(Math.sqrt(noisiness))
    .add(noise.mul(Math.sqrt(1 - noisiness)));
  const logits = tf.stack(
    tf.unstack(x).map((row) =>
      album
        .mul(Math.sqrt(noisiness))
        .sub(row)
        .square()
        .sum(1)
        .div(-2 * (1 - noisiness)),
    ),
  );
  const w = tf.softmax(logits);
  return w
    .mul(w.add(1e-30).log())
    .sum(1)
    .neg()
    .exp()
    .mean()
    .dataSync()[0]!;
});
// Other noise than the chapter's: the mean of 64 such counts is off by one or two.
await solution("suspects at t = 900", left, 3);

// %% [markdown]
// ## a guess in any world
//
// The mean of the pictures, weighted with their chances. Before the exponential, the largest exponent
// is subtracted: it cancels, and with little noise nothing becomes 0 / 0.

// %%
type Guess = (
  x: number,
  alphaBar: number,
  world: readonly number[],
) => number;
const guess: Guess = (x, alphaBar, world) => {
  const exponents = world.map(
    (m) => -((x - Math.sqrt(alphaBar) * m) ** 2) / (2 * (1 - alphaBar)),
  );
  const largest = Math.max(...exponents);
  const weights = exponents.map((exponent) =>
    Math.exp(exponent - largest),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return world.reduce(
    (mean, m, k) => mean + (m * weights[k]!) / sum,
    0,
  );
};
const tanh = (x: number, a: number) =>
  Math.tanh((Math.sqrt(a) * x) / (1 - a));
await solution(
  "a guess in any world",
  guess,
  (given) =>
    hint(
      "with one picture in the world, the guess",
      given(3, 0.5, [2]),
      2,
      1e-9,
    ) ??
    hint(
      "in the world of −1 and +1, the guess at x = 0.4",
      given(0.4, 0.5, [-1, 1]),
      tanh(0.4, 0.5),
      1e-9,
    ) ??
    hint(
      "with much noise, the guess at x = 1.5",
      given(1.5, 0.1, [-1, 1]),
      tanh(1.5, 0.1),
      1e-9,
    ) ??
    hint(
      "in a world of three pictures, the guess at the middle one",
      given(1, 0.25, [0, 2, 4]),
      2,
      1e-9,
    ) ??
    hint(
      "with next to no noise, the guess at x = 1",
      given(1, 0.99999, [-1, 1]),
      1,
      1e-9,
    ),
  [
    (x, alphaBar, world) => guess(x, alphaBar, world) / 2,
    (x, alphaBar, world) => guess(x * Math.SQRT2, alphaBar, world),
    (x, alphaBar, world) => {
      const chances = world.map((m) =>
        Math.exp(
          -((x - Math.sqrt(alphaBar) * m) ** 2) / (1 - alphaBar),
        ),
      );
      const sum = chances.reduce((total, chance) => total + chance, 0);
      return world.reduce(
        (mean, m, k) => mean + (m * chances[k]!) / sum,
        0,
      );
    },
  ],
);

// %% [markdown]
// ## the noise that is not there
//
// The shares are swapped: the picture's share is $\sqrt{\bar\alpha}$, and the noise's is
// $\sqrt{1-\bar\alpha}$. At $\bar\alpha = 0.5$ both are the same, so a test there sees nothing.

// %%
type NoiseOf = (x: number, guess: number, alphaBar: number) => number;
const mended: NoiseOf = (x, guess, alphaBar) =>
  (x - Math.sqrt(alphaBar) * guess) / Math.sqrt(1 - alphaBar);
await solution(
  "the noise that is not there",
  mended,
  (noiseOf) => {
    const noisy = (a: number) =>
      Math.sqrt(a) * 0.6 + Math.sqrt(1 - a) * 1.2;
    return (
      hint(
        "at ᾱ = 0.5, the noise",
        noiseOf(noisy(0.5), 0.6, 0.5),
        1.2,
        1e-9,
      ) ??
      hint(
        "at ᾱ = 0.9, the noise",
        noiseOf(noisy(0.9), 0.6, 0.9),
        1.2,
        1e-9,
      ) ??
      hint(
        "at ᾱ = 0.1, the noise",
        noiseOf(noisy(0.1), 0.6, 0.1),
        1.2,
        1e-9,
      )
    );
  },
  [
    (x, guess, alphaBar) =>
      (x - Math.sqrt(1 - alphaBar) * guess) / Math.sqrt(alphaBar),
  ],
);
