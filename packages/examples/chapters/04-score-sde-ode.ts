// %% [markdown]
// # Score, SDE, ODE
//
// **DDPM, DDIM, Euler, Heun, DPM-Solver: there are dozens of samplers. Why do they all work with the same
// network?**
//
// A network is trained once. Afterwards people exchange the sampler as they exchange a lens, and never train again.
// So a denoiser must know more than one step of one method. This chapter finds out what it knows: at every noise
// level, the *slope of the density*. From that slope follow all the random and all the straight ways back, with one
// short proof. And every sampler is a way to solve the same equation, more or less exactly.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { logLikelihood } from "@tfjs-diffusion/core/training";
import {
  DDIMScheduler,
  DDPMScheduler,
  exactFlow,
  keyedNoise,
  mixtureDenoiser,
  outputFor,
  sampleMixture,
  schedulerFromConfig,
} from "@tfjs-diffusion/schedulers";
import {
  check,
  exercise,
  plot,
  predict,
  repair,
  reproduce,
  table,
  todo,
  type Answer,
  type Points,
} from "../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2029);

// %% [markdown]
// ## A world of two bells
//
// In this chapter a picture is one number, so that we can draw all that happens. The pictures come from two bells:
// 30 % from one around $-1$, and 70 % from one around $0.8$. Both have the standard deviation $S = 0.3$. With the
// noise of chapter 1,
//
// $$ x = \alpha\, x_0 + \sigma\, \varepsilon , $$
//
// each bell stays a bell: it moves to $\alpha m$, and its variance becomes $\alpha^2 S^2 + \sigma^2$. So we have
// the density of $x$ at any noise level. We have the best denoiser, too: the posterior mean of
// [chapter 2](./02-the-best-denoiser.md). Within one bell it is a straight line, and Bayes' rule weights the two
// bells.

// %%
const S = 0.3;
const bells = [
  { share: 0.3, mean: -1 },
  { share: 0.7, mean: 0.8 },
];
/** A bell of this variance, at this distance from its middle. */
const bell = (distance: number, variance: number) =>
  Math.exp(-(distance ** 2) / (2 * variance)) /
  Math.sqrt(2 * Math.PI * variance);

/** The density of x = α x₀ + σ ε. */
function density(x: number, alpha: number, sigma: number): number {
  const variance = (alpha * S) ** 2 + sigma ** 2;
  let sum = 0;
  for (const { share, mean } of bells)
    sum += share * bell(x - alpha * mean, variance);
  return sum;
}

/** The best denoiser, E[x₀ | x]. */
function denoise(x: number, alpha: number, sigma: number): number {
  const variance = (alpha * S) ** 2 + sigma ** 2;
  let [mass, sum] = [0, 0];
  for (const { share, mean } of bells) {
    const weight = share * bell(x - alpha * mean, variance);
    const guess =
      mean + ((alpha * S ** 2) / variance) * (x - alpha * mean);
    mass += weight;
    sum += weight * guess;
  }
  return sum / mass;
}

// %% [markdown]
// Here is the whole chapter in one plot. On the left there is only noise, on the right there are pictures. The blue
// is the density. The smooth lines are a way back without randomness, the jagged orange lines are a way back with
// it.

// %% folded
const walks: { tau: number; x: number; path: string; kind: string }[] =
  [];
{
  const steps = 500;
  const level = (i: number) => 2.5 * (1 - i / steps) ** 2 + 1e-4;
  const walk = (
    x: number,
    eta: number,
    path: string,
    draws: ArrayLike<number>,
  ) => {
    for (let i = 0; i < steps; i++) {
      const [tau, dt] = [level(i), level(i) - level(i + 1)];
      walks.push({ tau, x, path, kind: eta === 0 ? "flow" : "random" });
      const [alpha, variance] = [
        Math.exp(-tau),
        1 - Math.exp(-2 * tau),
      ];
      const s =
        (alpha * denoise(x, alpha, Math.sqrt(variance)) - x) / variance;
      x +=
        (x + (1 + eta) * s) * dt +
        Math.sqrt(2 * eta * dt) * (draws[i] ?? 0);
    }
  };
  const starts = [-1.9, -1.25, -0.78, -0.36, 0.05, 0.45, 0.9, 1.7];
  for (const x of starts) walk(x, 0, `flow ${x}`, []);
  const dice = (k: number) =>
    noise.at("opening", k).normal([steps]).dataSync();
  [-0.4, 0.3, 1.2].forEach((x, k) =>
    walk(x, 1, `random ${k}`, dice(k)),
  );
}
const blue = (t: number) => `rgba(66, 105, 208, ${0.75 * t})`;
const densityMap = Plot.contour({
  x1: 0,
  x2: 2.5,
  y1: -2.4,
  y2: 2.4,
  thresholds: 16,
  pixelSize: 3,
  fill: (tau: number, x: number) =>
    density(x, Math.exp(-tau), Math.sqrt(1 - Math.exp(-2 * tau))),
});
plot({
  caption:
    "From noise to pictures. Blue: the density. Smooth lines: the flow. Jagged orange lines: three random ways.",
  x: { label: "noise (time τ)", reverse: true, domain: [0, 2.5] },
  y: { label: "x", domain: [-2.4, 2.4] },
  color: { type: "linear", domain: [0, 0.9], interpolate: blue },
  marks: [
    densityMap,
    Plot.line(
      walks.filter(({ kind }) => kind === "random"),
      {
        x: "tau",
        y: "x",
        z: "path",
        stroke: "#d97706",
        strokeWidth: 1,
      },
    ),
    Plot.line(
      walks.filter(({ kind }) => kind === "flow"),
      {
        x: "tau",
        y: "x",
        z: "path",
        stroke: "currentColor",
        strokeWidth: 1.5,
      },
    ),
  ],
});

// %% [markdown]
// Before we use the two functions, we check them. A density has the integral 1. And the library has a denoiser for
// such mixtures, which it uses to measure its samplers. It works in single precision: numbers near 1 are right to
// about $10^{-7}$, and a few operations lose a little more.

// %%
const grid = Array.from({ length: 801 }, (_, i) => -4 + i / 100);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const largest = (values: readonly number[]) =>
  Math.max(...values.map(Math.abs));

