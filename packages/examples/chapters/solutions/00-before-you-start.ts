// %% [markdown]
// # Solutions of chapter 0
//
// The exercises are at the end of [Before you start](../00-before-you-start.md). Try each of them first.

// %% setup
import { check, hint, solution } from "../../src/chapter/index.js";

// %% [markdown]
// ## standard deviation
//
// Variances add with squared factors: $4 + (-2)^2 \cdot 9 = 40$. The sign of the factor does not matter.

// %%
check("variance of X - 2 Y", 1 ** 2 * 4 + (-2) ** 2 * 9, 40, 0);
await solution("standard deviation", Math.sqrt(40), 1e-3);

// %% [markdown]
// ## best guess
//
// The share $s^2 / (s^2 + \sigma^2) = 2/6$ of what was seen.

// %%
await solution("best guess", (2 / (2 + 4)) * 3, 1e-9);

// %% [markdown]
// ## draws
//
// The error falls with the square root of the number. Five times less needs 25 times as many.

// %%
await solution("draws", 400 * 5 ** 2, 0);

// %% [markdown]
// ## slope of a loss
//
// The chain rule for each term: the outer derivative is $2\,(w\,x_i - y_i)$, the inner one $x_i$. Then the mean.

// %%
type Slope = (
  w: number,
  xs: readonly number[],
  ys: readonly number[],
) => number;
const slope: Slope = (w, xs, ys) =>
  xs.reduce((sum, x, i) => sum + 2 * (w * x - ys[i]!) * x, 0) /
  xs.length;
await solution(
  "slope of a loss",
  slope,
  (given) =>
    hint(
      "for one pair, x = 3 and y = 10, at w = 2, the slope",
      given(2, [3], [10]),
      -24,
      1e-9,
    ) ??
    hint(
      "where the line fits, the slope",
      given(2, [1, -4], [2, -8]),
      0,
      1e-12,
    ) ??
    hint(
      "for three pairs, the slope",
      given(1, [1, 2, 3], [0, 0, 0]),
      28 / 3,
      1e-9,
    ),
  [
    (w, xs, ys) => slope(w, xs, ys) * xs.length,
    (w, xs, ys) => slope(w, xs, ys) / 2,
    (w, xs, ys) =>
      xs.reduce((sum, x, i) => sum + 2 * (w * x - ys[i]!), 0) /
      xs.length,
  ],
);

// %% [markdown]
// ## variance of a sum
//
// The factors must be squared.

// %%
type VarianceOfSum = (
  a: number,
  varX: number,
  b: number,
  varY: number,
) => number;
const mended: VarianceOfSum = (a, varX, b, varY) =>
  a ** 2 * varX + b ** 2 * varY;
await solution(
  "variance of a sum",
  mended,
  (given) =>
    hint(
      "of X + Y, with variances 2 and 3, it",
      given(1, 2, 1, 3),
      5,
      1e-12,
    ) ??
    hint(
      "of X - Y, with variances 2 and 3, it",
      given(1, 2, -1, 3),
      5,
      1e-12,
    ) ??
    hint("of 2 X, with variance 3, it", given(2, 3, 0, 1), 12, 1e-12),
  [(a, varX, b, varY) => a * varX + b * varY],
);
