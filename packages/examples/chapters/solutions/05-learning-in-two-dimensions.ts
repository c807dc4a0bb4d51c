// %% [markdown]
// # Solutions of chapter 5
//
// The exercises are in [Learning in two dimensions](../05-learning-in-two-dimensions.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## floor of ε
//
// Seen through the noise, a Gaussian of variance $s^2$ keeps the variance $s^2\sigma^2 / (\alpha^2 s^2 + \sigma^2)$:
// chapter 0 with $y = x/\alpha$. In $\varepsilon$ this error is $\mathrm{SNR} = \alpha^2/\sigma^2$ times as large. So
// the floor is $\alpha^2 s^2 / (\alpha^2 s^2 + \sigma^2)$.

// %%
const s = 0.5;
const floorOfPicture = (a: number) =>
  (s ** 2 * (1 - a)) / (a * s ** 2 + 1 - a);
const floorOfNoise = (a: number) => (a / (1 - a)) * floorOfPicture(a);
check("floor of ε at ᾱ = 0.5", floorOfNoise(0.5), 0.2, 1e-12);
await solution("floor of ε", 0.2, 1e-6);

// %% [markdown]
// ## brightness of large pictures
//
// For large pictures it tends to $1/(\alpha\sqrt n) = 1/(0.068 \cdot 256)$.

// %%
await solution("brightness of large pictures", 0.0566, 0.0005);

// %% [markdown]
// ## the noise from any target
//
// Eliminate $x_0$ this time: $\alpha$ times the second equation, minus $p$ times the first.
//
// $$ \varepsilon = \frac{\alpha\, y - p\, x}{\alpha q - \sigma p} . $$

// %%
type NoiseFrom = (
  x: number,
  y: number,
  level: { alpha: number; sigma: number; p: number; q: number },
) => number;
const noiseFrom: NoiseFrom = (x, y, { alpha, sigma, p, q }) =>
  (alpha * y - p * x) / (alpha * q - sigma * p);
/** What a given function makes of the picture 0.3 and the noise −1.2. */
const recovered = (given: NoiseFrom, p: number, q: number) => {
  const [alpha, sigma] = [0.6, 0.8];
  const x = alpha * 0.3 + sigma * -1.2;
  const y = p * 0.3 + q * -1.2;
  return given(x, y, { alpha, sigma, p, q });
};
await solution(
  "the noise from any target",
  noiseFrom,
  (given) =>
    hint("the noise from ε", recovered(given, 0, 1), -1.2, 1e-12) ??
    hint("the noise from x₀", recovered(given, 1, 0), -1.2, 1e-12) ??
    hint(
      "the noise from v",
      recovered(given, -0.8, 0.6),
      -1.2,
      1e-12,
    ) ??
    hint("the noise from u", recovered(given, -1, 1), -1.2, 1e-12),
  [
    (_, y) => y,
    (x, y, { alpha, sigma, p, q }) =>
      (q * x - sigma * y) / (alpha * q - sigma * p),
    (x, y, { alpha, sigma, p }) =>
      (alpha * y - p * x) / (alpha + sigma),
  ],
);

// %% [markdown]
// ## a weight for v
//
// The price of $v$ is $\mathrm{SNR} + 1$, and all of it is under the line: brackets are missing. With the fault, the
// weight is 2 for all times with much noise, and near 1 where there is little.

// %%
const weightOfV = (snr: number, gamma: number) =>
  Math.min(snr, gamma) / (snr + 1);
await solution(
  "a weight for v",
  weightOfV,
  (given) =>
    hint("with SNR 0, the weight", given(0, 5), 0, 1e-12) ??
    hint("with SNR 1, the weight", given(1, 5), 0.5, 1e-12) ??
    hint("with SNR 9, the weight", given(9, 5), 0.5, 1e-12) ??
    hint("with SNR 9 and γ = 20, the weight", given(9, 20), 0.9, 1e-12),
  [
    (snr, gamma) => Math.min(snr, gamma) / snr + 1,
    (snr, gamma) => Math.min(snr, gamma),
    (snr) => snr / (snr + 1),
  ],
);

// %% [markdown]
// ## floors of v
//
// The floor in $x_0$, times $\mathrm{SNR} + 1 = 1/\sigma^2$: it is $s^2 / (\alpha^2 s^2 + \sigma^2)$. Where nothing but
// noise is seen, $v = -x_0$, and the floor is the data's variance.

// %%
const floors: Points = Array.from({ length: 19 }, (_, i) => {
  const a = (i + 1) / 20;
  return [a, s ** 2 / (a * s ** 2 + 1 - a)];
});
check("at ᾱ = 0.5", floors[9]![1], 2 * floorOfPicture(0.5), 1e-12);
await solution("floors of v", floors, 1e-6);