const mixture = {
  means: bells.map(({ mean }) => [mean]),
  weights: bells.map(({ share }) => share),
  deviation: S,
};
const [alpha, sigma] = [0.8, 0.6];
// The density is smooth, and nearly 0 at the ends: a plain sum is an integral.
check(
  "integral of the density",
  sum(grid.map((x) => density(x, alpha, sigma))) / 100,
  1,
  1e-4,
);
const ofLibrary = mixtureDenoiser(
  mixture,
  tf.tensor2d(grid, [grid.length, 1]),
  {
    alpha,
    sigma,
  },
).dataSync();
check(
  "our denoiser against the library's, largest difference",
  largest(grid.map((x, i) => denoise(x, alpha, sigma) - ofLibrary[i]!)),
  0,
  1e-6,
);

// %% [markdown]
// ## The score
//
// The **score** is the slope of the logarithm of the density, $s(x) = \partial_x \ln p(x)$. It points to where
// pictures are more likely. Nobody can compute it for real pictures: for that one would have to know $p$. But look
// at what $p$ is, a mean over all pictures:
//
// $$ p(x) = \mathbb E_{x_0}\, q(x \mid x_0), \qquad q = \mathcal N(\alpha x_0,\, \sigma^2) . $$
//
// Take the derivative. A bell's derivative is the bell itself, times $(\alpha x_0 - x) / \sigma^2$:
//
// $$ \partial_x\, p(x) = \mathbb E_{x_0} \left[ \frac{\alpha x_0 - x}{\sigma^2}\; q(x \mid x_0) \right] . $$
//
// Divide by $p(x)$. Then the weights become Bayes' chances of $x_0$ given $x$, and the mean becomes a posterior
// mean:
//
// $$ \boxed{\; s(x) = \frac{\alpha\, D(x) - x}{\sigma^2} \;} $$
//
// This is **Tweedie's formula** ([Robbins 1956](https://projecteuclid.org/euclid.bsmsp/1200501653);
// [Efron 2011](https://doi.org/10.1198/jasa.2011.tm11181), eq. 2.8). The best denoiser *is* the score, in other
// units. A network that was trained on squared error knows it, although nobody showed it a density. (That the two
// trainings have the same optimum is due to [Vincent 2011](https://doi.org/10.1162/NECO_a_00142), section 4.2.)

// %%
const score = (x: number, alpha: number, sigma: number) =>
  (alpha * denoise(x, alpha, sigma) - x) / sigma ** 2;

// %%
// A central difference over ±h is off by h²/6 times the third derivative, here below 100.
const h = 1e-4;
const logDensity = (x: number) => Math.log(density(x, alpha, sigma));
const slopes = grid.map(
  (x) => (logDensity(x + h) - logDensity(x - h)) / (2 * h),
);
check(
  "Tweedie's formula, largest error",
  largest(grid.map((x, i) => score(x, alpha, sigma) - slopes[i]!)),
  0,
  (100 * h ** 2) / 6,
);
// A network that names the noise names the score, too: s = -ε̂ / σ.
const level = { alpha, sigma };
const column = tf.tensor2d(grid, [grid.length, 1]);
const epsilonHat = outputFor(
  "epsilon",
  mixtureDenoiser(mixture, column, level),
  column,
  level,
).dataSync();
check(
  "-ε̂ / σ is the score, largest error",
  largest(
    grid.map(
      (x, i) => -epsilonHat[i]! / sigma - score(x, alpha, sigma),
    ),
  ),
  0,
  1e-5,
);

// %% [markdown]
// In the drawing the score is an arrow. Multiplied with $\sigma^2$ it reaches exactly from $x$ to $\alpha D(x)$,
// the guess, faded as the picture is. In the valley between the bells the arrows part.

// %% folded
const [a1, s1] = [0.85, Math.sqrt(1 - 0.85 ** 2)];
const fine = Array.from({ length: 241 }, (_, i) => -2 + i / 60);
const arrows = [-1.75, -1.3, -0.62, -0.3, 0.2, 1.05, 1.5].map(
  (x, i) => ({
    x,
    end: a1 * denoise(x, a1, s1),
    y: -0.07 - 0.05 * (i % 2),
  }),
);
plot({
  caption:
    "The score points uphill. Times σ², it leads from x (the dot) to the faded guess α D(x) (the arrow's head).",
  height: 300,
  x: { label: "x" },
  y: { label: "density", ticks: 4, domain: [-0.16, 0.55] },
  marks: [
    Plot.areaY(fine, {
      x: (x: number) => x,
      y: (x: number) => density(x, a1, s1),
      fill: "#4269d0",
      fillOpacity: 0.3,
    }),
    Plot.lineY(fine, {
      x: (x: number) => x,
      y: (x: number) => density(x, a1, s1),
      stroke: "#4269d0",
      strokeWidth: 2,
    }),
    Plot.ruleY([0]),
    Plot.arrow(arrows, {
      x1: "x",
      x2: "end",
      y1: "y",
      y2: "y",
      stroke: "#c2410c",
      strokeWidth: 2,
      headLength: 7,
    }),
    Plot.dot(arrows, { x: "x", y: "y", fill: "#c2410c", r: 3.5 }),
  ],
});

// %% [markdown]
// ## A thousand layers, and then infinitely many
//
// A layer of chapter 1 was $x_t = \sqrt{1-\beta}\; x_{t-1} + \sqrt{\beta}\; \varepsilon$. Make the layers thin, and
// write $\beta = 2\, d\tau$. For small $d\tau$, $\sqrt{1 - 2\, d\tau} \approx 1 - d\tau$, and so
//
// $$ dx = -x\, d\tau + \sqrt 2\; dW . $$
//
// This is a *stochastic differential equation*, **SDE** for short. $dW$ is fresh Gaussian noise with variance
// $d\tau$. ([Song et al. 2021](https://arxiv.org/abs/2011.13456), eq. 11, write $\beta(t)\, dt$ for our
// $2\, d\tau$.) Its solution is known: after the time $\tau$,
//
// $$ \alpha = e^{-\tau}, \qquad \sigma = \sqrt{1 - e^{-2\tau}} . $$
//
// Nothing in it depends on the schedule. **A schedule is a clock**: it says which time $\tau$ belongs to the layer
// $t$, namely $\tau_t = -\tfrac12 \ln \bar\alpha_t$. By the thin-layer argument that is half the sum of the betas;
// the next term of the logarithm adds a quarter of the sum of their squares.

// %%
const atTime = (tau: number) => ({
  alpha: Math.exp(-tau),
  sigma: Math.sqrt(1 - Math.exp(-2 * tau)),
});
const timeOf = (alphaBar: number) => -0.5 * Math.log(alphaBar);

