// %% [markdown]
// # Solutions of chapter 9
//
// The exercises are in [Words: tokenizer and CLIP](../09-words.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## a scale
//
// Solve $\ln(1 + 63\,e^{-64 s/63}) = 0.01$ for $s$: $e^{0.01} - 1$ over 63 is the exponential.

// %%
const scale = (-63 / 64) * Math.log((Math.exp(0.01) - 1) / 63);
check(
  "the loss there",
  Math.log(1 + 63 * Math.exp((-64 / 63) * scale)),
  0.01,
  1e-12,
);
await solution("a scale", scale, 0.01);

// %% [markdown]
// ## merges
//
// The parts `est</w>` and `lo` are shared. Count the merges: `est</w>` takes two and `lo` one; "newest" takes three
// more, "low" one, "widest" three, and "lower" three.

// %%
await solution("merges", 13, 0);

// %% [markdown]
// ## a bag at its best
//
// All captions are one vector. At best all pictures are equally near to it, and everyone guesses one of $n$.

// %%
type BagLoss = (n: number) => number;
const bestOfBag: BagLoss = (n) => Math.log(n);
await solution(
  "a bag at its best",
  bestOfBag,
  (given) =>
    hint("for two captions, the loss", given(2), Math.LN2, 1e-9) ??
    hint("for six captions, the loss", given(6), Math.log(6), 1e-9),
  [(n) => Math.log(n) / 2, () => Math.LN2],
);

// %% [markdown]
// ## how well a caption fits
//
// The caption's own length is missing: a long vector would win against all others. A cosine divides by both lengths.

// %%
type Fit = (
  caption: readonly number[],
  picture: readonly number[],
) => number;
const length = (x: readonly number[]) => Math.hypot(...x);
const fitOf: Fit = (caption, picture) =>
  caption.reduce((all, x, i) => all + x * picture[i]!, 0) /
  (length(caption) * length(picture));
await solution(
  "how well a caption fits",
  fitOf,
  (given) =>
    hint("of (3, 4) with itself", given([3, 4], [3, 4]), 1, 1e-9) ??
    hint("of (2, 0) with (5, 0)", given([2, 0], [5, 0]), 1, 1e-9) ??
    hint(
      "of (1, 1) with (1, 0)",
      given([1, 1], [1, 0]),
      Math.SQRT1_2,
      1e-9,
    ),
  [
    (caption, picture) =>
      caption.reduce((all, x, i) => all + x * picture[i]!, 0) /
      length(picture),
    (caption, picture) =>
      caption.reduce((all, x, i) => all + x * picture[i]!, 0),
  ],
);

// %% [markdown]
// ## a perfect player
//
// Until $s \approx \ln 63$ the loss falls along a straight line with the slope $-64/63$: the softmax is still
// undecided.

// %%
const curve: Points = Array.from({ length: 17 }, (_, s) => [
  s,
  Math.log(1 + 63 * Math.exp((-64 * s) / 63)),
]);
await solution("a perfect player", curve, 1e-6);
