// %% [markdown]
// # Guidance
//
// **A network was trained to draw what a sentence says. Why must we still insist?**
//
// Give the portraits model a sentence and take its answer as it is: some of the pictures below show all that was asked,
// others do not. Then multiply one difference by three, and all of them do. Nearly every text-to-image program does
// this. It is called *guidance*, and it has a price. This chapter derives it from Bayes' rule. Then it proves what it
// does, and what it does not do, in worlds so small that everything can be computed.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import {
  DDIMScheduler,
  guide,
  guidedNetwork,
  keyedNoise,
  rescaleGuidance,
  runPlan,
  type Network,
} from "@tfjs-diffusion/schedulers";
import { loadClassifier } from "../classifier/classifier-files.js";
import {
  check,
  exercise,
  image,
  plot,
  predict,
  repair,
  show,
  table,
  todo,
  type Answer,
} from "../src/chapter/index.js";
import { packagePath } from "../src/package-folder.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2035);
const toSigned = (pictures: tf.Tensor4D) =>
  pictures.mul(2).sub<tf.Tensor4D>(1);

// %%
const pipeline = await openPipeline(
  packagePath("weights", "portraits"),
);
const sentence = "a smiling woman with long blonde hair and glasses";
const SCALES = [1, 2, 3, 7];
const sheets: tf.Tensor4D[] = [];
for (const guidanceScale of SCALES) {
  const { images, latents } = await pipeline.generate({
    prompt: sentence,
    numImages: 8,
    numInferenceSteps: 10,
    guidanceScale,
    seed: 3,
  });
  latents.dispose();
  sheets.push(images);
}
await image(toSigned(tf.concat(sheets)), {
  caption: `"${sentence}": guidance 1 (none), 2, 3 and 7, from the same starts.`,
  columns: 8,
  scale: 2,
});

// %% [markdown]
// ## Bayes, for scores
//
// Let $c$ be a condition: a class, or a sentence. By Bayes' rule $p(x \mid c) = p(x)\,p(c \mid x) / p(c)$. Take the
// logarithm and the gradient by $x$. The denominator does not depend on $x$, so it vanishes:
//
// $$ \nabla \log p(x \mid c) \;=\; \nabla \log p(x) \;+\; \nabla \log p(c \mid x) . $$
//
// The left side is the score of the pictures that fit $c$. The right side says how to get it from a network that knows
// no conditions: add the gradient of a *classifier* that reads noisy pictures
// ([Dhariwal and Nichol 2021](https://arxiv.org/abs/2105.05233), section 4.1). This is **classifier guidance**.
//
// Our first world is one number. Class $A$ is $\mathcal N(-1, s^2)$ and class $B$ is $\mathcal N(+1, s^2)$, with
// $s = 1/2$, equally likely. We add noise as EDM does: $x = x_0 + \sigma\varepsilon$. Then each class is a Gaussian of
// variance $s^2 + \sigma^2$.

// %%
const s = 0.5;
const density = (x: number, mean: number, variance: number) =>
  Math.exp(-((x - mean) ** 2) / (2 * variance)) /
  Math.sqrt(2 * Math.PI * variance);
const ofA = (x: number, sigma: number) =>
  density(x, -1, s ** 2 + sigma ** 2);
const ofB = (x: number, sigma: number) =>
  density(x, 1, s ** 2 + sigma ** 2);
const ofAny = (x: number, sigma: number) =>
  (ofA(x, sigma) + ofB(x, sigma)) / 2;

/** The classifier: p(B | x). */
const chanceOfB = (x: number, sigma: number) =>
  ofB(x, sigma) / (ofA(x, sigma) + ofB(x, sigma));

/** The derivative of log f at x, by a central difference. */
const slope = (f: (x: number) => number, x: number, h = 1e-4) =>
  (Math.log(f(x + h)) - Math.log(f(x - h))) / (2 * h);

const [place, level] = [0.3, 0.8];
const scoreOfB = slope((x) => ofB(x, level), place);
// The error of a central difference is about h² times the third derivative: below 1e-8.
check(
  "score of B, from Bayes' rule",
  slope((x) => ofAny(x, level), place) +
    slope((x) => chanceOfB(x, level), place),
  scoreOfB,
  1e-7,
);
check(
  "score of B, by hand",
  scoreOfB,
  (1 - place) / (s ** 2 + level ** 2),
  1e-7,
);