const betas = Array.from(
  { length: 1000 },
  (_, i) => 1e-4 + (0.0199 * i) / 999,
);
const linear = new DDPMScheduler({ beta_schedule: "linear" });
const atEnd = timeOf(linear.alphaBar[999]!);
// What is left out: a sixth of the sum of β³, and less.
check(
  "time after the 1000 linear layers",
  atEnd,
  sum(betas.map((beta) => beta / 2 + beta ** 2 / 4)),
  sum(betas.map((beta) => beta ** 3 / 5)),
);
// Many small steps of the SDE, for the mean and the variance, against the solution.
let [meanNow, varianceNow] = [1, 0];
for (let i = 0; i < 10_000; i++) {
  meanNow -= meanNow * 1e-4;
  varianceNow += (-2 * varianceNow + 2) * 1e-4;
}
// Steps of size dτ are off by about dτ.
check("α at τ = 1, by small steps", meanNow, atTime(1).alpha, 1e-4);
check(
  "σ² at τ = 1, by small steps",
  varianceNow,
  atTime(1).sigma ** 2,
  1e-4,
);

// %% [markdown]
// ## Where the density flows
//
// One particle moves at random. A crowd of particles does not: its density obeys an equation without any
// randomness. Cut the line into cells, and count what goes through a wall between two cells. That is the *flux*
// $J$. Two things carry particles through the wall:
//
// - The drift $-x$ carries those that are there, $-x\,p$.
// - The noise carries some from each side to the other, and more from where more are: $-\partial_x p$.
//
// A cell gains what comes in through one wall and loses what leaves through the other. So the density changes by
//
// $$ \partial_\tau\, p = -\partial_x J, \qquad J = -x\,p - \partial_x\,p . $$
//
// This is the **Fokker–Planck equation** of our SDE.

// %% folded
const walls = [-1.5, -0.5, 0.5, 1.5];
const heights = [0.9, 0.62, 0.34];
plot({
  caption:
    "A cell of the grid. It gains what flows in through one wall, and loses what flows out through the other.",
  height: 250,
  x: { axis: null, domain: [-1.9, 1.9] },
  y: { axis: null, domain: [-0.28, 1.2] },
  marks: [
    Plot.rect(
      heights.map((height, i) => ({
        x1: walls[i]!,
        x2: walls[i + 1]!,
        height,
      })),
      {
        x1: "x1",
        x2: "x2",
        y1: 0,
        y2: "height",
        fill: "#4269d0",
        fillOpacity: 0.3,
        stroke: "#4269d0",
      },
    ),
    Plot.ruleY([0]),
    Plot.arrow([-0.5, 0.5], {
      x1: (x: number) => x - 0.26,
      x2: (x: number) => x + 0.26,
      y1: 0.2,
      y2: 0.2,
      stroke: "#c2410c",
      strokeWidth: 2.5,
    }),
    Plot.text(
      [
        { x: -1, y: 0.5, text: "pᵢ₋₁" },
        { x: 0, y: 0.4, text: "pᵢ" },
        { x: 1, y: 0.24, text: "pᵢ₊₁" },
        { x: -0.5, y: 0.08, text: "J left" },
        { x: 0.5, y: 0.08, text: "J right" },
        {
          x: 0,
          y: -0.14,
          text: "change of pᵢ = (J left − J right) / width",
        },
      ],
      {
        x: "x",
        y: "y",
        text: "text",
        fontSize: 14,
        fill: "currentColor",
      },
    ),
  ],
});

// %% [markdown]
// Let us test it: put the two bells on a grid, and let nothing but this equation act on them. The walls at the far
// ends let nothing through.

// %%
/** The density of the data, moved by the Fokker–Planck equation until the time tau. */
function fokkerPlanck(cells: number, tau: number) {
  const width = 10 / cells;
  const centres = Array.from(
    { length: cells },
    (_, i) => -5 + (i + 0.5) * width,
  );
  const p = centres.map((x) => density(x, 1, 0));
  const steps = Math.ceil(tau / (0.4 * width ** 2)); // above 0.5 it would explode
  const dt = tau / steps;
  const flux = Array<number>(cells + 1).fill(0);
  for (let step = 0; step < steps; step++) {
    for (let i = 1; i < cells; i++) {
      const wall = -5 + i * width;
      const drift = (-wall * (p[i - 1]! + p[i]!)) / 2;
      flux[i] = drift - (p[i]! - p[i - 1]!) / width;
    }
    for (let i = 0; i < cells; i++)
      p[i]! += (dt * (flux[i]! - flux[i + 1]!)) / width;
  }
  return { centres, p, width };
}

/** How much of the density is in the wrong cells. */
function errorOnGrid(cells: number, tau: number): number {
  const { alpha, sigma } = atTime(tau);
  const { centres, p, width } = fokkerPlanck(cells, tau);
  return sum(
    centres.map(
      (x, i) => Math.abs(p[i]! - density(x, alpha, sigma)) * width,
    ),
  );
}
const [coarse, middle, fineGrid] = [100, 200, 400].map((n) =>
  errorOnGrid(n, 0.4),
);
table(
  [
    { cells: 100, "in the wrong cells": coarse! },
    { cells: 200, "in the wrong cells": middle! },
    { cells: 400, "in the wrong cells": fineGrid! },
  ],
  {
    caption:
      "Density on the grid against the two noisy bells, at τ = 0.4",
  },
);
// The scheme is of second order: half the width, a quarter of the error, up to terms of fourth order.
check("error on 100 cells, over 200", coarse! / middle!, 4, 0.2);
check("error on 200 cells, over 400", middle! / fineGrid!, 4, 0.05);

// %% [markdown]
// So the equation knows where all the particles go, and the error falls as it should. Now comes the turning point
// of the chapter.
//
// ## The flow: the same crowd, no dice
//
// Look at the flux once more. Since $\partial_x\, p = p\; \partial_x \ln p = p\,s$,
//
// $$ J = -x\,p - \partial_x\,p = (-x - s)\,p . $$
//
// But $v\,p$ is the flux of particles that all move with the velocity $v$, without dice. If each of them follows
//
// $$ \boxed{\; \frac{dx}{d\tau} = -x - s(x, \tau) \;} $$
//
// then the crowd has the same flux, and so the same density at all times. This is the **probability flow** (Song et
// al. 2021, eq. 13), an *ordinary* differential equation, **ODE** for short. It can be followed in both directions.
// And the only thing in it that depends on the pictures is the score, which the denoiser knows.
//
// On a line there is a sharp test. The particles of a flow never overtake each other. So the share of the crowd to
// the left of a particle must never change, however the bells move. We follow six particles from noise to pictures,
// with classic Runge–Kutta steps, and compute the share to the left of each.

