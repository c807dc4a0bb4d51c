// %% [markdown]
// # Solutions of chapter 8
//
// The exercises are in [Training a model that draws](../08-training.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## the share that is left
//
// $(1 - d)/(1 + d)$, a two-thousandth. The deviation is its root, a forty-fifth.

// %%
await solution("the share that is left", 0.001 / 1.999, 1e-5);

// %% [markdown]
// ## the loss after 15 steps
//
// At first the average forgets quickly, so it is not far behind. But the weights themselves have learned little.

// %%
await solution("the loss after 15 steps", 1.1, 0.1);

// %% [markdown]
// ## clipping
//
// All numbers get the same factor: the allowed length over the length, if that is below 1. Clipping each number on its
// own would change the direction.

// %%
type Clip = (
  gradient: readonly number[],
  most: number,
) => readonly number[];
const clip: Clip = (gradient, most) => {
  const factor = Math.min(1, most / Math.hypot(...gradient));
  return gradient.map((value) => factor * value);
};
check("(3, 4) clipped to 1", clip([3, 4], 1)[0]!, 0.6, 1e-12);
await solution(
  "clipping",
  clip,
  (given) => {
    const [a, b] = given([3, 4], 1);
    return (
      hint("of (3, 4) clipped to 1, the first", a!, 0.6, 1e-9) ??
      hint("of (3, 4) clipped to 1, the second", b!, 0.8, 1e-9) ??
      hint(
        "of (0.3) clipped to 1, the first",
        given([0.3], 1)[0]!,
        0.3,
        1e-9,
      )
    );
  },
  [
    (gradient, most) => gradient.map((value) => Math.min(value, most)),
    (gradient, most) =>
      gradient.map((value) => (value * most) / Math.hypot(...gradient)),
  ],
);

// %% [markdown]
// ## a moving average
//
// $d$ belongs to the old average. The other way round, the average is nearly the newest weight.

// %%
type Update = (average: number, weight: number, d: number) => number;
const update: Update = (average, weight, d) =>
  d * average + (1 - d) * weight;
await solution(
  "a moving average",
  update,
  (given) =>
    hint(
      "from 0 towards 1 with d = 0.9, it",
      given(0, 1, 0.9),
      0.1,
      1e-9,
    ) ??
    hint(
      "from 2 towards 1 with d = 0.5, it",
      given(2, 1, 0.5),
      1.5,
      1e-9,
    ),
  [(average, weight, d) => (1 - d) * average + d * weight],
);

// %% [markdown]
// ## a late average
//
// Each update leaves nine tenths of the distance: $1 - 0.9^n$.

// %%
const curve: Points = Array.from({ length: 31 }, (_, n) => [
  n,
  1 - 0.9 ** n,
]);
await solution("a late average", curve, 1e-6);