// %% [markdown]
// ## No classifier needed
//
// A denoiser answers with noise, not with a score. The two are one
// ([chapter 2](./02-the-best-denoiser.md) has the best guess $D$): the best guess at the noise is
// $\hat\varepsilon = (x - D)/\sigma = -\sigma\,\nabla\log p(x)$. Put this into Bayes' rule:
//
// $$ \hat\varepsilon(x \mid c) - \hat\varepsilon(x) \;=\; -\sigma\,\nabla \log p(c \mid x) . $$
//
// Read it from right to left. The gradient of a perfect classifier is the *difference of two denoisers*: one that is
// told the condition, and one that is not. One network can be both, if the sentence is left out now and then during
// training. This is **classifier-free guidance**
// ([Ho and Salimans 2022](https://arxiv.org/abs/2207.12598)). Nobody trains a classifier any more.

// %%
/** Best guess of x₀ for class means `means`, equally likely. */
const bestGuess = (
  x: number,
  sigma: number,
  means: readonly number[],
) => {
  const variance = s ** 2 + sigma ** 2;
  const chances = means.map((mean) => density(x, mean, variance));
  const total = chances.reduce((sum, chance) => sum + chance, 0);
  const mean = means.reduce(
    (sum, m, k) => sum + (m * chances[k]!) / total,
    0,
  );
  // Of the way from the class's mean to x, the share s² / (s² + σ²) is signal.
  return mean + (s ** 2 / variance) * (x - mean);
};
const noiseGuess = (
  x: number,
  sigma: number,
  means: readonly number[],
) => (x - bestGuess(x, sigma, means)) / sigma;

const difference =
  noiseGuess(place, level, [1]) - noiseGuess(place, level, [-1, 1]);
check(
  "difference of two denoisers",
  difference,
  -level * slope((x) => chanceOfB(x, level), place),
  1e-7,
);

// %% [markdown]
// ## Turn it up
//
// Now multiply the classifier's part by a number $w$, the **guidance scale**:
//
// $$ \boxed{\;\hat\varepsilon_w \;=\; \hat\varepsilon(x) +
//    w\,\bigl(\hat\varepsilon(x \mid c) - \hat\varepsilon(x)\bigr)\;} $$
//
// With $w = 0$ the sentence is ignored. $w = 1$ is the conditional network itself. Above 1 the condition is
// exaggerated. (The paper writes $1 + w$ for our $w$. Programs write `guidance_scale`, and mean ours.)

// %% folded
const BLUE = "#4269d0";
const RED = "#c2410c";
const GREEN = "#2f9e58";
const arrows = [
  {
    from: [0, 0],
    to: [3, 1],
    name: "without the sentence",
    color: BLUE,
    at: [1.6, 0.1],
  },
  {
    from: [0, 0],
    to: [4, 3],
    name: "with the sentence",
    color: GREEN,
    at: [1.4, 1.6],
  },
  {
    from: [3, 1],
    to: [6, 7],
    name: "w = 3",
    color: RED,
    at: [5.6, 5.2],
  },
];
plot({
  caption:
    "Guidance is an extrapolation: from one answer through the other, w times as far.",
  height: 320,
  axis: null,
  x: { domain: [-0.4, 7.4] },
  y: { domain: [-0.5, 7.4] },
  marks: [
    Plot.arrow(arrows, {
      x1: ({ from }: (typeof arrows)[number]) => from[0]!,
      y1: ({ from }: (typeof arrows)[number]) => from[1]!,
      x2: ({ to }: (typeof arrows)[number]) => to[0]!,
      y2: ({ to }: (typeof arrows)[number]) => to[1]!,
      stroke: "color",
      strokeWidth: 2.5,
    }),
    Plot.dot([[0, 0]], { r: 4, fill: "currentColor" }),
    Plot.text([[0, 0]], { text: () => "x", dx: -12, fontSize: 15 }),
    ...arrows.map((arrow) =>
      Plot.text([arrow.at], {
        text: () => arrow.name,
        fill: arrow.color,
        fontSize: 14,
        textAnchor:
          arrow.name === "with the sentence" ? "end" : "start",
        dx: 12,
      }),
    ),
  ],
});