// %%
const flowVelocity = (x: number, tau: number) => {
  const { alpha, sigma } = atTime(tau);
  return -x - score(x, alpha, sigma);
};

/** Follows dx/dτ = velocity from one time to another (Runge and Kutta, fourth order). */
function follow(
  x: number,
  from: number,
  to: number,
  velocity = flowVelocity,
): number {
  const steps = 400;
  const dt = (to - from) / steps;
  for (let i = 0; i < steps; i++) {
    const t = from + i * dt;
    const k1 = velocity(x, t);
    const k2 = velocity(x + (dt / 2) * k1, t + dt / 2);
    const k3 = velocity(x + (dt / 2) * k2, t + dt / 2);
    const k4 = velocity(x + dt * k3, t + dt);
    x += (dt / 6) * (k1 + 2 * k2 + 2 * k3 + k4);
  }
  return x;
}

/** The share of the density to the left of x, as a sum over cells. */
function leftOf(x: number, tau: number): number {
  const { alpha, sigma } = atTime(tau);
  const cells = 9000;
  const width = (x + 8) / cells;
  let total = 0;
  for (let i = 0; i < cells; i++)
    total += density(-8 + (i + 0.5) * width, alpha, sigma);
  return total * width;
}

const crowd = [-1.6, -0.7, -0.2, 0.3, 0.9, 2].map((start) => {
  const end = follow(start, 2.5, 0.02);
  return {
    start,
    end,
    "to its left, at τ = 2.5": leftOf(start, 2.5),
    "to its left, at τ = 0.02": leftOf(end, 0.02),
  };
});
table(crowd, { caption: "Six particles of the flow", digits: 6 });
// The sum over cells is off by width² / 24 times a slope of the density, at most 4: 2e-7.
check(
  "the flow keeps shares, largest change",
  largest(
    crowd.map(
      (row) =>
        row["to its left, at τ = 2.5"] -
        row["to its left, at τ = 0.02"],
    ),
  ),
  0,
  4e-7,
);

// %% [markdown]
// ## All ways back at once
//
// How do the dice come in again? Walk backwards, let $u$ be the time that has passed since the start, and choose
// any number $\eta \ge 0$. Add $\eta^2$ times the score to the flow, and dice with the variance $2 \eta^2$:
//
// $$ dx = \bigl[\, x + (1 + \eta^2)\, s \,\bigr]\, du + \sqrt{2}\,\eta\; dW . $$
//
// What changes in the flux? The additional score carries $+\eta^2 s\,p$, and the dice carry
// $-\eta^2\, \partial_x\, p$. But $s\,p = \partial_x\, p$: **the two cancel**. So for each $\eta$ the density is
// the same at all times. $\eta = 0$ is the flow. $\eta = 1$ is the exact reversal of the SDE
// ([Anderson 1982](https://doi.org/10.1016/0304-4149(82)90051-5); Song et al. 2021, eq. 6), and DDPM takes small
// steps of it. Everything between them and beyond them draws the same pictures, if the steps are small.
//
// We let 10,000 particles go, for three values of $\eta$, from pure noise at $\tau = 4$. At the end we sort them,
// and ask at every hundredth: is the share of the density to its left the share of the particles? The largest
// difference is near *Kolmogorov's distance*. For 10,000 independent draws from the right density, that stays below
// $1.95 / \sqrt{10{,}000}$ in 999 of 1000 cases, and this is the tolerance.

// %%
const N = 10_000;
const lastTime = 0.02;

/** Where N particles are at the end of the way back, in ascending order. */
function wayBack(eta: number): number[] {
  const random = noise.at("way back", `η = ${eta}`);
  const crowd = Array.from(random.at("start").normal([N]).dataSync());
  const steps = 300;
  // Shorter and shorter steps, for the density gets narrow.
  const time = (i: number) => 4 * (lastTime / 4) ** (i / steps);
  for (let step = 0; step < steps; step++) {
    const { alpha, sigma } = atTime(time(step));
    const du = time(step) - time(step + 1);
    const dice = random.at("dice", step).normal([N]).dataSync();
    crowd.forEach((x, i) => {
      const drift = x + (1 + eta ** 2) * score(x, alpha, sigma);
      crowd[i] = x + drift * du + Math.sqrt(2 * du) * eta * dice[i]!;
    });
  }
  return crowd.sort((a, b) => a - b);
}

/** The largest difference between the shares of the particles and those of the density. */
const kolmogorov = (crowd: readonly number[]) =>
  largest(
    crowd
      .filter((_, i) => i % 100 === 0)
      .map((x, hundreds) => leftOf(x, lastTime) - hundreds / 100),
  );

for (const eta of [0, 0.5, 1])
  check(
    `Kolmogorov's distance at the end, η = ${eta}`,
    kolmogorov(wayBack(eta)),
    0,
    1.95 / Math.sqrt(N),
  );

// %% [markdown]
// ## Every sampler solves one equation
//
// A sampler without dice follows the flow. Two changes of variables make the flow as simple as it can be. Divide
// $x$ by $\alpha$, and count the noise per picture:
//
// $$ y = \frac{x}{\alpha} = x_0 + \rho\, \varepsilon, \qquad \rho = \frac{\sigma}{\alpha} . $$
//
// Then the drift $-x$ is gone, and what is left of the flow is
// ([Karras et al. 2022](https://arxiv.org/abs/2206.00364), eq. 1 with eq. 3, where $\rho$ is called $\sigma$)
//
// $$ \boxed{\; \frac{dy}{d\rho} = \frac{y - D(y, \rho)}{\rho} \;} $$
//
// The right side is $\hat\varepsilon$, the guessed noise. Now it does not matter any more whether a network was
// trained on DDPM's linear schedule, on the cosine schedule, or as EDM: with $y$ and $\rho$, all of them answer the
// same question.
//
// The drawing shows what the equation says. Through each point of the flow, draw the tangent. Follow it down to
// $\rho = 0$, where the noise is gone. It always ends at $D$, the guess. Chapter 3 said: do not go where the
// denoiser points, take a step towards it and ask again. That was Euler's method, all the time.

