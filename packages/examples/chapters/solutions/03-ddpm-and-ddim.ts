// %% [markdown]
// # Solutions of chapter 3
//
// The exercises are at the end of [DDPM and DDIM](../03-ddpm-and-ddim.md). Try each of them first.

// %% setup
import { DDPMScheduler } from "@tfjs-diffusion/schedulers";
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

const { alphaBar } = new DDPMScheduler({
  beta_schedule: "squaredcos_cap_v2",
});
const T = alphaBar.length;

// %% [markdown]
// ## variance of the last step
//
// The last step goes to the level $\bar\alpha = 1$, so the factor $1 - \bar\alpha$ vanishes: no dice,
// and $x_0$ is the denoiser's answer.

// %%
await solution("variance of the last step", 0, 0);

// %% [markdown]
// ## steps for an error below 0.01
//
// First order: error times steps hardly changes, so one run tells about all others. Then look at the
// divisors near there. Here is the walk with numbers alone: split, and mix again.

// %%
const s = 0.5;
function gaussianError(steps: number): number {
  let x = 1;
  for (let t = T - 1; t >= 0; t -= T / steps) {
    const a = alphaBar[t]!;
    const b = alphaBar[t - T / steps] ?? 1;
    const picture = (Math.sqrt(a) * s ** 2 * x) / (a * s ** 2 + 1 - a);
    const noise = (x - Math.sqrt(a) * picture) / Math.sqrt(1 - a);
    x = Math.sqrt(b) * picture + Math.sqrt(1 - b) * noise;
  }
  const a = alphaBar[T - 1]!;
  return Math.abs(x - s / Math.sqrt(a * s ** 2 + 1 - a));
}
const predicted = (gaussianError(100) * 100) / 0.01;
const divisors = [1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200];
const least = divisors.find((steps) => gaussianError(steps) < 0.01)!;
check(
  "the first-order estimate, in steps",
  predicted,
  least,
  0.5 * least,
);
await solution("steps for an error below 0.01", least, 0);

// %% [markdown]
// ## distance of one step from the mean face
//
// From pure noise, every face is as likely as any other, and the best guess is their mean. One step
// ends there: at distance 0, but for a trace.

// %%
await solution("distance of one step from the mean face", 0, 0.02);

// %% [markdown]
// ## how many times smaller
//
// First order: ten times the steps, a tenth of the error.

// %%
const ratio = gaussianError(50) / gaussianError(500);
await solution("how many times smaller", ratio, 0.01 * ratio);

// %% [markdown]
// ## my DDIM step
//
// Find the noise that is in $x$, and mix it again with the guess.

// %%
type Step = (x: number, guess: number, a: number, b: number) => number;
const step: Step = (x, guess, a, b) => {
  const noise = (x - Math.sqrt(a) * guess) / Math.sqrt(1 - a);
  return Math.sqrt(b) * guess + Math.sqrt(1 - b) * noise;
};
await solution(
  "my DDIM step",
  step,
  (given) =>
    hint(
      "to level b = 1, the result",
      given(0.3, -0.8, 0.5, 1),
      -0.8,
      1e-12,
    ) ??
    hint(
      "of a step to its own level, x",
      given(0.3, -0.8, 0.4, 0.4),
      0.3,
      1e-12,
    ) ??
    hint(
      "with the guess 0, the result",
      given(2, 0, 0.36, 0.84),
      1,
      1e-12,
    ) ??
    hint(
      "of the guess 1, the result",
      given(0.6, 1, 0.36, 0.64),
      0.8,
      1e-12,
    ),
  [
    (x, guess, a, b) => step(x, guess, b, a),
    (x, guess, a, b) =>
      Math.sqrt(b) * guess +
      (1 - b) * ((x - Math.sqrt(a) * guess) / (1 - a)),
    (x, guess, a, b) => Math.sqrt(b) * guess + Math.sqrt(1 - b) * x,
  ],
);

// %% [markdown]
// ## the guess's weight
//
// It is the factor of $x_0$ in $\tilde\mu$, with $\beta_t = 1 - \bar\alpha_t/\bar\alpha_{t-1}$. While
// the noise is thick the guess hardly counts. In the last step it is all that counts.

// %%
const weights: Points = Array.from({ length: 50 }, (_, i) => {
  const t = 20 * i + 19;
  const [a, b] = [alphaBar[t]!, alphaBar[t - 20] ?? 1];
  return [t, (Math.sqrt(b) * (1 - a / b)) / (1 - a)];
});
await solution("the guess's weight", weights, 1e-6);