// %%
/** Noise levels from `most` to 0, each a fixed factor below the one before. */
const levels = (count: number, most = 80, least = 0.002) => [
  ...Array.from(
    { length: count },
    (_, i) => most * (least / most) ** (i / (count - 1)),
  ),
  0,
];

/** Heun's method for dx/dσ = ε̂(x, σ), the probability flow in EDM's coordinates. */
function flow(
  guess: (x: number, sigma: number) => number,
  start: number,
  sigmas: readonly number[],
): number {
  let x = start;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [here, next] = [sigmas[i]!, sigmas[i + 1]!];
    const first = guess(x, here);
    const there = x + (next - here) * first;
    const second = next > 0 ? guess(there, next) : first;
    x += (next - here) * ((first + second) / 2);
  }
  return x;
}

const guided = (w: number) => (x: number, sigma: number) => {
  const [any, wanted] = [
    noiseGuess(x, sigma, [-1, 1]),
    noiseGuess(x, sigma, [1]),
  ];
  return any + w * (wanted - any);
};
const PARTICLES = 2000;
const starts = noise.at("starts").normal([PARTICLES]).dataSync();
const drawings = [1, 2, 4].map((w) => ({
  w,
  x: Array.from(starts, (start) =>
    flow(guided(w), 80 * start, levels(60)),
  ),
}));
const meanOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const deviationOf = (values: readonly number[]) =>
  Math.sqrt(
    meanOf(values.map((value) => (value - meanOf(values)) ** 2)),
  );
table(
  drawings.map(({ w, x }) => ({
    w,
    "nearer to B": `${((100 * x.filter((value) => value > 0).length) / PARTICLES).toFixed(1)} %`,
    mean: meanOf(x),
    "standard deviation": deviationOf(x),
  })),
  { caption: "2000 numbers drawn for class B", digits: 3 },
);
const [plain, , strong] = drawings;
// Four standard errors: s/√n of a mean, s/√(2n) of a deviation.
check(
  "mean of B, w = 1",
  meanOf(plain!.x),
  1,
  (4 * s) / Math.sqrt(PARTICLES),
);
check(
  "deviation of B, w = 1",
  deviationOf(plain!.x),
  s,
  (4 * s) / Math.sqrt(2 * PARTICLES),
);
// Φ(-2) = 2.3 % of class B lies on the side of A.
check(
  "nearer to A, w = 1",
  plain!.x.filter((value) => value < 0).length / PARTICLES,
  0.02275,
  4 * Math.sqrt((0.02275 * 0.97725) / PARTICLES),
);
check(
  "nearer to A, w = 4",
  strong!.x.filter((value) => value < 0).length,
  0,
  0,
);

// %% folded
const bins = drawings.flatMap(({ w, x }) =>
  Array.from({ length: 60 }, (_, i) => {
    const from = -1 + i * 0.08;
    const inside = x.filter(
      (value) => value >= from && value < from + 0.08,
    ).length;
    return {
      w: `w = ${w}`,
      x: from + 0.04,
      y: inside / PARTICLES / 0.08,
    };
  }),
);
plot({
  caption:
    "What is drawn for class B: the true class (w = 1), and with guidance.",
  x: { label: "x₀", grid: true },
  y: { label: "density", grid: true },
  color: {
    domain: ["w = 1", "w = 2", "w = 4"],
    range: [BLUE, GREEN, RED],
  },
  marks: [
    Plot.line(bins, {
      x: "x",
      y: "y",
      stroke: "w",
      strokeWidth: 2,
      curve: "basis",
    }),
    Plot.text(
      drawings.map(({ w }, i) => ({
        w: `w = ${w}`,
        x: 3,
        y: 1 - 0.12 * i,
      })),
      { x: "x", y: "y", text: "w", fill: "w", fontSize: 15 },
    ),
    Plot.ruleX([1], { strokeDasharray: "4 4" }),
  ],
});