// %%
const clean = (y: number, rho: number) => denoise(y, 1, rho);
const slope = (y: number, rho: number) => (y - clean(y, rho)) / rho;

// %% folded
{
  const rhos = Array.from(
    { length: 251 },
    (_, i) => 2.5 * (1 - i / 250) + 0.001,
  );
  const start = 0.62;
  const path: { rho: number; y: number }[] = [];
  let y = start;
  for (let i = 0; i < 251; i++) {
    path.push({ rho: rhos[i]!, y });
    if (i === 250) break;
    const k1 = slope(y, rhos[i]!);
    const k2 = slope(y + (rhos[i + 1]! - rhos[i]!) * k1, rhos[i + 1]!);
    y += ((rhos[i + 1]! - rhos[i]!) * (k1 + k2)) / 2;
  }
  const euler = [{ rho: 2.501, y: start }];
  for (const rho of [1.5, 0.75, 0.25, 0]) {
    const { rho: from, y } = euler.at(-1)!;
    euler.push({ rho, y: y + (rho - from) * slope(y, from) });
  }
  const tangents = euler
    .slice(0, 3)
    .map(({ rho, y }) => ({ rho, y, end: clean(y, rho) }));
  plot({
    caption:
      "Four steps of Euler's method (orange) along the flow (smooth). Each dashed tangent ends at the guess D.",
    x: { label: "noise level ρ", reverse: true, domain: [0, 2.6] },
    y: { label: "y", domain: [0.3, 0.75] },
    marks: [
      Plot.arrow(tangents, {
        x1: "rho",
        y1: "y",
        x2: 0,
        y2: "end",
        stroke: "gray",
        strokeDasharray: "4 4",
        headLength: 8,
      }),
      Plot.line(path, {
        x: "rho",
        y: "y",
        stroke: "currentColor",
        strokeWidth: 2,
      }),
      Plot.line(euler, {
        x: "rho",
        y: "y",
        stroke: "#d97706",
        strokeWidth: 2.5,
      }),
      Plot.dot(euler, { x: "rho", y: "y", fill: "#d97706", r: 4 }),
    ],
  });
}

// %% [markdown]
// We can prove it by numbers. DDIM mixes the guessed picture and the guessed noise again:
// $x' = \alpha' D + \sigma' \hat\varepsilon$. Divide by $\alpha'$, and it is $y' = D + \rho'\hat\varepsilon$, which
// is $y + (\rho' - \rho)\,\hat\varepsilon$. Here are twenty steps of the library's DDIM on the cosine schedule, and
// ours by Euler's method, which does not know what a schedule is.

// %%
type Solver = (y: number, rhos: readonly number[]) => number;

const euler: Solver = (y, rhos) => {
  for (let i = 0; i + 1 < rhos.length; i++)
    y += (rhos[i + 1]! - rhos[i]!) * slope(y, rhos[i]!);
  return y;
};

const starts = Array.from(noise.at("starts").normal([16]).dataSync());
const asColumn = (values: readonly number[]) =>
  tf.tensor2d([...values], [values.length, 1]);

const ddim = new DDIMScheduler({
  beta_schedule: "squaredcos_cap_v2",
  timestep_spacing: "trailing",
  clip_sample: false,
});
const ddimPlan = ddim.plan({
  timesteps: [900, 800, 600, 400, 300, 200, 100, 50, 0],
});
const ddimEnds = sampleMixture(
  ddimPlan,
  mixture,
  asColumn(starts),
  noise,
).dataSync();
const first = ddimPlan.levels[0]!;
// The library's last step ends at the clean picture, ρ = 0, and there y = x.
check(
  "Euler's method against DDIM, largest difference",
  largest(
    starts.map(
      (x, i) => euler(x / first.alpha, ddimPlan.sigmas) - ddimEnds[i]!,
    ),
  ),
  0,
  2e-5,
);

// %% [markdown]
// ## Better than Euler
//
// A step of Euler's method keeps the slope from its beginning, and so it errs by the bend of the flow. Over a given
// way, twice the steps leave half the error: **order 1**. Higher orders look at the slope more than once.
//
// **Heun** (Karras et al. 2022, algorithm 1) takes Euler's step, asks again there, and goes back to take the mean
// of both slopes. Only its last step is Euler's: that step may end at $\rho = 0$, where there is no slope.
// **Runge–Kutta** asks four times. It works in $\ell = \ln \rho$, where $dy/d\ell = y - D$.

// %%
const heun: Solver = (y, rhos) => {
  for (let i = 0; i + 1 < rhos.length; i++) {
    const step = rhos[i + 1]! - rhos[i]!;
    const here = slope(y, rhos[i]!);
    const last = i + 2 === rhos.length;
    const there = last ? here : slope(y + step * here, rhos[i + 1]!);
    y += (step * (here + there)) / 2;
  }
  return y;
};

const rungeKutta: Solver = (y, rhos) => {
  const bend = (y: number, rho: number) => y - clean(y, rho);
  for (let i = 0; i + 1 < rhos.length; i++) {
    const step = Math.log(rhos[i + 1]! / rhos[i]!);
    const between = Math.sqrt(rhos[i]! * rhos[i + 1]!);
    const k1 = bend(y, rhos[i]!);
    const k2 = bend(y + (step / 2) * k1, between);
    const k3 = bend(y + (step / 2) * k2, between);
    const k4 = bend(y + step * k3, rhos[i + 1]!);
    y += (step / 6) * (k1 + 2 * k2 + 2 * k3 + k4);
  }
  return y;
};

// %% [markdown]
// Both pay for their order with more calls of the network. **DPM-Solver++**
// ([Lu et al. 2022](https://arxiv.org/abs/2211.01095)) does not. Write $\lambda = -\ln\rho$. Then the flow is
//
// $$ \frac{dy}{d\lambda} = D - y . $$
//
// The part $-y$ is the same for every network in the world, and its solution is $e^{-\lambda}$. So solve it
// exactly, and guess only what $D$ does during the step $h$ (their eq. 9, divided by $\alpha$):
//
// $$ y' = e^{-h}\, y + \int_0^h e^{-(h - u)}\, D(u)\; du . $$
//
// If $D$ stays as it is, the integral is $(1 - e^{-h})\,D$. That is DDIM once more. But the sampler has asked
// before, and remembers: it may draw a line through the last two answers (**2M**, algorithm 2), or a parabola
// through the last three (**3M**). A line grows by $D - D_{-1}$ over a step, a parabola has the slope $D'$ and the
// bend $D''$, both in units of the step. Each of them needs its own integral:
//
// $$ w_1 = \int_0^h e^{-(h-u)}\, \frac uh\; du = 1 - \frac{1 - e^{-h}}{h}, $$
//
// $$ w_2 = \int_0^h e^{-(h-u)}\, \frac{u^2}{2h^2}\; du = \frac12 - \frac{e^{-h} - 1 + h}{h^2} . $$
//
// (The published code of 3M has $w_2/2$ where $w_2$ should be, and reaches order 2 only. The library does as
// published, and does it right on request: `curvature: "exact"`.) Our steps are all of the same length in
// $\lambda$.

