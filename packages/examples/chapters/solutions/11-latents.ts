// %% [markdown]
// # Solutions of chapter 11
//
// The exercises are in [Latents](../11-latents.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## a KL
//
// $\tfrac12(\mu^2 + v - 1 - \ln v)$ with $\mu = 1$ and $v = 0.25$: the deviation is given, the formula wants the
// variance.

// %%
await solution("a KL", (1 + 0.25 - 1 - Math.log(0.25)) / 2, 1e-4);

// %% [markdown]
// ## the decoder's share
//
// The decoder works at full size, and takes about twice the operations of one call of the UNet. But it is called once,
// and the UNet twenty times.

// %%
await solution("the decoder's share", 10.2, 0.5);

// %% [markdown]
// ## water in a vessel
//
// Each direction above the level needs $\tfrac12 \ln(\lambda/\beta)$. Those below need nothing; without the maximum
// they would count as negative.

// %%
type Rate = (eigenvalues: readonly number[], beta: number) => number;
const rateOf: Rate = (eigenvalues, beta) =>
  eigenvalues.reduce(
    (total, value) => total + Math.max(0, Math.log(value / beta) / 2),
    0,
  );
check("two at the level", rateOf([1, 1], 1), 0, 0);
await solution(
  "water in a vessel",
  rateOf,
  (given) =>
    hint("for λ = 1 and β = 1, the rate", given([1], 1), 0, 1e-12) ??
    hint(
      "for λ = 4 and β = 1, the rate",
      given([4], 1),
      Math.LN2,
      1e-12,
    ) ??
    hint(
      "for λ = 4, 4, 0.1 and β = 1, the rate",
      given([4, 4, 0.1], 1),
      2 * Math.LN2,
      1e-12,
    ),
  [
    (eigenvalues, beta) =>
      eigenvalues.reduce(
        (all, value) => all + Math.log(value / beta) / 2,
        0,
      ),
    (eigenvalues, beta) =>
      eigenvalues.reduce(
        (all, value) => all + Math.max(0, Math.log(value / beta)),
        0,
      ),
  ],
);

// %% [markdown]
// ## to diffusion and back
//
// On the way back one divides. With a factor below 1, a second multiplication makes all latents small, and small
// latents are pale pictures.

// %%
type Ways = (
  latent: number,
  factor: number,
) => readonly [forDiffusion: number, forDecoder: number];
const scaledAndBack: Ways = (latent, factor) => {
  const forDiffusion = latent * factor;
  return [forDiffusion, forDiffusion / factor];
};
await solution(
  "to diffusion and back",
  scaledAndBack,
  (given) =>
    hint(
      "of 3 with the factor 0.5, diffusion's latent",
      given(3, 0.5)[0],
      1.5,
      1e-12,
    ) ??
    hint(
      "of 3 with the factor 0.5, the decoder's latent",
      given(3, 0.5)[1],
      3,
      1e-12,
    ),
  [
    (latent, factor) => [latent * factor, latent * factor * factor],
    (latent, factor) => [latent / factor, latent],
  ],
);

// %% [markdown]
// ## rate and distortion
//
// The error is $\beta$ and the KL $\tfrac12\ln(1/\beta)$. Half the error costs $\tfrac12 \ln 2$ nats, half a bit,
// wherever one is.

// %%
const curve: Points = Array.from({ length: 20 }, (_, i) => {
  const error = (i + 1) / 20;
  return [error, Math.log(1 / error) / 2];
});
await solution("rate and distortion", curve, 1e-6);