// %% [markdown]
// Two things happen. Numbers that could be taken for an $A$ disappear: that is what we want. But the whole class moves
// away from $A$, beyond its own mean, and grows narrow. With $w = 4$ hardly any number is drawn that class $B$ has
// often. Colours that are too strong, faces that are all alike: that is this effect, in pictures.
//
// The library's function is the same formula, for tensors:

// %%
const asNetwork =
  (means: readonly number[]): Network<tf.Tensor2D> =>
  (x) =>
    tf.tensor2d(
      Array.from(x.dataSync(), (value) => [
        noiseGuess(value, level, means),
      ]),
    );
const five = noise.at("five").normal([5, 1]) as tf.Tensor2D;
const byLibrary = guide(
  asNetwork([-1, 1])(five, []),
  asNetwork([1])(five, []),
  4,
);
const byHand = Array.from(five.dataSync(), (x) => guided(4)(x, level));
check(
  "guide() of the library",
  Math.max(
    ...byHand.map((value, i) =>
      Math.abs(value - byLibrary.dataSync()[i]!),
    ),
  ),
  0,
  2e-6, // single precision, of numbers up to 5
);

// %% [markdown]
// ## What does it draw, exactly?
//
// Many texts say: guidance draws from $p(x)\,p(c \mid x)^w$, the pictures weighted by the classifier's belief to the
// power $w$. Let us call this the *tilted* distribution. At $w = 1$ it is right. At other $w$ it is **wrong**, and one
// Gaussian is enough to see it. Let all pictures be $\mathcal N(0, 1)$, and those that fit $\mathcal N(0, \tfrac14)$.
// The exponents of Gaussians add, so the tilted distribution $p(x)^{1-w}\,p(x \mid c)^w$ is a Gaussian with
//
// $$ \frac{1}{\text{variance}} = (1 - w)\cdot 1 + w \cdot 4 = 1 + 3w . $$
//
// Now the flow. At the noise level $\sigma$ the two scores are $-x/(1+\sigma^2)$ and $-x/(\tfrac14+\sigma^2)$. Hence
//
// $$ \begin{aligned}
//    \frac{dx}{d\sigma} &= \hat\varepsilon_w = \sigma\,k(\sigma^2)\,x, \\
//    k(\tau) &= \frac{1-w}{1+\tau} + \frac{w}{\tfrac14+\tau} .
//    \end{aligned} $$
//
// This is solved by one integral: $\ln x$ changes by
// $\tfrac12\bigl[(1-w)\ln(1+\sigma^2) + w\ln(\tfrac14+\sigma^2)\bigr]$. From a large $\sigma$ down to 0, the standard
// deviation ends at $2^{-w}$.

// %%
const precision = (tau: number, w: number) =>
  (1 - w) / (1 + tau) + w / (0.25 + tau);
const pull = (w: number) => (x: number, sigma: number) =>
  sigma * precision(sigma ** 2, w) * x;
const tilted = (w: number) => 1 / Math.sqrt(1 + 3 * w);
/** Where the standard deviation of the flow ends. It begins at that of all pictures under noise. */
const flowed = (w: number, most = 80) =>
  flow(pull(w), Math.sqrt(1 + most ** 2), levels(2000, most));
check("tilted deviation, w = 2", tilted(2), Math.sqrt(1 / 7), 1e-12);
// Heun's error falls with the square of the step: 2000 levels leave about 1e-5. From σ = 80, not ∞: 1e-4.
check("deviation that guidance draws, w = 2", flowed(2), 2 ** -2, 2e-4);
check("deviation that guidance draws, w = 3", flowed(3), 2 ** -3, 2e-4);
check("without guidance both are right", flowed(1), tilted(1), 2e-4);

// %% [markdown]
// 0.25 is not 0.378. Guidance draws *narrower* than what it is said to draw from. Why? The tilted distribution is
// defined for clean pictures. To sample it by a flow, one needs its scores under noise: its variance at level $\sigma$
// is $1/(1+3w) + \sigma^2$. But guidance tilts *after* the noise was added, at each level anew. These two do not
// commute.