// %%
const secondMultistep: Solver = (y, rhos) => {
  let before: number | undefined;
  for (let i = 0; i + 1 < rhos.length; i++) {
    const decay = rhos[i + 1]! / rhos[i]!; // e^(-h)
    const answer = clean(y, rhos[i]!);
    const growth = before === undefined ? 0 : answer - before;
    // As published, with the answer in the middle of the step.
    y = decay * y + (1 - decay) * (answer + growth / 2);
    before = answer;
  }
  return y;
};

const thirdMultistep: Solver = (y, rhos) => {
  const answers: number[] = []; // the newest first
  for (let i = 0; i + 1 < rhos.length; i++) {
    const h = Math.log(rhos[i]! / rhos[i + 1]!);
    const decay = Math.exp(-h);
    answers.unshift(clean(y, rhos[i]!));
    const [now, before, earlier] = answers as [
      number,
      number?,
      number?,
    ];
    y = decay * y + (1 - decay) * now;
    if (before === undefined) continue;
    if (earlier === undefined) {
      y += ((1 - decay) / 2) * (now - before);
      continue;
    }
    const bend = now - 2 * before + earlier;
    const slopeNow = now - before + bend / 2;
    const w1 = 1 - (1 - decay) / h;
    const w2 = 0.5 - (decay - 1 + h) / h ** 2;
    y += w1 * slopeNow + w2 * bend;
  }
  return y;
};

// %% [markdown]
// Are these really the samplers of the library? We give both the same noise levels, from 80 down to 0.2. The
// library works in single precision, our starts are as large as 200, and single precision keeps them to $10^{-5}$.

// %%
/** Noise levels from 80 to 0.2, evenly spaced in λ. */
const levelsOf = (n: number) =>
  Array.from({ length: n + 1 }, (_, i) => 80 * (0.2 / 80) ** (i / n));
const samplers: {
  name: string;
  solver: Solver;
  order: number;
  calls: number;
  library?: { _class_name: string; [key: string]: unknown };
  exact?: boolean;
}[] = [
  {
    name: "Euler",
    solver: euler,
    order: 1,
    calls: 1,
    library: { _class_name: "EulerDiscreteScheduler" },
  },
  {
    name: "Heun",
    solver: heun,
    order: 2,
    calls: 2,
    library: { _class_name: "HeunDiscreteScheduler" },
  },
  {
    name: "DPM-Solver++ 2M",
    solver: secondMultistep,
    order: 2,
    calls: 1,
    library: {
      _class_name: "DPMSolverMultistepScheduler",
      solver_order: 2,
      lower_order_final: false,
    },
  },
  {
    name: "3M, exact",
    solver: thirdMultistep,
    order: 3,
    calls: 1,
    library: {
      _class_name: "DPMSolverMultistepScheduler",
      solver_order: 3,
      lower_order_final: false,
    },
    exact: true,
  },
  { name: "Runge–Kutta", solver: rungeKutta, order: 4, calls: 4 },
];
const noisy = starts.map((z) => 80 * z);

/** The library's results, as y. */
function libraryEnds(
  config: { _class_name: string; [key: string]: unknown },
  steps: number,
  exact: boolean,
): number[] {
  const plan = schedulerFromConfig(config).plan(
    { sigmas: levelsOf(steps) },
    { curvature: exact ? "exact" : "published" },
  );
  const { alpha, sigma } = plan.levels[0]!;
  const x = sampleMixture(
    plan,
    mixture,
    asColumn(starts.map((z) => z * sigma)),
    noise,
  );
  // Schedulers that keep the variance hold x = α y; at the end, 1 / α² = 1 + ρ².
  const back = alpha === 1 ? 1 : Math.hypot(1, plan.sigmas.at(-1)!);
  return Array.from(x.dataSync(), (value) => value * back);
}
for (const { name, solver, library, exact = false } of samplers) {
  if (library === undefined) continue;
  const ends = libraryEnds(library, 20, exact);
  check(
    `ours against the library, 20 steps, ${name}`,
    largest(noisy.map((y, i) => solver(y, levelsOf(20)) - ends[i]!)),
    0,
    2e-5,
  );
}

// %% [markdown]
// ## Order, measured
//
// What is the right answer? Runge–Kutta with 2000 steps, whose error is far below all others. The library keeps
// such a solution, too (`exactFlow`); it is made to be right to $10^{-8}$.

// %%
const exactEnds = noisy.map((y) => rungeKutta(y, levelsOf(2000)));
check(
  "the exact flow, ours against the library's",
  largest(
    noisy.map(
      (y, i) => exactFlow(mixture, [y], 80, 0.2)[0]! - exactEnds[i]!,
    ),
  ),
  0,
  1e-7,
);

/** Largest error at the end of the flow. */
const errorOf = (solver: Solver, steps: number) =>
  largest(
    noisy.map((y, i) => solver(y, levelsOf(steps)) - exactEnds[i]!),
  );

// %% [markdown]
// *Predict, then run.* How many times smaller is Heun's error with 80 steps than with 20?

// %%
const prediction: Answer = todo;
predict(
  "Heun with four times the steps",
  prediction,
  errorOf(heun, 20) / errorOf(heun, 80),
  2,
);

// %%
const orders = samplers.map(({ name, solver, order }) => ({
  name,
  order,
  errors: [10, 20, 40, 80, 160, 320].map((steps) =>
    errorOf(solver, steps),
  ),
}));

