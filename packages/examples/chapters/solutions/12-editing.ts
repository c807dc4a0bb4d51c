// %% [markdown]
// # Solutions of chapter 12
//
// The exercises are at the end of [Editing](../12-editing.md). Try each of them first.

// %% setup
import { hint, solution } from "../../src/chapter/index.js";

// %% [markdown]
// ## share that survives
//
// $s / \sqrt{s^2 + \sigma^2} = 0.3 / 0.5$.

// %%
await solution("share that survives", 0.3 / Math.hypot(0.3, 0.4), 1e-9);

// %% [markdown]
// ## mean of the second
//
// $\rho\, y = -0.6 \cdot 2$.

// %%
await solution("mean of the second", -0.6 * 2, 1e-9);

// %% [markdown]
// ## length on the line
//
// Variances add: $0.75^2 + 0.25^2 = 0.625$. The length is its square root, 0.79. Along the arc it would be 1.

// %%
// Four standard errors of the norm of 16,384 Gaussians.
await solution(
  "length on the line",
  Math.sqrt(0.75 ** 2 + 0.25 ** 2),
  4 / Math.sqrt(2 * 16_384),
);

// %% [markdown]
// ## between two angles
//
// Bring the difference into $[-180, 180)$, and go that share of it.

// %%
type Between = (from: number, to: number, u: number) => number;
const modulo = (angle: number) => ((angle % 360) + 360) % 360;
const between: Between = (from, to, u) =>
  modulo(from + u * (modulo(to - from + 180) - 180));
await solution(
  "between two angles",
  between,
  (given) =>
    hint(
      "half-way from 10 to 50, the angle",
      given(10, 50, 0.5),
      30,
      1e-9,
    ) ??
    hint(
      "a quarter of the way from 50 to 10, the angle",
      given(50, 10, 0.25),
      40,
      1e-9,
    ) ??
    hint(
      "half-way from 350 to 20 (through 0), the angle",
      given(350, 20, 0.5),
      5,
      1e-9,
    ) ??
    hint(
      "at the end of the way from 20 to 350, the angle",
      given(20, 350, 1),
      350,
      1e-9,
    ),
  [
    (from, to, u) => from + u * (to - from),
    (from, to, u) => modulo(from + u * modulo(to - from)),
  ],
);

// %% [markdown]
// ## noise on a picture
//
// `level` is $\bar\alpha$, the *squared* share of the picture. Without the square roots the variance falls below 1.

// %%
type UnderNoise = (
  picture: number,
  epsilon: number,
  level: number,
) => number;
const mended: UnderNoise = (picture, epsilon, level) =>
  Math.sqrt(level) * picture + Math.sqrt(1 - level) * epsilon;
await solution(
  "noise on a picture",
  mended,
  (given) =>
    hint(
      "at ᾱ = 1, picture 0.3 under noise",
      given(0.3, 2, 1),
      0.3,
      1e-12,
    ) ??
    hint(
      "at ᾱ = 0.64, picture 1 without noise",
      given(1, 0, 0.64),
      0.8,
      1e-12,
    ) ??
    hint(
      "at ᾱ = 0.64, noise 1 without a picture",
      given(0, 1, 0.64),
      0.6,
      1e-12,
    ),
  [
    (picture, epsilon, level) =>
      level * picture + (1 - level) * epsilon,
  ],
);