// %%
const tiltedThenNoise = (sigma: number) => 1 / 7 + sigma ** 2;
const noiseThenTilted = (sigma: number) => 1 / precision(sigma ** 2, 2);
check(
  "both orders at σ = 0",
  noiseThenTilted(0),
  tiltedThenNoise(0),
  1e-12,
);
check("tilted, then noise, at σ = 1", tiltedThenNoise(1), 8 / 7, 1e-12);
check(
  "noise, then tilted, at σ = 1",
  noiseThenTilted(1),
  1 / (-1 / 2 + 2 / 1.25),
  1e-12,
);

// %% [markdown]
// With fresh noise in each step (DDPM, "ancestral" samplers) the result is another one again. The variance $v$ then
// obeys $dv/d\tau = 2\,k(\tau)\,v - 1$, with $\tau = \sigma^2$. For $w = 2$ it ends at $28/256$, which is a deviation
// of 0.331. So the same network, sentence and scale draw different distributions with different samplers.
// ([Bradley and Nakkiran 2024](https://arxiv.org/abs/2408.09000) work this out.)

// %%
const ancestral = (w: number, count: number) => {
  const sigmas = levels(count);
  let variance = 1 + 80 ** 2;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [tau, next] = [sigmas[i]! ** 2, sigmas[i + 1]! ** 2];
    // x' = D + (τ'/τ)(x - D) + noise of variance τ'(1 - τ'/τ), with D = x - τ k x.
    const factor = 1 - (tau - next) * precision(tau, w);
    variance = factor ** 2 * variance + next * (1 - next / tau);
  }
  return Math.sqrt(variance);
};
// A method of first order: twice as many steps, half the error. So the limit is 2 a(2n) - a(n), to 1e-6.
const limit = 2 * ancestral(2, 40_000) - ancestral(2, 20_000);
check(
  "deviation with fresh noise, w = 2",
  limit,
  Math.sqrt(28 / 256),
  1e-4,
);

// %% folded
const scales = Array.from({ length: 31 }, (_, i) => 1 + i / 10);
const widths = [
  ...scales.map((w) => ({ w, y: tilted(w), kind: "p(x) p(c|x)^w" })),
  ...scales.map((w) => ({ w, y: 2 ** -w, kind: "the flow (DDIM)" })),
  ...scales.map((w) => ({
    w,
    y: ancestral(w, 2000),
    kind: "with fresh noise (DDPM)",
  })),
];
const KINDS = [
  "p(x) p(c|x)^w",
  "with fresh noise (DDPM)",
  "the flow (DDIM)",
];
plot({
  caption:
    "Standard deviation of what guidance is said to draw, and of what it draws.",
  x: { label: "w", grid: true },
  y: { label: "standard deviation", grid: true, domain: [0, 0.52] },
  color: { domain: KINDS, range: [BLUE, GREEN, RED] },
  marks: [
    Plot.line(widths, {
      x: "w",
      y: "y",
      stroke: "kind",
      strokeWidth: 2,
    }),
    Plot.text(
      KINDS.map((kind, i) => ({ kind, w: 2.7, y: 0.5 - 0.035 * i })),
      {
        x: "w",
        y: "y",
        text: "kind",
        fill: "kind",
        textAnchor: "start",
        fontSize: 14,
      },
    ),
  ],
});

// %% [markdown]
// ## A negative prompt
//
// The unconditional answer is what guidance leads *away from*. Nothing forces us to use "no sentence" there. With the
// answer for another sentence, guidance leads away from that one: a **negative prompt**. A world to see it: two
// numbers, each around $-1$ or $+1$, so that there are four bells. The first says left or right, the second down or
// up. We ask for "right", and say "down" as the negative prompt.