// %% folded
const curves = orders.map(({ name, errors }, k) => ({
  name,
  points: errors.map((error, i) => ({
    name,
    calls: samplers[k]!.calls * 10 * 2 ** i,
    error,
  })),
}));
plot({
  caption:
    "Error at the end against calls of the network. The steeper the line, the higher the order.",
  marginRight: 120,
  x: {
    label: "calls",
    type: "log",
    grid: true,
    ticks: [10, 100, 1000],
    tickFormat: "d",
  },
  y: {
    label: "error",
    type: "log",
    grid: true,
    ticks: 6,
    tickFormat: ".0e",
  },
  color: {
    domain: samplers.map(({ name }) => name),
    range: ["#4269d0", "#d97706", "#c2410c", "#2f9e58", "#8b5cf6"],
  },
  marks: curves.flatMap(({ name, points }) => [
    Plot.line(points, {
      x: "calls",
      y: "error",
      stroke: "name",
      strokeWidth: 2,
    }),
    Plot.dot(points, { x: "calls", y: "error", fill: "name" }),
    Plot.text(points.slice(-1), {
      x: "calls",
      y: "error",
      text: "name",
      fill: "name",
      textAnchor: name === "Heun" ? "end" : "start",
      dx: name === "Heun" ? -10 : 8,
      dy: name === "Heun" ? 6 : name === "DPM-Solver++ 2M" ? 12 : 0,
      fontSize: 13,
    }),
  ]),
});

// %%
for (const { name, order, errors } of orders) {
  const [before, last] = errors.slice(-2) as [number, number];
  // Twice the steps divide the error by 2^order, up to about one part in the number of steps of each unit of λ: 0.05.
  check(
    `order of ${name}`,
    Math.log2(before / last),
    order,
    0.05 * order,
  );
}

// %% [markdown]
// Read the plot from left to right. With few calls, the multistep methods win: each of their steps costs a single
// call. With many calls, order wins. A call of a large network takes a second or more, so people draw in 10 to 50
// calls. There DPM-Solver++ 2M is a good choice.
//
// Now we can answer the question of the beginning. Eight samplers, the same denoiser, the same start, 40 steps:

// %%
const dpm = "DPMSolverMultistepScheduler";
const eight = {
  DDIM: { _class_name: dpm, solver_order: 1 }, // DDIM, at noise levels of our choice
  Euler: { _class_name: "EulerDiscreteScheduler" },
  Heun: { _class_name: "HeunDiscreteScheduler" },
  "DPM-Solver++ 2M": { _class_name: dpm },
  "DPM-Solver++ 2S": { _class_name: "DPMSolverSinglestepScheduler" },
  UniPC: { _class_name: "UniPCMultistepScheduler" },
  DEIS: { _class_name: "DEISMultistepScheduler" },
  LMS: { _class_name: "LMSDiscreteScheduler" },
};
const lineUp = Object.entries(eight).map(([sampler, config]) => ({
  sampler,
  ends: libraryEnds(config, 40, false),
}));
const firstThree = (sampler: string, [a, b, c]: readonly number[]) => ({
  sampler,
  "first start": a!,
  second: b!,
  third: c!,
});
table(
  [
    ...lineUp.map(({ sampler, ends }) => firstThree(sampler, ends)),
    firstThree("the exact flow", exactEnds),
  ],
  {
    caption:
      "Where eight samplers of the library end, from the same three starts",
    digits: 3,
  },
);
// Euler's method and DDIM are the worst of them, and their error we know. Single precision, as above.
check(
  "the largest error of all eight is Euler's",
  largest(
    lineUp.flatMap(({ ends }) => ends.map((y, i) => y - exactEnds[i]!)),
  ),
  errorOf(euler, 40),
  2e-5,
);

// %% [markdown]
// They are not eight theories of drawing. They are eight ways to follow one curve.
//
// ## How likely is a picture?
//
// The flow gives one thing more: the density itself. Follow a picture *towards the noise*, up to a noise level
// where the density is a plain bell, and record how far its neighbours move apart on the way. Two neighbours that
// are $dy$ apart separate by the slope of the velocity. In $\ell = \ln\rho$ the velocity is $y - D$, so
// ([Chen et al. 2018](https://arxiv.org/abs/1806.07366), theorem 1; Song et al. 2021, eq. 39)
//
// $$ \frac{d \ln p}{d\ell} = -\left(1 - \frac{\partial D}{\partial y}\right) . $$
//
// The derivative of the denoiser has a meaning, too. Take the derivative of Tweedie's formula once more: it is the
// *variance* of what the picture could be, over that of the noise (Efron 2011, eq. 2.8).
//
// $$ \frac{\partial D}{\partial y} = \frac{\operatorname{Var}[x_0 \mid y]}{\rho^2} . $$

// %%
/** The variance of x₀ given y = x₀ + ρ ε: that within each bell, and that between their guesses. */
function doubt(y: number, rho: number): number {
  const variance = S ** 2 + rho ** 2;
  const within = (S ** 2 * rho ** 2) / variance;
  let [mass, squares] = [0, 0];
  for (const { share, mean } of bells) {
    const weight = share * bell(y - mean, variance);
    const guess = mean + (S ** 2 / variance) * (y - mean);
    mass += weight;
    squares += weight * (within + guess ** 2);
  }
  return squares / mass - clean(y, rho) ** 2;
}
const ys = Array.from({ length: 41 }, (_, i) => -2 + i / 10);
check(
  "slope of D is variance over ρ², largest error",
  largest(
    ys.map((y) => {
      const difference =
        (clean(y + h, 0.5) - clean(y - h, 0.5)) / (2 * h);
      return difference - doubt(y, 0.5) / 0.5 ** 2;
    }),
  ),
  0,
  (100 * h ** 2) / 6,
);

