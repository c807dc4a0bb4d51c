// %% [markdown]
// # Solutions: randomness
//
// The exercises are at the end of [Randomness](../92-randomness.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## largest number of 24 bits
//
// $\sqrt{-2 \ln 2^{-24}} = \sqrt{48 \ln 2}$. A bell passes it once in 100 million draws. PyTorch's noise for a large
// picture ends there.

// %%
await solution(
  "largest number of 24 bits",
  Math.sqrt(48 * Math.LN2),
  1e-3,
);

// %% [markdown]
// ## time between raindrops
//
// The chance of a time below $t$ is $1 - e^{-t}$. Set it equal to $u$: $t = -\ln(1 - u)$. With $-\ln u$ the times are
// as good, but fall with $u$, and $u = 0$ gives infinity.

// %%
type Waiting = (u: number) => number;
await solution<Waiting>(
  "time between raindrops",
  (u) => -Math.log1p(-u),
  (given) =>
    hint("the time for u = 0", given(0), 0, 1e-12) ??
    hint("the time for u = 0.5", given(0.5), Math.LN2, 1e-12) ??
    hint("the time for u = 0.99", given(0.99), Math.log(100), 1e-9) ??
    hint(
      "the time for the largest u",
      given(1 - 2 ** -53),
      53 * Math.LN2,
      1e-9,
    ),
  [
    (u) => -Math.log(u),
    (u) => Math.log(1 - u),
    (u) => Math.sqrt(-2 * Math.log(1 - u)),
  ],
);

// %% [markdown]
// ## share that comes up
//
// One draw misses a given number with probability $1 - 1/n$. All $n$ draws miss it with $(1 - 1/n)^n$, which is nearly
// $1/e$. So 63 % come up. A function that loses nothing reaches 100 %; chance does not.

// %%
const n = 65_536;
check("share that is missed", (1 - 1 / n) ** n, 1 / Math.E, 1e-5);
// The number of misses has a variance below n / e: √(n / e) / n = 0.0024.
await solution("share that comes up", 1 - 1 / Math.E, 0.0075);

// %% [markdown]
// ## a seed for each picture
//
// Picture 100 of request 0 has the seed of picture 0 of request 1. A number for two needs as many places as the second
// can have values: 1000 for each request. Better is a path, `.at(request, picture)`, which needs no bound.

// %%
type SeedOf = (request: number, picture: number) => number;
await solution<SeedOf>(
  "a seed for each picture",
  (request, picture) => request * 1000 + picture,
  (given) => {
    const seeds = Array.from({ length: 5000 }, (_, i) =>
      given(Math.floor(i / 1000), i % 1000),
    );
    if (!seeds.every(Number.isSafeInteger))
      return "a seed is not a whole number";
    return hint(
      "the number of different seeds for five requests",
      new Set(seeds).size,
      5000,
      0,
    );
  },
  [
    (request, picture) => request * 100 + picture,
    (request, picture) => request + picture,
    (request, picture) => request * picture,
  ],
);

// %% [markdown]
// ## density of the radius
//
// The chance of a radius beyond $r$ is $e^{-r^2/2}$. Its derivative, with the other sign, is $r\,e^{-r^2/2}$:
// Rayleigh's density. It is highest at 1.

// %%
const density: Points = Array.from({ length: 17 }, (_, i) => {
  const r = i / 4;
  return [r, r * Math.exp((-r * r) / 2)];
});
check("density at r = 1", density[4]![1], Math.exp(-0.5), 1e-12);
await solution("density of the radius", density, 1e-3);
