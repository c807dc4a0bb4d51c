// %% [markdown]
// # Solutions: gradients by hand
//
// The exercises are at the end of [Gradients by hand](../91-gradients-by-hand.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## best step of a forward difference
//
// For $e^x$, $f$ and $f''$ are equal and cancel. What is left is $h/2 + 2u/h$ with $u = 2^{-53}$. Its derivative,
// $1/2 - 2u/h^2$, is zero at $h = 2\sqrt u$. The error there is $h$ as well: half of the digits are left.

// %%
const u = 2 ** -53;
const bound = (h: number) => h / 2 + (2 * u) / h;
const forwardStep = 2 * Math.sqrt(u);
check(
  "error at the best h, over h",
  bound(forwardStep) / forwardStep,
  1,
  1e-12,
);
await solution("best step of a forward difference", forwardStep, 1e-10);

// %% [markdown]
// ## slopes of a quotient
//
// $a/b = a \cdot b^{-1}$: by $a$ it is $1/b$, by $b$ it is $-a/b^2$.

// %%
type Slopes = (a: number, b: number) => [byA: number, byB: number];
const slopesOfQuotient: Slopes = (a, b) => [1 / b, -a / b ** 2];
const h = 1e-5;
check(
  "by b, as a quotient",
  (3 / (2 + h) - 3 / (2 - h)) / (2 * h),
  slopesOfQuotient(3, 2)[1],
  1e-9,
);
await solution(
  "slopes of a quotient",
  slopesOfQuotient,
  (given) =>
    hint("at 3 and 2, the slope by a", given(3, 2)[0], 0.5, 1e-12) ??
    hint("at 3 and 2, the slope by b", given(3, 2)[1], -0.75, 1e-12) ??
    hint(
      "at 1 and -4, the slope by a",
      given(1, -4)[0],
      -0.25,
      1e-12,
    ) ??
    hint(
      "at 1 and -4, the slope by b",
      given(1, -4)[1],
      -1 / 16,
      1e-12,
    ),
  [
    (a, b) => [1 / b, a / b ** 2],
    (a, b) => [1 / b, -a / b],
    (a, b) => [b, a],
  ],
);

// %% [markdown]
// ## slope from the middle
//
// From the middle, the crowd soon nears 1, whatever the start. The equation's slope is $x_T(1-x_T)/(x_0(1-x_0))$, with
// $x_T = 1/(1 + e^{-5})$, and the thousand steps are close to it.

// %%
const end = 1 / (1 + Math.exp(-5));
await solution(
  "slope from the middle",
  (end * (1 - end)) / (0.5 * 0.5),
  0.001,
);

// %% [markdown]
// ## reading a tape
//
// A number that is used twice is handed two amounts. The second must be added, not replace the first: `+=`.

// %%
type Edges = readonly (readonly [number, number, number])[];
type ReadBack = (edges: Edges, count: number) => number[];
const readBackRight: ReadBack = (edges, count) => {
  const slopes = Array<number>(count).fill(0);
  slopes[count - 1] = 1;
  for (const [from, to, local] of [...edges].reverse())
    slopes[from]! += slopes[to]! * local;
  return slopes;
};
/** Number 1 is x · x with x = 3, number 2 is x + number 1. */
const twice: Edges = [
  [0, 1, 3],
  [0, 1, 3],
  [0, 2, 1],
  [1, 2, 1],
];
await solution(
  "reading a tape",
  readBackRight,
  (given) =>
    hint(
      "the slope of a chain of 2 and 5",
      given(
        [
          [0, 1, 2],
          [1, 2, 5],
        ],
        3,
      )[0]!,
      10,
      0,
    ) ??
    hint(
      "the slope of x·x at 3",
      given(
        [
          [0, 1, 3],
          [0, 1, 3],
        ],
        2,
      )[0]!,
      6,
      0,
    ) ??
    hint("the slope of x + x·x at 3", given(twice, 3)[0]!, 7, 0),
  [
    (edges, count) => {
      const slopes = Array<number>(count).fill(0);
      slopes[count - 1] = 1;
      for (const [from, to, local] of [...edges].reverse())
        slopes[from] = slopes[to]! * local;
      return slopes;
    },
    (edges, count) => {
      const slopes = Array<number>(count).fill(0);
      slopes[count - 1] = 1;
      for (const [from, to, local] of edges)
        slopes[from]! += slopes[to]! * local;
      return slopes;
    },
  ],
);

// %% [markdown]
// ## slope of SiLU
//
// By the rule, $s\,(1 + x\,(1 - s))$. It is below zero left of $-1.28$, and slightly above 1 right of $2.4$.

// %%
const siluSlope = (x: number) => {
  const s = 1 / (1 + Math.exp(-x));
  return s * (1 + x * (1 - s));
};
check("slope at the lowest point", siluSlope(-1.278465), 0, 1e-6);
const curve: Points = Array.from({ length: 25 }, (_, i) => {
  const x = i / 2 - 6;
  return [x, siluSlope(x)];
});
await solution("slope of SiLU", curve, 1e-4);