/** ln of the density of y = x₀ + ρ ε, by the flow alone: from ρ up to 200, with Runge–Kutta steps. */
function logLikelihoodByFlow(y: number, rho: number): number {
  const steps = 500;
  const step = Math.log(200 / rho) / steps;
  const velocity = (y: number, at: number) => {
    const level = rho * Math.exp(at * step);
    return [
      y - clean(y, level),
      1 - doubt(y, level) / level ** 2,
    ] as const;
  };
  let apart = 0; // how far neighbours have moved apart, as a logarithm
  for (let i = 0; i < steps; i++) {
    const [y1, apart1] = velocity(y, i);
    const [y2, apart2] = velocity(y + (step / 2) * y1, i + 0.5);
    const [y3, apart3] = velocity(y + (step / 2) * y2, i + 0.5);
    const [y4, apart4] = velocity(y + step * y3, i + 1);
    y += (step / 6) * (y1 + 2 * y2 + 2 * y3 + y4);
    apart += (step / 6) * (apart1 + 2 * apart2 + 2 * apart3 + apart4);
  }
  // So much noise hides all but the mean and the variance of the data.
  const mean = sum(bells.map(({ share, mean }) => share * mean));
  const square = sum(bells.map(({ share, mean }) => share * mean ** 2));
  const variance = S ** 2 + square - mean ** 2 + 200 ** 2;
  return Math.log(bell(y - mean, variance)) + apart;
}
// The steps are off by about step⁴ / 100, and the last bell by 1 / 200³: less than 1e-6.
check(
  "ln p by the flow, largest error",
  largest(
    ys.map(
      (y) =>
        logLikelihoodByFlow(y, 0.05) - Math.log(density(y, 1, 0.05)),
    ),
  ),
  0,
  1e-6,
);

// %% [markdown]
// The library does the same for any network (`logLikelihood`), with the derivative from TensorFlow.js' tape. We
// hand it the exact denoiser in the form of a network that names the noise, for the linear schedule of a thousand
// steps.

// %%
const ddpm = new DDIMScheduler({
  beta_schedule: "linear",
  clip_sample: false,
});
const levelAt = (t: number) => {
  const alphaBar = ddpm.alphaBar[t]!;
  return { alpha: Math.sqrt(alphaBar), sigma: Math.sqrt(1 - alphaBar) };
};
const pictures = [-1.4, -1, -0.4, 0.2, 0.8, 1.3];
const byLibrary = logLikelihood<tf.Tensor2D>({
  scheduler: ddpm,
  model: (x, [t]) => {
    const level = levelAt(t!);
    return outputFor(
      "epsilon",
      mixtureDenoiser(mixture, x, level),
      x,
      level,
    );
  },
  x0: asColumn(pictures),
  times: [
    ...Array(20).keys(),
    ...Array.from({ length: 196 }, (_, i) => 20 + 5 * i),
  ],
  trace: "exact",
  sigmaData: 0.9,
});
const lowest = levelAt(0);
check(
  "ln p by the library, largest error",
  largest(
    pictures.map((x, i) => {
      const want = Math.log(density(x, 1, lowest.sigma / lowest.alpha));
      return byLibrary[i]! - want;
    }),
  ),
  0,
  0.01,
);

// %% folded
plot({
  caption:
    "ln p of the pictures, found by following each of 41 pictures to noise (dots), and its formula (line).",
  height: 300,
  x: { label: "picture", grid: true },
  y: { label: "ln p", grid: true },
  marks: [
    Plot.line(grid.slice(200, 601), {
      x: (y: number) => y,
      y: (y: number) => Math.log(density(y, 1, 0.05)),
      stroke: "#4269d0",
      strokeWidth: 2,
    }),
    Plot.dot(ys, {
      x: (y: number) => y,
      y: (y: number) => logLikelihoodByFlow(y, 0.05),
      fill: "#d97706",
      r: 3.5,
    }),
  ],
});

// %% [markdown]
// Real pictures have no such formula; there this is the way to measure $p$. The mean of $-\ln p$ over fresh
// pictures is the number that papers print as "nats" or "bits per dimension". It measures how well a model knows
// its data, like the bound of [chapter 3](./03-ddpm-and-ddim.md), but exactly.
//
// ## What to take along
//
// - The best denoiser is the score: $s = (\alpha D - x) / \sigma^2$. Its slope is the variance of what could be
//   there.
// - Noising is one SDE. A schedule only says which time belongs to which layer.
// - Densities flow. With dice or without, $\eta$ from 0 upwards, all ways back have the same densities: the
//   additional score and the additional dice cancel.
// - With $y = x/\alpha$ and $\rho = \sigma/\alpha$ the flow is $dy/d\rho = (y - D)/\rho$. DDIM is Euler's method on
//   it.
// - Order counts: Euler 1, Heun and 2M 2, exact 3M 3, Runge–Kutta 4. Multistep methods pay one call a step.
// - The flow gives the density of a picture.
//
// ## What to read next
//
// - [Song et al. 2021](https://arxiv.org/abs/2011.13456): SDE, flow and likelihood, all in one paper.
// - [Karras et al. 2022](https://arxiv.org/abs/2206.00364): the choices of samplers and training, taken apart.
// - [Lu et al. 2022](https://arxiv.org/abs/2211.01095): DPM-Solver++, with proofs of the orders.
// - In this book: [chapter 6](./06-flow-matching.md) asks whether the flow could be *straight*.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 4`. Each exercise is
// judged on its own.
//
// **1.** Pictures from one bell $\mathcal N(0, 0.5^2)$, noisy with $\alpha = 0.8$ and $\sigma = 0.6$. What is the
// score at $x = 1$?

// %%
const scoreOfOneBell: Answer = todo;
await exercise("score of one bell", scoreOfOneBell);

// %% [markdown]
// **2.** *Write a function.* The midpoint method takes half of Euler's step, asks for the slope there, and then
// takes the whole step from its beginning with that slope. Write one step: `(y, from, to, slope) => …`, where
// `slope(y, rho)` is the right side of the equation.

// %%
type Slope = (y: number, rho: number) => number;
type Step = (
  y: number,
  from: number,
  to: number,
  slope: Slope,
) => number;
const midpoint: Answer<Step> = todo;
await exercise("midpoint method", midpoint);

// %% [markdown]
// **3.** *Find the fault.* This step of DPM-Solver++ 2M draws pictures, but it is no better than DDIM, even a
// little worse. `answer` is the newest guess, `before` the last one.

// %%
const faultyStep = (
  y: number,
  h: number,
  answer: number,
  before: number,
) =>
  Math.exp(-h) * y +
  (1 - Math.exp(-h)) * (answer + (before - answer) / 2);
await repair("a line through two answers", faultyStep);

// %% [markdown]
// **4.** *Reproduce the plot.* The line is the variance of the two-bell crowd at the times
// $\tau = 0, 0.1, 0.2, \dots, 2.5$. Answer with its 26 points `[tau, variance]`.

// %%
const varianceOfCrowd: Answer<Points> = todo;
await reproduce("variance of the crowd", varianceOfCrowd, {
  caption: "The variance of the crowd: from that of the pictures to 1.",
  height: 260,
  x: { label: "time τ", grid: true },
  y: { label: "variance", grid: true },
});
