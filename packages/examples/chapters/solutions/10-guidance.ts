// %% [markdown]
// # Solutions of chapter 10
//
// The exercises are at the end of [Guidance](../10-guidance.md). Try each of them first.

// %% setup
import { check, hint, solution } from "../../src/chapter/index.js";

// %% [markdown]
// ## guided answer
//
// From one answer through the other: $0.2 + 7.5 \cdot (0.5 - 0.2)$.

// %%
await solution("guided answer", 0.2 + 7.5 * (0.5 - 0.2), 1e-9);

// %% [markdown]
// ## scale of the flow
//
// The flow ends at $2^{-w}$, and $1/16 = 2^{-4}$. The tilted distribution would need $w = 85$ for this deviation.

// %%
check("tilted w for a deviation of 1/16", (16 ** 2 - 1) / 3, 85, 1e-12);
await solution("scale of the flow", -Math.log2(1 / 16), 1e-6);

// %% [markdown]
// ## share drawn up
//
// Both answers are the same, so the difference is 0, and $w$ does nothing. What is left is class "up" itself, of which
// 97.7 % lie above 0. Wish and negative prompt do not fight: they cancel.

// %%
await solution("share drawn up", 0.97725, 0.015);

// %% [markdown]
// ## guidance of x₀
//
// It is the same formula. $x_0$ is a straight line in $\hat\varepsilon$, and an extrapolation along a straight line
// stays one.

// %%
type GuideX0 = (x0: number, x0OfSentence: number, w: number) => number;
const guideX0: GuideX0 = (x0, x0OfSentence, w) =>
  x0 + w * (x0OfSentence - x0);
// Through the noise: ε = (x - x₀)/σ, guided, and back.
const [x, sigma] = [0.4, 0.7];
const epsilonOf = (guess: number) => (x - guess) / sigma;
const guidedNoise =
  epsilonOf(0.1) + 3 * (epsilonOf(0.6) - epsilonOf(0.1));
check(
  "through the noise",
  x - sigma * guidedNoise,
  guideX0(0.1, 0.6, 3),
  1e-12,
);
await solution(
  "guidance of x₀",
  guideX0,
  (given) =>
    hint("with w = 1, the guess", given(0.1, 0.6, 1), 0.6, 1e-12) ??
    hint("with w = 0, the guess", given(0.1, 0.6, 0), 0.1, 1e-12) ??
    hint("with w = 3, the guess", given(0.1, 0.6, 3), 1.6, 1e-12),
  [
    (x0, x0OfSentence, w) => x0OfSentence + w * (x0OfSentence - x0),
    (x0, _, w) => x0 * w,
  ],
);

// %% [markdown]
// ## away from a prompt
//
// The difference must be *wanted minus unwanted*, and it is added to the unwanted answer. With $w = 1$ the wanted
// answer must come out.

// %%
type GuideAway = (
  wanted: number,
  unwanted: number,
  w: number,
) => number;
const mended: GuideAway = (wanted, unwanted, w) =>
  unwanted + w * (wanted - unwanted);
await solution(
  "away from a prompt",
  mended,
  (given) =>
    hint(
      "with w = 1, for 0.5 and 0.2, the answer",
      given(0.5, 0.2, 1),
      0.5,
      1e-12,
    ) ??
    hint(
      "with w = 2, for 0.5 and 0.2, the answer",
      given(0.5, 0.2, 2),
      0.8,
      1e-12,
    ),
  [
    (wanted, unwanted, w) => wanted + w * (wanted + unwanted),
    (wanted, unwanted, w) => wanted + w * (wanted - unwanted),
  ],
);
