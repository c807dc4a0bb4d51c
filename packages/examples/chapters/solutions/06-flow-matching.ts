// %% [markdown]
// # Solutions of chapter 6
//
// The exercises are in [Flow matching](../06-flow-matching.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## distance of the new pairs
//
// A noise near $-2$ now gets a picture near $-1.3$, and a noise near 2 one near 1.4. Both are sorted, so the
// distance is small: that between two densities of nearly the same mean and width.

// %%
await solution("distance of the new pairs", 0.21, 0.005);

// %% [markdown]
// ## the narrowest time
//
// Set the derivative of $(1-t)^2 s^2 + t^2$ to zero: $t = s^2 / (1 + s^2)$.

// %%
const s = 0.5;
const width = (t: number) => Math.hypot((1 - t) * s, t);
const narrowest = s ** 2 / (1 + s ** 2);
const times = Array.from({ length: 1001 }, (_, i) => i / 1000);
check(
  "the same, by trying",
  times.reduce((best, t) => (width(t) < width(best) ? t : best)),
  narrowest,
  5e-4,
);
await solution("the narrowest time", narrowest, 1e-3);

// %% [markdown]
// ## DDIM on the chord
//
// Solve $x = (1-t)\,D + t\,\hat\varepsilon$ for the noise, and mix again at the new time.

// %%
type Step = (
  x: number,
  guess: number,
  from: number,
  to: number,
) => number;
const chordStep: Step = (x, guess, from, to) => {
  const noise = (x - (1 - from) * guess) / from;
  return (1 - to) * guess + to * noise;
};
await solution(
  "DDIM on the chord",
  chordStep,
  (given) =>
    hint(
      "at time 0, the result",
      given(0.7, -0.4, 0.6, 0),
      -0.4,
      1e-12,
    ) ??
    hint(
      "with no way to go, the result",
      given(0.7, -0.4, 0.6, 0.6),
      0.7,
      1e-12,
    ) ??
    hint(
      "with the guess 0, the result",
      given(0.8, 0, 0.8, 0.2),
      0.2,
      1e-12,
    ) ??
    hint(
      "of pure noise, the result",
      given(1.2, 0.2, 1, 0.5),
      0.7,
      1e-12,
    ),
  [
    (x, guess, from, to) => x + (from - to) * ((x - guess) / from),
    (x, guess, from, to) => (1 - to) * guess + to * x,
    (x, guess, from, to) =>
      Math.sqrt(1 - to ** 2) * guess +
      (to * (x - Math.sqrt(1 - from ** 2) * guess)) / from,
  ],
);

// %% [markdown]
// ## a shift that starts too late
//
// The noise must stay noise, $1 \mapsto 1$. So the factor below is $s - 1$: $s\,t / (1 + (s - 1)\,t)$. It
// multiplies $\rho = t/(1-t)$ by $s$.

// %%
const shift = (t: number, factor: number) =>
  (factor * t) / (1 + (factor - 1) * t);
await solution(
  "a shift that starts too late",
  shift,
  (given) =>
    hint("for t = 1, the shifted time", given(1, 3), 1, 1e-12) ??
    hint("for t = 0, the shifted time", given(0, 3), 0, 1e-12) ??
    hint(
      "for t = 0.5 and the factor 4, the shifted time",
      given(0.5, 4),
      0.8,
      1e-12,
    ),
  [
    (t, factor) => (factor * t) / (1 + factor * t),
    (t, factor) => t ** (1 / factor),
    (t) => t,
  ],
);

// %% [markdown]
// ## weight of u over that of v
//
// $(1 + \sqrt{\mathrm{SNR}})^2$ over $1 + \mathrm{SNR}$. The ratio is 2 where there is as much picture as noise,
// and nearly 1 at both ends.

// %%
const ratios: Points = Array.from({ length: 19 }, (_, i) => {
  const t = (i + 1) / 20;
  const snr = ((1 - t) / t) ** 2;
  return [t, (1 + Math.sqrt(snr)) ** 2 / (1 + snr)];
});
await solution("weight of u over that of v", ratios, 1e-6);
