// %% [markdown]
// # Flow matching
//
// **The way from noise to a picture is bent. Bends cost steps. Can we have it straight?**
//
// Stable Diffusion 3 and Flux are not called diffusion models any more, but flow models. They mix picture and noise
// on a straight line, and they learn a velocity. This chapter builds such a model from nothing. Then it shows, by
// numbers, how much of it is new: the flow is the one of [chapter 4](./04-score-sde-ode.md) in other coordinates.
// What is new is an idea for later: paths that are not straight at first can be *made* straight.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import {
  AdamW,
  denoisingLoss,
  parameterGradients,
  straightness,
  warmupCosine,
} from "@tfjs-diffusion/core/training";
import {
  DPMSolverMultistepScheduler,
  exactFlow,
  FlowMatchEulerDiscreteScheduler,
  keyedNoise,
  mixtureDenoiser,
  outputFor,
  runPlan,
  sampleMixture,
  type KeyedNoise,
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
const noise = keyedNoise(2031);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const largest = (values: readonly number[]) =>
  Math.max(...values.map(Math.abs));

// %% [markdown]
// ## Lines that cross, and lines that do not
//
// Take a picture $x_0$ and noise $\varepsilon$, and join them by a straight line. At the time $t$, from 0 (picture)
// to 1 (noise), we are at
//
// $$ x_t = (1 - t)\, x_0 + t\, \varepsilon . $$
//
// On this line we move at the constant velocity $\varepsilon - x_0$. Nothing could be simpler to follow. There is
// only one problem, and the left half of the plot below shows it: the lines cross. At a crossing a network sees
// only $x_t$, and cannot know on which line it is. The right half shows what it makes of this.
//
// (As in the library, $t = 1$ is noise. Many papers count the other way.)
//
// The pictures are numbers again, from two bells around $-1$ and $0.8$, with the standard deviation 0.3.

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

/** For each bell at the time t: how likely x is, and the best guess at x₀. */
const suspects = (x: number, t: number) =>
  bells.map(({ share, mean }) => {
    const variance = ((1 - t) * S) ** 2 + t ** 2;
    const off = x - (1 - t) * mean;
    return {
      weight: share * bell(off, variance),
      guess: mean + (((1 - t) * S ** 2) / variance) * off,
    };
  });
/** The density of x_t. */
const density = (x: number, t: number) =>
  sum(suspects(x, t).map(({ weight }) => weight));
/** The best denoiser, E[x₀ | x_t = x]. */
const denoise = (x: number, t: number) =>
  sum(suspects(x, t).map(({ weight, guess }) => weight * guess)) /
  density(x, t);

/** A picture for each pair of random numbers: one chooses the bell, one is normal. */
const pictureOf = (uniform: number, z: number) =>
  bells[uniform < bells[0]!.share ? 0 : 1]!.mean + S * z;

// %% folded
{
  const N = 26;
  const chosen = noise.at("opening").random();
  const z = noise.at("opening", "z").normal([N]).dataSync();
  const epsilon = noise.at("opening", "ε").normal([N]).dataSync();
  const half = [
    "joined at random: they cross",
    "the flow: they never cross",
  ];
  const lines: { t: number; x: number; path: number; half: string }[] =
    [];
  for (let k = 0; k < N; k++) {
    const x0 = pictureOf(chosen.uniform(), z[k]!);
    lines.push({ t: 1, x: epsilon[k]!, path: k, half: half[0]! });
    lines.push({ t: 0, x: x0, path: k, half: half[0]! });
    let x = epsilon[k]!;
    for (let i = 0; i <= 100; i++) {
      const t = 1 - i / 100;
      lines.push({ t, x, path: k, half: half[1]! });
      if (i === 100) break;
      const slope = (x: number, t: number) => (x - denoise(x, t)) / t;
      const k1 = slope(x, t);
      const k2 = slope(x - 0.005 * k1, t - 0.005);
      x -= 0.01 * k2;
    }
  }
  plot({
    caption:
      "From noise (t = 1) to pictures (t = 0). Left: 26 random pairs. Right: the flow from the same noise.",
    x: { label: "t", reverse: true, ticks: 3 },
    y: { label: "x", grid: true },
    fx: { label: null, domain: half },
    marks: [
      Plot.line(lines, {
        x: "t",
        y: "x",
        z: "path",
        fx: "half",
        stroke: "#4269d0",
        strokeWidth: 1.2,
      }),
    ],
  });
}

// %% [markdown]
// ## What a network learns at a crossing
//
// Train a network on squared error: show it $x_t$ and $t$, ask for the velocity $\varepsilon - x_0$. By
// [chapter 2](./02-the-best-denoiser.md), the best answer is the mean of what it could be
// ([Lipman et al. 2023](https://arxiv.org/abs/2210.02747), eq. 8;
// [Liu et al. 2023](https://arxiv.org/abs/2209.03003), section 2.1):
//
// $$ u(x, t) = \mathbb E[\,\varepsilon - x_0 \mid x_t = x\,] . $$
//
// And we know this mean already. The means of $x_0$ and $\varepsilon$ are the guesses $D$ and $\hat\varepsilon$,
// and they must add up to $x$, as $x_0$ and $\varepsilon$ do: $x = (1-t)\,D + t\,\hat\varepsilon$. Solve for
// $\hat\varepsilon$, and
//
// $$ \boxed{\; u(x, t) = \hat\varepsilon - D = \frac{x - D(x, t)}{t} \;} $$
//
// A denoiser is a velocity. As in chapter 2, we can find it without Bayes: make 400,000 triples, sort them into
// bins by $x_t$, and take the mean of the velocities in each bin. A bin's mean is off by its standard error. So the
// squares of the errors, each over its standard error squared, have the mean 1, give or take
// $\sqrt{2/\text{bins}}$.

// %%
const velocity = (x: number, t: number) => (x - denoise(x, t)) / t;

const TRIPLES = 400_000;
const pick = noise.at("triples", "bell").random();
const spread = noise.at("triples", "z").normal([TRIPLES]).dataSync();
const epsilons = noise.at("triples", "ε").normal([TRIPLES]).dataSync();
const half = 0.5;
const BINS = 60;
const bins = Array.from({ length: BINS }, () => ({
  n: 0,
  error: 0,
  square: 0,
}));
for (let i = 0; i < TRIPLES; i++) {
  const x0 = pictureOf(pick.uniform(), spread[i]!);
  const xt = (1 - half) * x0 + half * epsilons[i]!;
  const bin = bins[Math.floor((xt + 1.5) * 20)];
  if (bin === undefined) continue;
  // How much this line's velocity differs from the formula, at this very place.
  const off = epsilons[i]! - x0 - velocity(xt, half);
  bin.n += 1;
  bin.error += off;
  bin.square += off ** 2;
}
const chi = mean(
  bins.map(
    ({ n, error, square }) => (error / n) ** 2 / (square / n ** 2),
  ),
);
check(
  "errors of 60 bins, in standard errors",
  chi,
  1,
  4 * Math.sqrt(2 / BINS),
);

// %% [markdown]
// So at a crossing the network answers with the mean of all the velocities that meet there, weighted by Bayes.
// Nobody moves along the straight lines any more. Does the mean velocity still lead from noise to pictures? It
// does, and the proof is the flux of chapter 4. Particles go through a point with many velocities. Their flux is
// the density times their *mean* velocity. A crowd in which all move with the mean has the same flux, and so the
// same density, now and later:
//
// $$ \partial_t\, p + \partial_x\, (u\, p) = 0 . $$
//
// This is the *continuity equation* (Lipman et al. 2023, theorem 1). We check it at 1001 places: the two terms, by
// central differences, must cancel.

// %% folded
{
  const [t, x] = [0.5, -0.1];
  const through = bells.map(({ mean }) => ({
    x0: mean,
    x1: (x - (1 - t) * mean) / t,
  }));
  const extra = [-0.7, 0.45].map((x0) => ({
    x0,
    x1: (x - (1 - t) * x0) / t,
  }));
  const u = velocity(x, t);
  plot({
    caption:
      "A crossing. Four of the lines that meet at one point (blue), and the mean velocity there (orange).",
    height: 320,
    x: { label: "t", reverse: true, domain: [0, 1], ticks: 3 },
    y: { label: "x", ticks: 5 },
    marks: [
      Plot.link([...through, ...extra], {
        x1: 1,
        x2: 0,
        y1: "x1",
        y2: "x0",
        stroke: "#4269d0",
        strokeWidth: 1.5,
      }),
      Plot.arrow([{ t }], {
        x1: "t",
        y1: x,
        x2: t - 0.3,
        y2: x - 0.3 * u,
        stroke: "#d97706",
        strokeWidth: 3.5,
        headLength: 8,
      }),
      Plot.dot([{ t, x }], { x: "t", y: "x", fill: "#d97706", r: 5 }),
    ],
  });
}

// %%
const h = 1e-4;
const residual = (x: number, t: number) => {
  const inTime = (density(x, t + h) - density(x, t - h)) / (2 * h);
  const flux = (x: number) => velocity(x, t) * density(x, t);
  return inTime + (flux(x + h) - flux(x - h)) / (2 * h);
};
const places = Array.from({ length: 1001 }, (_, i) => -2.5 + i / 200);
// Central differences are off by h²/6 times third derivatives, here below 200.
check(
  "continuity equation at t = 0.4, largest error",
  largest(places.map((x) => residual(x, 0.4))),
  0,
  (200 * h ** 2) / 6,
);

/** Follows the velocity u from one time to another (Runge and Kutta, fourth order). */
function follow(
  x: number,
  from: number,
  to: number,
  u = velocity,
): number {
  const steps = 400;
  const dt = (to - from) / steps;
  for (let i = 0; i < steps; i++) {
    const t = from + i * dt;
    const k1 = u(x, t);
    const k2 = u(x + (dt / 2) * k1, t + dt / 2);
    const k3 = u(x + (dt / 2) * k2, t + dt / 2);
    const k4 = u(x + dt * k3, t + dt);
    x += (dt / 6) * (k1 + 2 * k2 + 2 * k3 + k4);
  }
  return x;
}

/** The share of the density at time t to the left of x, as a sum over cells. */
function leftOf(x: number, t: number): number {
  const cells = 9000;
  const width = (x + 7) / cells;
  const middles = Array.from(
    { length: cells },
    (_, i) => -7 + (i + 0.5) * width,
  );
  return sum(middles.map((middle) => density(middle, t))) * width;
}
const particles = [-2, -1, -0.4, 0, 0.7, 1.5];
// The sums over cells are off by width² / 24 times a slope of the density, at most 4: 2e-7 each.
check(
  "shares to the left, at t = 1 and t = 0.01, largest change",
  largest(
    particles.map(
      (x) => leftOf(x, 1) - leftOf(follow(x, 1, 0.01), 0.01),
    ),
  ),
  0,
  4e-7,
);

// %% [markdown]
// ## How much of this is new?
//
// Diffusion mixes with $\alpha$ and $\sigma$ whose squares have the sum 1. Flow matching mixes with $1 - t$ and
// $t$. In the plane of picture and noise, one walks along the arc and the other along the chord. Each direction
// from the corner is one signal-to-noise ratio. Two points on the same ray are the same noisy picture, only
// brighter or darker.

// %% folded
{
  const arc = Array.from({ length: 46 }, (_, i) => (i * Math.PI) / 90);
  const rays = [0.2, 0.4, 0.6, 0.8].map((t) => ({
    share: 1 - t,
    noise: t,
    far: (1 - t) / Math.hypot(1 - t, t),
    farNoise: t / Math.hypot(1 - t, t),
  }));
  plot({
    caption:
      "Two ways to mix: diffusion along the arc, flow matching along the chord. On a ray, the mixtures are alike.",
    width: 420,
    height: 400,
    marginRight: 30,
    x: {
      label: "share of the picture",
      domain: [0, 1.1],
      ticks: [0, 1],
    },
    y: { label: "share of the noise", domain: [0, 1.1], ticks: [0, 1] },
    marks: [
      Plot.link(rays, {
        x1: 0,
        y1: 0,
        x2: "far",
        y2: "farNoise",
        stroke: "gray",
        strokeDasharray: "3 4",
      }),
      Plot.line(arc, {
        x: (angle: number) => Math.cos(angle),
        y: (angle: number) => Math.sin(angle),
        stroke: "#4269d0",
        strokeWidth: 2.5,
      }),
      Plot.line([0, 1], {
        x: (t: number) => 1 - t,
        y: (t: number) => t,
        stroke: "#d97706",
        strokeWidth: 2.5,
      }),
      Plot.dot(rays, {
        x: "far",
        y: "farNoise",
        fill: "#4269d0",
        r: 4,
      }),
      Plot.dot(rays, { x: "share", y: "noise", fill: "#d97706", r: 4 }),
      Plot.text(
        [
          { x: 0.86, y: 0.78, text: "diffusion" },
          { x: 0.36, y: 0.36, text: "flow" },
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
}

// %% [markdown]
// So divide by the share of the picture, as in chapter 4: $y = x / (1-t)$ and $\rho = t / (1-t)$. What becomes of a
// step of Euler's method, from $t$ to $t'$?
//
// $$ x' = x + (t' - t)\,u = (1 - t')\, D + t'\, \hat\varepsilon . $$
//
// That is DDIM's rule: mix the same two guesses again. Divide it by $1 - t'$, and it is
// $y' = D + \rho'\,\hat\varepsilon$, Euler's step of chapter 4. **Euler's method on flow matching is DDIM**, and
// the flow is the probability flow. We let the library show it: its sampler of flow matching on one side, DDIM's
// rule (that is DPM-Solver++ of order 1) on the other, at levels with the same $\rho$.

// %%
const mixture = {
  means: bells.map(({ mean }) => [mean]),
  weights: bells.map(({ share }) => share),
  deviation: S,
};
const starts = Array.from(noise.at("starts").normal([16]).dataSync());
const asColumn = (values: readonly number[]) =>
  tf.tensor2d([...values], [values.length, 1]);
const times = [0.98, 0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1];
const rhoOf = (t: number) => t / (1 - t);

const flowScheduler = new FlowMatchEulerDiscreteScheduler();
const firstX = starts.map((z) => 0.98 * z);
const flowEnds = sampleMixture(
  flowScheduler.plan({ sigmas: times }),
  mixture,
  asColumn(firstX),
  noise,
  "flow_prediction",
).dataSync();
const ddim = new DPMSolverMultistepScheduler({ solver_order: 1 });
const ddimPlan = ddim.plan({ sigmas: [...times.map(rhoOf), 0] });
// The same start, as bright as diffusion wants it.
const { alpha } = ddimPlan.levels[0]!;
const ddimEnds = sampleMixture(
  ddimPlan,
  mixture,
  asColumn(firstX.map((x) => (x / (1 - 0.98)) * alpha)),
  noise,
).dataSync();
// Single precision: starts near 50 in y are kept to 4e-6.
check(
  "flow matching against DDIM in the library, largest difference",
  largest(starts.map((_, i) => flowEnds[i]! - ddimEnds[i]!)),
  0,
  2e-5,
);

/** Euler's method on the velocity, by hand. */
function euler(
  x: number,
  times: readonly number[],
  u = velocity,
): number {
  for (let i = 0; i + 1 < times.length; i++)
    x += (times[i + 1]! - times[i]!) * u(x, times[i]!);
  return x;
}
check(
  "ours against the library, largest difference",
  largest(firstX.map((x, i) => euler(x, [...times, 0]) - flowEnds[i]!)),
  0,
  1e-6,
);

// The curves themselves: the library's probability flow, in y and ρ.
check(
  "our flow against the probability flow, largest difference",
  largest(
    firstX.map((x) => {
      const y = follow(x, 0.98, 0.1) / (1 - 0.1);
      return (
        y -
        exactFlow(
          mixture,
          [x / (1 - 0.98)],
          rhoOf(0.98),
          rhoOf(0.1),
        )[0]!
      );
    }),
  ),
  0,
  1e-6,
);

// %% [markdown]
// ### One network, two languages
//
// A network that names $v$ (chapter 2) can serve as a flow network, without training. With $r$ the distance of the
// chord from the corner, $r^2 = (1-t)^2 + t^2$, the arc's shares are $\alpha = (1-t)/r$ and $\sigma = t/r$. The
// picture on the arc is $z = x/r$, and $x_0 = \alpha z - \sigma v$, $\varepsilon = \sigma z + \alpha v$. Subtract,
// and
//
// $$ u = \varepsilon - x_0 = (\sigma - \alpha)\, z + (\alpha + \sigma)\, v . $$

// %%
function velocityFromV(x: number, t: number): number {
  const r = Math.hypot(1 - t, t);
  const [alpha, sigma] = [(1 - t) / r, t / r];
  const z = x / r;
  const column = asColumn([z]);
  // What the best network in the language of v says, in the library.
  const guess = mixtureDenoiser(mixture, column, { alpha, sigma });
  const v = outputFor("v_prediction", guess, column, {
    alpha,
    sigma,
  }).dataSync()[0]!;
  return (sigma - alpha) * z + (alpha + sigma) * v;
}
check(
  "velocity from a network for v, largest error",
  largest(
    times.map(
      (t, i) => velocityFromV(starts[i]!, t) - velocity(starts[i]!, t),
    ),
  ),
  0,
  1e-5,
);

// %% [markdown]
// The optimum is the same. What differs is how much an error weighs on the way there. An error of $\delta$ in the
// guessed picture is an error of $\delta / t$ in the velocity. With $\mathrm{SNR} = (1-t)^2/t^2$, and so
// $1/t = 1 + \sqrt{\mathrm{SNR}}$, the squared errors weigh
//
// $$ \begin{aligned}
//    \varepsilon&:\ \mathrm{SNR}, \qquad v:\ \mathrm{SNR} + 1, \\
//    u&:\ \bigl(\sqrt{\mathrm{SNR}} + 1\bigr)^2 .
//    \end{aligned} $$
//
// The rest of the difference is which times are asked how often. These two, the weights and the times, are what is
// left of the difference between a diffusion model and a flow model with Gaussian noise.
// ([Kingma and Gao 2023](https://arxiv.org/abs/2303.00848) bring all these losses into one form.) We measure the
// weight with a rival, a denoiser whose guess is 10 % too bright.

// %%
const weights = [0.2, 0.5, 0.8].map((t) => {
  const wrong = (x: number) => 1.1 * denoise(x, t);
  const squared = (f: (x: number) => number) =>
    mean(particles.map((x) => f(x) ** 2));
  const inPicture = squared((x) => wrong(x) - denoise(x, t));
  const inVelocity = squared(
    (x) => (x - wrong(x)) / t - velocity(x, t),
  );
  const snr = ((1 - t) / t) ** 2;
  return {
    t,
    snr,
    measured: inVelocity / inPicture,
    formula: (Math.sqrt(snr) + 1) ** 2,
  };
});
table(weights, {
  caption: "What a squared error in x₀ weighs in u",
  digits: 5,
});
for (const { t, measured, formula } of weights)
  check(`weight at t = ${t}`, measured, formula, 1e-9 * formula);

// %% [markdown]
// ## Steps against error
//
// So a flow network and a diffusion network follow the same curves, and a sampler differs only in *where* it stops
// on the way to ask. That matters a lot when steps are few. We let Euler's method follow the flow with four sets of
// levels:
//
// - even in $t$, the habit of flow matching;
// - even in $t$, then *shifted*, $t \mapsto 3t / (1 + 2t)$, the habit of Stable Diffusion 3
//   ([Esser et al. 2024](https://arxiv.org/abs/2403.03206), eq. 23): more of the steps where noise is thick;
// - even in the angle of the arc, as with the cosine schedule;
// - even in $\ln \rho$, from $\rho = 50$ to $0.02$, then to 0, as DPM-Solver likes it.

// %%
const levels: Record<string, (n: number) => number[]> = {
  "even in t": (n) =>
    Array.from({ length: n + 1 }, (_, i) => 1 - i / n),
  "even, shifted by 3": (n) =>
    Array.from({ length: n + 1 }, (_, i) => 1 - i / n).map(
      (t) => (3 * t) / (1 + 2 * t),
    ),
  "even in the angle": (n) =>
    Array.from({ length: n + 1 }, (_, i) => {
      const angle = (Math.PI / 2) * (1 - i / n);
      return Math.sin(angle) / (Math.sin(angle) + Math.cos(angle));
    }),
  "even in ln ρ": (n) => [
    ...Array.from({ length: n }, (_, i) => {
      const rho = n === 1 ? 50 : 50 * (0.02 / 50) ** (i / (n - 1));
      return rho / (1 + rho);
    }),
    0,
  ],
};
// The second of four levels, as ρ: 0.75 / 0.25; three times that; the tangent of 67.5°; and a third of the way from
// 50 to 0.02 in ln ρ.
const second = (name: string) => rhoOf(levels[name]!(4)[1]!);
check("even in t, second level", second("even in t"), 3, 1e-12);
check("shifted, second level", second("even, shifted by 3"), 9, 1e-12);
check(
  "even in the angle",
  second("even in the angle"),
  1 + Math.SQRT2,
  1e-12,
);
check(
  "even in ln ρ",
  second("even in ln ρ") ** 3,
  50 ** 2 * 0.02,
  1e-9,
);

// Where the exact flow leads each of the 16 starts.
const exactEnds = starts.map((x) => {
  // The last piece, where the density hardly moves any more, is one step to the guess.
  const near = follow(x, 1, 1e-3);
  return denoise(near, 1e-3);
});
/** The largest error of Euler's method at the end. */
const errorOf = (name: string, n: number) =>
  largest(
    starts.map((x, i) => euler(x, levels[name]!(n)) - exactEnds[i]!),
  );
const counts = [1, 2, 4, 8, 16, 32, 64, 128];
const errors = Object.keys(levels).flatMap((name) =>
  counts.map((steps) => ({ name, steps, error: errorOf(name, steps) })),
);

// %% folded
plot({
  caption:
    "Error of Euler's method on the same flow, with four sets of noise levels.",
  x: {
    label: "steps",
    type: "log",
    grid: true,
    ticks: counts,
    tickFormat: "d",
  },
  y: { label: "error", type: "log", grid: true, tickFormat: "~g" },
  color: {
    domain: Object.keys(levels),
    range: ["#4269d0", "#d97706", "#2f9e58", "#8b5cf6"],
  },
  marks: [
    Plot.line(errors, {
      x: "steps",
      y: "error",
      stroke: "name",
      strokeWidth: 2,
    }),
    Plot.dot(errors, { x: "steps", y: "error", fill: "name" }),
    Plot.text(
      [
        { name: "even in t", steps: 1.5, error: 0.2 },
        { name: "even, shifted by 3", steps: 45, error: 0.042 },
        { name: "even in the angle", steps: 1.5, error: 0.12 },
        { name: "even in ln ρ", steps: 3.2, error: 0.72 },
      ],
      {
        x: "steps",
        y: "error",
        text: "name",
        fill: "name",
        textAnchor: "start",
        fontSize: 13,
      },
    ),
  ],
});

// %%
for (const name of [
  "even in t",
  "even, shifted by 3",
  "even in the angle",
]) {
  // Order 1: twice the steps, half the error, up to a share of about 1 / steps.
  check(
    `order with levels ${name}`,
    Math.log2(errorOf(name, 128) / errorOf(name, 256)),
    1,
    0.05,
  );
}
// With one step from pure noise, all answer with the mean picture, whatever the levels.
const meanPicture = sum(bells.map(({ share, mean }) => share * mean));
check("one step from noise", euler(1.3, [1, 0]), meanPicture, 1e-12);

// %% [markdown]
// All are of first order: no set of levels changes the slope of the curve, only its height. And one step is useless
// for each of them, because at $t = 1$ all lines cross, and the mean of all velocities leads to the mean of all
// pictures.
//
// ## How straight is it?
//
// If a path were straight, with constant velocity, then a single step of Euler's method would be exact. So measure
// how far the velocity along a path is from the whole displacement (Liu et al. 2023, section 2.2):
//
// $$ \mathcal S = \int_0^1 \mathbb E\, \bigl( (x_1 - x_0) - u(x_t, t) \bigr)^2\, dt . $$
//
// For one bell, $\mathcal N(0, s^2)$, pencil and paper are enough. The flow only rescales: $x_t = r(t)\, z$ with
// $r^2 = (1-t)^2 s^2 + t^2$. So
//
// $$ \mathcal S = \int_0^1 r'(t)^2\, dt - (1 - s)^2 . $$
//
// The library measures it along any network's paths.

// %%
const s = 0.25;
const r = (t: number) => Math.hypot((1 - t) * s, t);
const speed = (t: number) => (t - (1 - t) * s ** 2) / r(t);
const cells = 2000;
const integral =
  sum(
    Array.from(
      { length: cells },
      (_, i) => speed((i + 0.5) / cells) ** 2,
    ),
  ) / cells;
const byHand = integral - (1 - s) ** 2;

// 16 particles whose squares have the mean 1.
const scale = Math.sqrt(mean(starts.map((x) => x ** 2)));
const start = asColumn(starts.map((x) => x / scale));
const oneBell = (x: tf.Tensor2D, timesteps: number[]) => {
  const t = timesteps[0]! / 1000;
  return x.mul(speed(t) / r(t));
};
const measured = (steps: number) =>
  straightness({
    scheduler: new FlowMatchEulerDiscreteScheduler(),
    model: oneBell,
    start,
    steps,
  });
// Euler's method: from 100 to 200 steps its error halves, and what remains is of second order.
check(
  "S of one bell",
  2 * measured(200) - measured(100),
  byHand,
  0.01 * byHand,
);

// %% [markdown]
// ## Reflow: join the right pairs
//
// Why are the paths bent? Because pictures and noise were joined at random, and the lines cross. Now that we have a
// flow, we have better pairs: each noise $z$ with the picture $q(z)$ where its own path ends. Join *these* by
// straight lines, and train again. That is **reflow** (Liu et al. 2023, algorithm 1), and the new flow is a
// **rectified flow**.
//
// On a line it is done after one round. Paths of a flow do not overtake each other, so $q$ grows with $z$, and so
// does each point $(1-t)\,q(z) + t\,z$ of the lines: they cannot cross. So $x$ and $t$ tell the line, and the
// velocity $z - q(z)$ is no longer a mean of several. We look for that $z$ by halving an interval.

// %%
const ends = new Map<number, number>();
/** Where the flow from z ends. */
function endOf(z: number): number {
  if (!ends.has(z)) ends.set(z, denoise(follow(z, 1, 1e-3), 1e-3));
  return ends.get(z)!;
}
/** The velocity that reflow learns: that of the line through x. */
function rectified(x: number, t: number): number {
  let [low, high] = [-6, 6];
  while (high - low > 1e-9) {
    const z = (low + high) / 2;
    if ((1 - t) * endOf(z) + t * z < x) low = z;
    else high = z;
  }
  return low - endOf(low);
}
const few = [-1.2, 0, 0.9];
check(
  "one step of the rectified flow, largest error",
  largest(few.map((z) => euler(z, [1, 0], rectified) - endOf(z))),
  0,
  1e-7,
);
check(
  "four steps lead to the same place, largest difference",
  largest(
    few.map(
      (z) => euler(z, [1, 0.8, 0.5, 0.3, 0], rectified) - endOf(z),
    ),
  ),
  0,
  1e-7,
);

// %% [markdown]
// One step is exact. And there is a second gain: the new pairs are *nearer* to each other. For random pairs the
// mean square of the distance is $\mathbb E\,\varepsilon^2 + \mathbb E\,x_0^2$. It can never grow by reflow,
// whatever the data (Liu et al. 2023, theorem 3.5). The reason is one line: the flow's displacement is the integral
// of $u$, a mean of the lines' velocities, and the square of a mean is at most the mean of the squares.

// %%
// 400 noises that stand for equal shares of all noise.
const equalShares = (() => {
  let [x, left] = [-6, 0];
  return Array.from({ length: 400 }, (_, i) => {
    while (left < (i + 0.5) / 400) {
      left += bell(x + 5e-4, 1) * 1e-3;
      x += 1e-3;
    }
    return x;
  });
})();
const ofPictures = sum(
  bells.map(({ share, mean }) => share * (mean ** 2 + S ** 2)),
);
const atRandom = 1 + ofPictures;
const rejoined = mean(equalShares.map((z) => (z - endOf(z)) ** 2));

// %% [markdown]
// *Predict, then run.* At random, the mean squared distance is $1 + 0.838 = 1.838$. What is it for the new pairs?

// %%
const prediction: Answer = todo;
predict("distance of the new pairs", prediction, rejoined, 0.1);

// %%
check("random pairs, mean squared distance", atRandom, 1.838, 1e-12);
table(
  [
    { pairs: "at random", "mean squared distance": atRandom },
    { pairs: "by the flow", "mean squared distance": rejoined },
  ],
  { caption: "How far a noise is from its picture" },
);
// The ends are pictures: their mean square is that of the two bells. 400 shares leave out the tails.
check(
  "mean square of the flow's ends",
  mean(equalShares.map((z) => endOf(z) ** 2)),
  ofPictures,
  0.01,
);
check(
  "reflow does not move pairs apart",
  Math.max(rejoined, atRandom),
  atRandom,
  0,
);

// %% [markdown]
// ## In the plane, with a network
//
// In two dimensions there is room for paths to bend around each other, and one round need not be enough. And a
// network only comes near its optimum. So let us try. The data are two half moons. The network has three hidden
// layers of 64 numbers, and it is trained as the formula says: two points, a line, its velocity, squared error.
// `denoisingLoss` does that for the scheduler of flow matching.

// %% folded
/** Two half circles that reach into each other, [N, 2]. */
function moons(count: number, source: KeyedNoise): tf.Tensor2D {
  const random = source.random();
  return tf.tensor2d(
    Array.from({ length: count }, () => {
      const angle = Math.PI * random.uniform();
      const [x, y] = [Math.cos(angle), Math.sin(angle)];
      const upper = random.integer(2) === 0;
      return upper ? [x - 0.5, y - 0.25] : [0.5 - x, 0.25 - y];
    }),
  );
}

class Network {
  readonly parameters = new Map<string, tf.Variable>();

  constructor(source: KeyedNoise) {
    const widths = [5, 64, 64, 64, 2];
    widths.slice(1).forEach((out, i) => {
      const into = widths[i]!;
      const kernel = source
        .at(i)
        .normal([into, out])
        .mul(Math.sqrt(2 / into));
      this.parameters.set(`kernel${i}`, tf.variable(kernel));
      this.parameters.set(`bias${i}`, tf.variable(tf.zeros([out])));
    });
  }

  /** Velocities at the points x, [B, 2], at timesteps from 0 to 1000. */
  readonly forward = (
    x: tf.Tensor2D,
    timesteps: number[],
  ): tf.Tensor2D =>
    tf.tidy(() => {
      const times = timesteps.map((t) => t / 1000);
      const features = times.map((t) => [
        t,
        Math.sin(4 * t),
        Math.cos(4 * t),
      ]);
      let h = tf.concat([x, tf.tensor2d(features)], 1);
      for (let i = 0; i < 4; i++) {
        if (i > 0) h = h.mul(h.sigmoid());
        const kernel = this.parameters.get(`kernel${i}`) as tf.Tensor2D;
        h = h.matMul(kernel).add(this.parameters.get(`bias${i}`)!);
      }
      return h;
    });
}

// %%
type Batch = { x0: tf.Tensor2D; pairedNoise?: tf.Tensor2D };

function train(
  name: string,
  steps: number,
  batch: (source: KeyedNoise) => Batch,
): Network {
  const source = noise.at(name);
  const network = new Network(source.at("weights"));
  const optimizer = new AdamW(network.parameters, { weightDecay: 0 });
  const rate = warmupCosine({
    learningRate: 4e-3,
    warmupSteps: 20,
    totalSteps: steps,
  });
  for (let step = 1; step <= steps; step++) {
    tf.tidy(() => {
      const learn = source.at("step", step);
      const loss = () =>
        denoisingLoss<tf.Tensor2D>({
          scheduler: flowScheduler,
          model: network.forward,
          noise: learn.at("loss"),
          ...batch(learn.at("batch")),
        });
      const { gradients } = parameterGradients(
        loss,
        network.parameters,
      );
      optimizer.step(gradients, rate(step));
    });
  }
  return network;
}

const firstFlow = train("flow", 1000, (source) => ({
  x0: moons(256, source),
}));

// %% [markdown]
// Now reflow: 4000 noises, where their paths end, and a second network that learns the straight lines between them.

// %%
const walk = (network: Network, start: tf.Tensor2D, steps: number) =>
  runPlan(
    flowScheduler.plan({
      sigmas: Array.from({ length: steps }, (_, i) => 1 - i / steps),
    }),
    network.forward,
    start,
    noise,
  );

const noises = noise.at("pairs").normal([4000, 2]) as tf.Tensor2D;
const itsEnds = walk(firstFlow, noises, 60);
const secondFlow = train("reflow", 1000, (source) => {
  const random = source.random();
  const chosen = tf.tensor1d(
    Array.from({ length: 256 }, () => random.integer(4000)),
    "int32",
  );
  return {
    x0: tf.gather(itsEnds, chosen),
    pairedNoise: tf.gather(noises, chosen),
  };
});

const fresh = noise.at("fresh").normal([500, 2]) as tf.Tensor2D;
const rms = (a: tf.Tensor, b: tf.Tensor) =>
  Math.sqrt(a.sub(b).square().sum(1).mean().dataSync()[0]!);
const networks = {
  "flow matching": firstFlow,
  "after reflow": secondFlow,
};
const compared = Object.entries(networks).map(([name, network]) => {
  const end = walk(network, fresh, 100);
  const error = (steps: number) =>
    rms(walk(network, fresh, steps), end);
  return {
    network: name,
    "1 step": error(1),
    "2 steps": error(2),
    "4 steps": error(4),
    "16 steps": error(16),
    straightness: straightness({
      scheduler: flowScheduler,
      model: network.forward,
      start: fresh,
    }),
  };
});
table(compared, {
  caption:
    "Error of few steps against 100 steps of the same network, and how far the paths are from straight (S)",
  digits: 2,
});

// %% folded
{
  const dots: { x: number; y: number; part: string }[] = [];
  const paths: { x: number; y: number; path: number; part: string }[] =
    [];
  const parts = [
    "flow, its paths",
    "reflow, its paths",
    "flow, 1 step",
    "reflow, 1 step",
  ];
  Object.values(networks).forEach((network, k) => {
    for (const [steps, part] of [
      [60, parts[k]!],
      [1, parts[k + 2]!],
    ] as const) {
      const end = walk(network, fresh, steps).arraySync();
      dots.push(
        ...end.slice(0, 300).map(([x, y]) => ({ x: x!, y: y!, part })),
      );
    }
    const some = fresh.slice([0, 0], [40, 2]);
    for (let i = 0; i <= 20; i++) {
      // The first i of 20 steps.
      let x = some;
      for (let j = 0; j < i; j++)
        x = x.sub(
          network
            .forward(x, Array<number>(40).fill(1000 - 50 * j))
            .div(20),
        );
      x.arraySync().forEach(([px, py], path) =>
        paths.push({ x: px!, y: py!, path, part: parts[k]! }),
      );
    }
  });
  plot({
    caption:
      "Paths of 40 points (orange) and ends (blue). After reflow, paths are nearly straight: one step is enough.",
    width: 680,
    height: 700,
    x: { axis: null, domain: [-2.4, 2.4] },
    y: { axis: null, domain: [-2.2, 2.2] },
    fx: { axis: null },
    fy: { axis: null },
    facet: { marginTop: 30 },
    marks: [
      Plot.line(paths, {
        x: "x",
        y: "y",
        z: "path",
        fx: ({ part }: { part: string }) => parts.indexOf(part) % 2,
        fy: ({ part }: { part: string }) =>
          Math.floor(parts.indexOf(part) / 2),
        stroke: "#d97706",
        strokeWidth: 1,
      }),
      Plot.dot(dots, {
        x: "x",
        y: "y",
        fx: ({ part }: { part: string }) => parts.indexOf(part) % 2,
        fy: ({ part }: { part: string }) =>
          Math.floor(parts.indexOf(part) / 2),
        fill: "#4269d0",
        r: 2,
      }),
      Plot.text(parts, {
        x: 0,
        y: 2.1,
        text: (part: string) => part,
        fx: (part: string) => parts.indexOf(part) % 2,
        fy: (part: string) => Math.floor(parts.indexOf(part) / 2),
        fontSize: 15,
        fill: "currentColor",
      }),
    ],
  });
}

// %%
const [before, after] = compared.map(
  ({ straightness }) => straightness,
) as [number, number];
const [bent, straight] = compared.map((row) => row["1 step"]) as [
  number,
  number,
];
// Not a theorem but an experiment: it is the same in each run, because the seeds are written down.
check("what reflow leaves of S", after / before, 0, 0.02);
check(
  "what reflow leaves of the error of one step",
  straight / bent,
  0,
  0.1,
);
// One step of the first flow leads to the mean picture, which is the middle, (0, 0).
const oneStep = walk(firstFlow, fresh, 1);
const offMiddle = Math.sqrt(
  oneStep.square().sum(1).mean().dataSync()[0]!,
);
check(
  "one step of the first flow, distance from the middle",
  offMiddle,
  0,
  0.25,
);

// %% [markdown]
// One step of the first flow leads to a heap in the middle: the mean of all pictures, as on the line. After one
// round of reflow, one step draws the moons. The price is the second training, and that its pictures are copies of
// what the first network draws, with its faults. *InstaFlow* did this with Stable Diffusion
// ([Liu et al. 2024](https://arxiv.org/abs/2309.06380)). Other ways to few steps come in a later chapter.
//
// ## What to take along
//
// - Flow matching mixes on a straight line and learns $\varepsilon - x_0$. Lines cross, so the network learns their
//   mean $u = (x - D)/t$. The mean keeps the density.
// - With Gaussian noise, the flow is the probability flow of diffusion, and Euler's method on it is DDIM. What
//   differs is the weight of errors, $(1 + \sqrt{\mathrm{SNR}})^2$, and which noise levels are visited.
// - "Straight" is said of the lines in training. The paths that are drawn are bent, because the pairs are random.
// - Reflow joins each noise with its own end, and then the paths are nearly straight: one step is enough.
//
// ## What to read next
//
// - [Lipman et al. 2023](https://arxiv.org/abs/2210.02747): flow matching, with the proof for any paths.
// - [Liu et al. 2023](https://arxiv.org/abs/2209.03003): rectified flow, and what reflow never makes worse.
// - [Esser et al. 2024](https://arxiv.org/abs/2403.03206): Stable Diffusion 3, with a comparison of times and
//   weights.
// - [Gao et al. 2024](https://diffusionflow.github.io/): diffusion and flow matching are two sides of the same
//   coin.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 6`. Each exercise is
// judged on its own.
//
// **1.** Pictures from one bell $\mathcal N(0, 0.5^2)$. On the way from noise to pictures, the crowd first gets
// narrower, and then wider again. At which time $t$ is it narrowest?

// %%
const narrowestTime: Answer = todo;
await exercise("the narrowest time", narrowestTime);

// %% [markdown]
// **2.** *Write a function.* One step of DDIM's rule on the chord, for single numbers: from the time `from` to the
// time `to`, with the guessed picture `guess`.

// %%
type Step = (
  x: number,
  guess: number,
  from: number,
  to: number,
) => number;
const chordStep: Answer<Step> = todo;
await exercise("DDIM on the chord", chordStep);

// %% [markdown]
// **3.** *Find the fault.* A shift of times should lead to more steps where the noise is thick. With this one, the
// sampler never sees pure noise.

// %%
const faultyShift = (t: number, factor: number) =>
  (factor * t) / (1 + factor * t);
await repair("a shift that starts too late", faultyShift);

// %% [markdown]
// **4.** *Reproduce the plot.* The line shows how much more a squared error in the picture weighs in $u$ than in
// $v$, for $t = 0.05, 0.1, \dots, 0.95$. Answer with its 19 points `[t, ratio]`.

// %%
const ratioOfWeights: Answer<Points> = todo;
await reproduce("weight of u over that of v", ratioOfWeights, {
  caption: "The weight of an error in u, over that in v.",
  height: 260,
  x: { label: "t", grid: true },
  y: { label: "ratio", grid: true },
});