// %%
const [BOTH, UP, DOWN] = [[-1, 1], [1], [-1]];
/** Away from "down" with both sides, towards "right" at any height: each axis for itself. */
const withNegative = (w: number) => ({
  side: (x: number, sigma: number) => {
    const [away, wanted] = [
      noiseGuess(x, sigma, BOTH),
      noiseGuess(x, sigma, UP),
    ];
    return away + w * (wanted - away);
  },
  height: (x: number, sigma: number) => {
    const [away, wanted] = [
      noiseGuess(x, sigma, DOWN),
      noiseGuess(x, sigma, BOTH),
    ];
    return away + w * (wanted - away);
  },
});
const heights = [1, 2, 4].map((w) => ({
  w,
  up:
    Array.from(starts, (start) =>
      flow(withNegative(w).height, 80 * start, levels(60)),
    ).filter((value) => value > 0).length / PARTICLES,
}));
table(
  heights.map(({ w, up }) => ({
    w,
    "drawn up": `${(100 * up).toFixed(1)} %`,
  })),
  { caption: 'Asked for "right"; the negative prompt is "down"' },
);
check(
  "up, w = 1",
  heights[0]!.up,
  0.5,
  4 * Math.sqrt(0.25 / PARTICLES),
);
// The flow keeps the order of its starts. So "up" is drawn from all starts above the one that ends at 0.
const startThatEndsAtZero = (w: number) => {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (flow(withNegative(w).height, 80 * middle, levels(60)) > 0)
      high = middle;
    else low = middle;
  }
  return low;
};
const border = startThatEndsAtZero(4);
const above = Array.from(
  { length: 4000 },
  (_, i) => border + (i + 0.5) / 400,
);
const shareAbove = above.reduce(
  (sum, z) => sum + density(z, 0, 1) / 400,
  0,
);
check(
  "up, w = 4",
  heights[2]!.up,
  shareAbove,
  4 * Math.sqrt((shareAbove * (1 - shareAbove)) / PARTICLES),
);
const rights = Array.from(starts, (start) =>
  flow(withNegative(4).side, 80 * start, levels(60)),
).filter((value) => value > 0).length;
check("right, w = 4", rights / PARTICLES, 1, 0);

// %% [markdown]
// At $w = 1$ a negative prompt does nothing at all: the formula cancels it. It needs $w > 1$, and then it is as strong
// as the wish.
//
// ## Three repairs
//
// **Rescale.** A difference times $w$ makes the answer larger than any answer in training, and pictures too bright.
// [Lin et al. (2023)](https://arxiv.org/abs/2305.08891), equations 15 and 16, scale it back to the standard deviation
// $\sigma_c$ of the conditional answer, by a share $\varphi$.

// %%
const conditional = noise.at("c").normal([1, 4096]) as tf.Tensor2D;
const unconditional = conditional.add<tf.Tensor2D>(
  noise.at("u").normal([1, 4096]).mul(0.4),
);
const far = guide(unconditional, conditional, 7);
const spread = (x: tf.Tensor) =>
  Math.sqrt(tf.moments(x).variance.dataSync()[0]!);
const [before, want, phi] = [spread(far), spread(conditional), 0.7];
const rescaled = rescaleGuidance(far, conditional, phi);
show(
  `deviation ${want.toFixed(2)} grows to ${before.toFixed(2)} at w = 7`,
);
// Single precision: 2⁻²⁴ of sums over 4096 numbers.
check(
  "deviation after rescaling",
  spread(rescaled),
  phi * want + (1 - phi) * before,
  1e-5,
);
check(
  "fully rescaled",
  spread(rescaleGuidance(far, conditional, 1)),
  want,
  1e-5,
);

// %% [markdown]
// **Interval.** Guidance at the highest noise levels decides between whole compositions, and takes variety away. At
// the lowest it changes nothing. [Kynkäänniemi et al. (2024)](https://arxiv.org/abs/2404.07724) guide in the middle
// only. In our Gaussian world, guide with $w = 2$ below $\sigma = 1$ only. Down to there the flow keeps the true
// deviation $\sqrt{\tfrac14 + 1}$. From there, the integral above gives the rest.

// %%
const inInterval = (x: number, sigma: number) =>
  pull(sigma <= 1 ? 2 : 1)(x, sigma);
const fromOne = flow(pull(2), Math.sqrt(0.25 + 1), levels(2000, 1));
const byIntegral =
  Math.sqrt(1.25) * (1 / 2) ** ((1 - 2) / 2) * (0.25 / 1.25) ** (2 / 2);
