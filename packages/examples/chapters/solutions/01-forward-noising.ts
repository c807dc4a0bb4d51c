// %% [markdown]
// # Solutions of chapter 1
//
// The exercises are at the end of [Forward noising](../01-forward-noising.md). Try each of them first.

// %% setup
import { DDPMScheduler } from "@tfjs-diffusion/schedulers";
import { check, hint, solution } from "../../src/chapter/index.js";

const betas = Array.from(
  { length: 1000 },
  (_, t) => 0.0001 + (0.0199 * t) / 999,
);

// %% [markdown]
// ## one layer for two
//
// Two layers are one layer with the product of their $\alpha$:
// $1 - \beta = (1 - 0.1)(1 - 0.2) = 0.72$. The betas do not simply add up to 0.3, because the second
// layer makes the noise of the first one paler, too.

// %%
await solution("one layer for two", 1 - (1 - 0.1) * (1 - 0.2), 1e-9);

// %% [markdown]
// ## layers until SNR < 1
//
// More noise than picture: $1 - \bar\alpha > \bar\alpha$, so $\bar\alpha < 1/2$. Multiply until then.

// %%
let layers = 0;
let left = 1;
while (left >= 0.5) left *= 1 - betas[layers++]!;
await solution("layers until SNR < 1", layers, 0);

// %% [markdown]
// ## variance without paling
//
// Variances add: it is the sum of the betas, a thousand times their mean.

// %%
const sumOfBetas = (1000 * (0.0001 + 0.02)) / 2;
check(
  "sum of the betas",
  sumOfBetas,
  betas.reduce((sum, beta) => sum + beta),
  1e-9,
);
await solution("variance without paling", sumOfBetas, 1e-6);

// %% [markdown]
// ## share for the large picture
//
// Averaged, the large picture has $\mathrm{SNR} = \bar\alpha / ((1 - \bar\alpha) / 4)$. That is 1 where
// $4\bar\alpha = 1 - \bar\alpha$, so $\bar\alpha = 1/5$. Large pictures need schedules with more noise
// ([Hoogeboom, Heek and Salimans 2023](https://arxiv.org/abs/2301.11093)).

// %%
await solution("share for the large picture", 1 / 5, 1e-9);

// %% [markdown]
// ## cosine layers above the line
//
// The cosine schedule has $\bar\alpha_t \approx \cos^2\bigl(\tfrac{\pi}{2}\, t/T\bigr)$. It passes $1/2$
// where the angle is $\pi/4$: half-way. The linear schedule passes it after a quarter of the layers.

// %%
const cosine = new DDPMScheduler({ beta_schedule: "squaredcos_cap_v2" })
  .alphaBar;
const above = cosine.findIndex((share) => share < 0.5);
await solution("cosine layers above the line", above, 0);

// %% [markdown]
// ## a jump
//
// The boxed formula, as code.

// %%
type Jump = (
  x0: number,
  epsilon: number,
  alphas: readonly number[],
) => number;
const jump: Jump = (x0, epsilon, alphas) => {
  const alphaBar = alphas.reduce(
    (product, alpha) => product * alpha,
    1,
  );
  return Math.sqrt(alphaBar) * x0 + Math.sqrt(1 - alphaBar) * epsilon;
};
await solution(
  "a jump",
  jump,
  (given) =>
    hint(
      "with no layer, the picture",
      given(0.7, 1.3, []),
      0.7,
      1e-12,
    ) ??
    hint(
      "with one layer of α = 0.64",
      given(1, 0, [0.64]),
      0.8,
      1e-12,
    ) ??
    hint(
      "the noise of two layers",
      given(0, 1, [0.8, 0.8]),
      0.6,
      1e-12,
    ) ??
    hint(
      "under three layers, the number",
      given(-1, 2, [0.9, 0.8, 0.5]),
      1,
      1e-9,
    ),
  [
    (x0, epsilon, alphas) => jump(x0, epsilon, alphas.slice(0, 1)),
    (x0, epsilon, alphas) => {
      const alphaBar = alphas.reduce(
        (product, alpha) => product * alpha,
        1,
      );
      return alphaBar * x0 + (1 - alphaBar) * epsilon;
    },
  ],
);

// %% [markdown]
// ## the layer that fades
//
// `beta * epsilon` adds noise of variance $\beta^2$, which is far too little. The paling takes away
// $\beta$ of the variance, so the layer must give back $\beta$: multiply by `Math.sqrt(beta)`.

// %%
type Layer = (x: number, epsilon: number, beta: number) => number;
const mended: Layer = (x, epsilon, beta) =>
  Math.sqrt(1 - beta) * x + Math.sqrt(beta) * epsilon;
await solution(
  "the layer that fades",
  mended,
  (layer) => {
    // A layer is linear in x and in the noise, so its squared factors are shares of the variance.
    const kept = (beta: number) =>
      layer(1, 0, beta) ** 2 + layer(0, 1, beta) ** 2;
    return (
      hint(
        "after a layer of β = 0.1, the variance",
        kept(0.1),
        1,
        1e-12,
      ) ??
      hint(
        "after a layer of β = 0.1, the picture",
        layer(1, 0, 0.1),
        0.9 ** 0.5,
        1e-9,
      ) ??
      hint(
        "after a layer of β = 0.3, the noise",
        layer(0, 1, 0.3),
        0.3 ** 0.5,
        1e-9,
      )
    );
  },
  [(x, epsilon, beta) => Math.sqrt(1 - beta) * x + beta * epsilon],
);
