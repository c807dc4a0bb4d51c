// %% [markdown]
// # Solutions of chapter 13
//
// The exercises are at the end of [Few steps](../13-few-steps.md). Try each of them first.

// %% setup
import { hint, solution } from "../../src/chapter/index.js";

// %% [markdown]
// ## factor of the jump
//
// $s/\sqrt{s^2 + \sigma^2} = 1/\sqrt{1 + 3}$.

// %%
await solution("factor of the jump", 1 / Math.sqrt(1 + 3), 1e-9);

// %% [markdown]
// ## rounds
//
// Each round halves the number: $256 / 2 = 2^7$.

// %%
await solution("rounds", Math.log2(256 / 2), 0);

// %% [markdown]
// ## factor of a student
//
// It is the product of all steps: $1 + (\sigma_{n} - \sigma_{n+1})\,\sigma_{n+1} / (s^2 + \sigma_{n+1}^2)$. With
// many levels it comes near $s/\sqrt{s^2 + 16} = 0.124$.

// %%
type StudentFactor = (n: number) => number;
const studentFactor: StudentFactor = (n) => {
  let product = 1;
  for (let i = 0; i < n; i++) {
    const [here, next] = [4 - (4 * i) / n, 4 - (4 * (i + 1)) / n];
    product *= 1 + ((next - here) * here) / (0.25 + here ** 2);
  }
  return product;
};
await solution(
  "factor of a student",
  studentFactor,
  (given) =>
    hint("for n = 1, the factor", given(1), 1 - 16 / 16.25, 1e-9) ??
    hint(
      "for n = 2, the factor",
      given(2),
      (1 - 8 / 16.25) * (1 - 4 / 4.25),
      1e-9,
    ) ??
    hint("for n = 1000, the factor", given(1000), 0.124, 1e-3),
  [
    (n) => 0.5 / Math.sqrt(0.25 + 16) + 0 * n,
    (n) => studentFactor(n) ** 2,
  ],
);

// %% [markdown]
// ## factor against the noise
//
// $0.5/\sqrt{0.25 + \sigma^2}$: 1 without noise, and like $0.5/\sigma$ with much.

// %%
await solution(
  "factor against the noise",
  Array.from({ length: 9 }, (_, i): [number, number] => [
    i / 2,
    0.5 / Math.hypot(0.5, i / 2),
  ]),
  0.01,
);

// %% [markdown]
// ## scale of the output
//
// At $\sigma = \sigma_{\min}$ it must be 0, so the factor is $\sigma - \sigma_{\min}$. With $\sigma$ alone it is
// small there, but not 0.

// %%
type OutScale = (
  sigma: number,
  sigmaMin: number,
  sigmaData: number,
) => number;
const mended: OutScale = (sigma, sigmaMin, sigmaData) =>
  (sigmaData * (sigma - sigmaMin)) / Math.hypot(sigmaData, sigma);
await solution(
  "scale of the output",
  mended,
  (given) =>
    hint("at σ_min = 0.1, the scale", given(0.1, 0.1, 0.5), 0, 1e-12) ??
    hint(
      "at σ = 1 with σ_min = 0.1 and s = 0.5, the scale",
      given(1, 0.1, 0.5),
      0.45 / Math.hypot(0.5, 1),
      1e-12,
    ),
  [
    (sigma, _, sigmaData) =>
      (sigmaData * sigma) / Math.hypot(sigmaData, sigma),
  ],
);