check("guided below σ = 1, from there", fromOne, byIntegral, 1e-5);
const sigmas = [
  ...levels(2000, 80, 1).slice(0, -1),
  ...levels(2000, 1).slice(1),
];
check(
  "guided below σ = 1, all the way",
  flow(inInterval, Math.sqrt(0.25 + 80 ** 2), sigmas),
  byIntegral,
  2e-4,
);

// %% [markdown]
// 0.316 is nearer to the tilted 0.378 than 0.25 is: guidance in an interval errs less.
//
// **Autoguidance.** Part of what guidance improves has nothing to do with the sentence: it leads away from what the
// network does badly. [Karras et al. (2024)](https://arxiv.org/abs/2406.02507) therefore lead away from a *worse
// version of the same network*, with the same sentence. Let the data be $\mathcal N(0, 0.3^2)$. A good network believes
// in a deviation of 0.4, a bad one in 0.6. By the same integral, the flow that is guided away from the bad one ends at
// $0.4^w \cdot 0.6^{1-w}$. Solve this for 0.3.

// %%
const [truth, good, bad] = [0.3, 0.4, 0.6];
const autoScale = Math.log(truth / bad) / Math.log(good / bad);
const believed = (deviation: number) => (x: number, sigma: number) =>
  (sigma / (deviation ** 2 + sigma ** 2)) * x;
const autoguided = (x: number, sigma: number) =>
  believed(bad)(x, sigma) +
  autoScale * (believed(good)(x, sigma) - believed(bad)(x, sigma));
show(`w = ${autoScale.toFixed(3)}`);
check(
  "good network alone",
  flow(believed(good), Math.sqrt(good ** 2 + 6400), levels(2000)),
  good,
  1e-4,
);
check("autoguided", flow(autoguided, 80, levels(2000)), truth, 1e-4);

// %% [markdown]
// The two networks together draw what neither of them knows. It works because their errors point the same way, and it
// takes no variety away. In the library both are `guidedNetwork`, which goes into any sampler. Here it is in DDIM,
// against our own loop over the same plan:

// %%
const scheduler = new DDIMScheduler({ timestep_spacing: "trailing" });
const { alphaBar } = scheduler;
const networkFor =
  (deviation: number): Network<tf.Tensor2D> =>
  (x, [t]) =>
    tf.tidy(() => {
      const a = alphaBar[t!]!;
      // Best guess of x₀ in N(0, deviation²), and the noise that follows from it.
      const x0 = x.mul(
        (Math.sqrt(a) * deviation ** 2) / (a * deviation ** 2 + 1 - a),
      );
      return x.sub(x0.mul(Math.sqrt(a))).div(Math.sqrt(1 - a));
    });
const plan = scheduler.plan(50);
const begin = noise.at("begin").normal([6, 1]) as tf.Tensor2D;
const drawn = runPlan(
  plan,
  guidedNetwork({
    network: networkFor(good),
    awayFrom: networkFor(bad),
    scale: autoScale,
  }),
  begin,
  noise,
);
const ours = Array.from(begin.dataSync(), (start) => {
  let x = start;
  plan.timesteps.forEach((t, i) => {
    const a = alphaBar[t]!;
    const next =
      i + 1 < plan.timesteps.length
        ? alphaBar[plan.timesteps[i + 1]!]!
        : 1;
    const noiseIn = (deviation: number) =>
      (x * Math.sqrt(1 - a)) / (a * deviation ** 2 + 1 - a);
    const epsilon =
      noiseIn(bad) + autoScale * (noiseIn(good) - noiseIn(bad));
    const x0 = (x - Math.sqrt(1 - a) * epsilon) / Math.sqrt(a);
    x = Math.sqrt(next) * x0 + Math.sqrt(1 - next) * epsilon;
  });
  return x;
});
check(
  "guidedNetwork in DDIM, against our loop",
  Math.max(
    ...ours.map((value, i) => Math.abs(value - drawn.dataSync()[i]!)),
  ),
  0,
  5e-6, // 50 steps in single precision
);

