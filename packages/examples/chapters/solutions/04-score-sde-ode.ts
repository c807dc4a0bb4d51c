// %% [markdown]
// # Solutions of chapter 4
//
// The exercises are in [Score, SDE, ODE](../04-score-sde-ode.md). Try each of them first.

// %% setup
import {
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## Heun with four times the steps
//
// Order 2: twice the steps, a quarter of the error. So four times the steps leave a sixteenth, and nearly so when
// the steps are not yet small.

// %%
await solution("Heun with four times the steps", 16, 2);

// %% [markdown]
// ## score of one bell
//
// The noisy bell has the variance $0.8^2 \cdot 0.5^2 + 0.6^2 = 0.52$, and the score of a bell around 0 is
// $-x$ over its variance.

// %%
await solution(
  "score of one bell",
  -1 / (0.8 ** 2 * 0.5 ** 2 + 0.6 ** 2),
  1e-3,
);

// %% [markdown]
// ## midpoint method
//
// Two calls a step, as with Heun's method, and the same order.

// %%
type Slope = (y: number, rho: number) => number;
type Step = (
  y: number,
  from: number,
  to: number,
  slope: Slope,
) => number;
const midpoint: Step = (y, from, to, slope) => {
  const halfway = y + ((to - from) / 2) * slope(y, from);
  return y + (to - from) * slope(halfway, (from + to) / 2);
};
await solution(
  "midpoint method",
  midpoint,
  (given) =>
    hint(
      "with the slope 1, the result",
      given(2, 3, 1, () => 1),
      0,
      1e-12,
    ) ??
    hint(
      "with the slope ρ², the result",
      given(0, 1, 3, (_, rho) => rho ** 2),
      8,
      1e-12,
    ) ??
    hint(
      "with the slope y, the result",
      given(1, 2, 1.5, (y) => y),
      0.625,
      1e-12,
    ),
  [
    (y, from, to, slope) => y + (to - from) * slope(y, from),
    (y, from, to, slope) => y + (to - from) * slope(y, (from + to) / 2),
    (y, from, to, slope) => {
      const there = y + (to - from) * slope(y, from);
      return (
        y + ((to - from) / 2) * (slope(y, from) + slope(there, to))
      );
    },
  ],
);

// %% [markdown]
// ## a line through two answers
//
// In the middle of the step, the line has grown by half of `answer - before`. The faulty step goes back by that
// much.

// %%
type Two = (
  y: number,
  h: number,
  answer: number,
  before: number,
) => number;
const repaired: Two = (y, h, answer, before) =>
  Math.exp(-h) * y +
  (1 - Math.exp(-h)) * (answer + (answer - before) / 2);
await solution(
  "a line through two answers",
  repaired,
  (given) =>
    hint(
      "if the answers are alike, the result",
      given(3, 0.7, 1, 1),
      1 + 2 * Math.exp(-0.7),
      1e-12,
    ) ??
    hint(
      "if the answers grow, the result",
      given(0, Math.LN2, 1, 0.5),
      0.625,
      1e-12,
    ) ??
    hint(
      "if the answers fall, the result",
      given(0, Math.LN2, 0.5, 1),
      0.125,
      1e-12,
    ),
  [
    (y, h, answer, before) =>
      Math.exp(-h) * y +
      (1 - Math.exp(-h)) * (answer + (before - answer) / 2),
    (y, h, answer, before) =>
      Math.exp(-h) * y +
      (1 - Math.exp(-h)) * (answer + (answer - before)),
  ],
);

// %% [markdown]
// ## variance of the crowd
//
// $x = \alpha x_0 + \sigma\varepsilon$, and variances of independent things add: $e^{-2\tau}$ times the variance of
// the pictures, and $1 - e^{-2\tau}$ of noise. The pictures' variance is that within a bell, and that between the
// bells.

// %%
const within = 0.3 ** 2;
const between = 0.3 * 0.7 * (0.8 - -1) ** 2;
const variances: Points = Array.from({ length: 26 }, (_, i) => {
  const tau = i / 10;
  const faded = Math.exp(-2 * tau);
  return [tau, faded * (within + between) + 1 - faded];
});
await solution("variance of the crowd", variances, 1e-6);