// %% [markdown]
// ## Accuracy against variety
//
// Back to portraits. A classifier that was trained on real pictures only reads what the drawn ones show. The variety
// is the mean distance between two pictures for the same sentence.

// %%
const classifier = await loadClassifier(
  packagePath("weights", "portraits-classifier"),
);
const measured: { w: number; right: number; variety: number }[] = [];
for (const [i, w] of SCALES.entries()) {
  const pictures = toSigned(sheets[i]!);
  const read = await classifier.read(pictures);
  const right = read.flatMap(({ mouth, hair, hairColor, eyewear }) => [
    mouth === "smiling",
    hair === "long",
    hairColor === "blonde",
    eyewear === "glasses",
  ]);
  const rows = pictures.reshape<tf.Tensor2D>([8, -1]);
  const distances = rows
    .expandDims(0)
    .sub(rows.expandDims(1))
    .square()
    .mean(2)
    .sqrt()
    .dataSync() as Float32Array;
  measured.push({
    w,
    right: right.filter(Boolean).length / right.length,
    variety: distances.reduce((sum, value) => sum + value, 0) / (8 * 7),
  });
}
table(
  measured.map(({ w, right, variety }) => ({
    w,
    "attributes as asked": `${(100 * right).toFixed(0)} %`,
    variety,
  })),
  { caption: "Eight portraits at each guidance scale", digits: 3 },
);
check("attributes as asked, w = 3", measured[2]!.right, 1, 0);
check(
  "fewer of them with w = 1",
  Number(measured[0]!.right < measured[2]!.right),
  1,
  0,
);
check(
  "less variety with w = 7 than with w = 1",
  Number(measured[3]!.variety < measured[0]!.variety),
  1,
  0,
);
classifier.dispose();
pipeline.dispose();

// %% [markdown]
// ## Take along
//
// - The difference of a conditional and an unconditional answer is the gradient of a classifier.
// - Guidance multiplies it by $w$. That removes what could be something else, and takes variety away.
// - It does not draw from $p(x)\,p(c \mid x)^w$. What it draws depends on the sampler.
// - A negative prompt is another place to lead away from. It does nothing at $w = 1$.
// - Rescale, an interval, and a worse version of the network repair some of the harm.
//
// To read next: [the model's own figures](../portraits.md) for many scales.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 10`. Each exercise is
// judged on its own. The [solutions](./solutions/10-guidance.md) are on a page of their own.
//
// **1.** The answer without a sentence is 0.2, with it 0.5. What is the guided answer at $w = 7.5$?

// %%
const guidedAnswer: Answer = todo;
await exercise("guided answer", guidedAnswer);

// %% [markdown]
// **2.** In the Gaussian world above, at which $w$ does the flow draw a deviation of $1/16$?

// %%
const strongScale: Answer = todo;
await exercise("scale of the flow", strongScale);

// %% [markdown]
// **3.** *Predict, then run.* Ask the negative prompt's world for "up" with the negative prompt "up". Which share of
// the points is drawn up, with $w = 4$?

// %%
const contradiction = (x: number, sigma: number) => {
  const [away, wanted] = [
    noiseGuess(x, sigma, UP),
    noiseGuess(x, sigma, UP),
  ];
  return away + 4 * (wanted - away);
};
const drawnUp =
  Array.from(starts, (start) =>
    flow(contradiction, 80 * start, levels(60)),
  ).filter((value) => value > 0).length / PARTICLES;
const prediction: Answer = todo;
predict("share drawn up", prediction, drawnUp, 0.03);

// %% [markdown]
// **4.** *Write a function.* Guidance for a denoiser that answers with $x_0$ and not with noise:
// `(x0, x0OfSentence, w) => …`, for numbers. Is it another formula?

// %%
type GuideX0 = (x0: number, x0OfSentence: number, w: number) => number;
const guideX0: Answer<GuideX0> = todo;
await exercise("guidance of x₀", guideX0);

// %% [markdown]
// **5.** *Find the fault.* This was meant to guide away from a negative prompt.

// %%
const guideAway = (wanted: number, unwanted: number, w: number) =>
  wanted + w * (wanted + unwanted);
await repair("away from a prompt", guideAway);
