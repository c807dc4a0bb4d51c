// %% [markdown]
// # The best denoiser
//
// **You are handed a noisy picture and asked for the clean one. What is the best answer?**
//
// Not "what would a good network say": what is the best answer that *anyone* could give? It exists,
// it has a formula, and for a small collection of pictures we can compute it exactly. Training a
// diffusion model means to come near it. So we look at the goal first and at networks later.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { DDPMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { faceBatch } from "../datasets/faces/index.js";
import {
  check,
  exercise,
  image,
  plot,
  predict,
  repair,
  table,
  todo,
  type Answer,
} from "../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2027);
const scheduler = new DDPMScheduler({
  beta_schedule: "squaredcos_cap_v2",
});
const { alphaBar } = scheduler;

// %% folded
{
  const [BLUE, ORANGE] = ["#4269d0", "#d97706"];
  const pictures = [
    { x: -1.2, y: 0.9, chance: 0.08 },
    { x: 1.3, y: 1.1, chance: 0.52 },
    { x: 1.1, y: -0.9, chance: 0.35 },
    { x: -0.9, y: -1, chance: 0.05 },
  ];
  type Known = (typeof pictures)[number];
  const seen = { x: 0.25, y: 0.05 };
  const mean = {
    x: pictures.reduce((all, p) => all + p.chance * p.x, 0),
    y: pictures.reduce((all, p) => all + p.chance * p.y, 0),
  };
  const label = (
    { x, y }: { x: number; y: number },
    text: string,
    fill: string,
    dy = -14,
  ) => Plot.text([text], { x, y, dy, fill, fontSize: 13 });
  plot({
    caption:
      "Four pictures (blue), each a point. The larger, the likelier it is behind the noisy one. The best answer (orange) lies between them.",
    height: 300,
    axis: null,
    x: { domain: [-1.8, 1.8] },
    y: { domain: [-1.5, 1.6] },
    r: { type: "linear", domain: [0, 1], range: [0, 30] },
    marks: [
      Plot.link(pictures, {
        x1: seen.x,
        y1: seen.y,
        x2: "x",
        y2: "y",
        stroke: BLUE,
        strokeOpacity: 0.5,
        strokeDasharray: "4 4",
      }),
      Plot.dot(pictures, {
        x: "x",
        y: "y",
        r: ({ chance }: Known) => chance,
        fill: BLUE,
      }),
      Plot.dot([seen], {
        x: "x",
        y: "y",
        r: 6,
        stroke: "currentColor",
        fill: "none",
        strokeWidth: 2,
      }),
      Plot.dot([mean], { x: "x", y: "y", r: 7, fill: ORANGE }),
      label(seen, "what we see", "currentColor", 18),
      label(mean, "the best answer", ORANGE, -18),
    ],
  });
}

// %% [markdown]
// From [chapter 1](./01-forward-noising.md) we know how $x_t$ was made:
// $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$. "Best" shall mean:
// smallest squared error on average, over all pictures $x_0$ and all noise,
//
// $$ \mathbb E\,\bigl\| x_0 - D(x_t) \bigr\|^2 . $$
//
// ## A world of two pictures
//
// Let a picture be one number, and let there be two pictures: $-1$ and $+1$, equally likely. We see a noisy $x$. Which
// was it? By Bayes, the chance of $+1$ is
//
// $$ p = \frac{p_+}{p_+ + p_-}, \qquad p_\pm = e^{-(x \mp \sqrt{\bar\alpha})^2 / 2(1-\bar\alpha)} . $$
//
// If we answer $D$, the expected squared error is $p\,(1 - D)^2 + (1-p)\,(-1-D)^2$. Its derivative
// is zero at $D = p\cdot 1 + (1-p)\cdot(-1)$. **The best answer is the mean of what it could have
// been**, each weighted with its chance: the *posterior mean* $\mathbb E[x_0 \mid x_t]$. Insert
// $p$, and it is
//
// $$ D(x) = \tanh\!\left( \frac{\sqrt{\bar\alpha}\; x}{1 - \bar\alpha} \right) . $$

// %%
const posteriorMean = (x: number, a: number) =>
  Math.tanh((Math.sqrt(a) * x) / (1 - a));

const density = (x: number, mean: number, variance: number) =>
  Math.exp(-((x - mean) ** 2) / (2 * variance));
const plus = density(0.4, Math.sqrt(0.5), 0.5);
const minus = density(0.4, -Math.sqrt(0.5), 0.5);
check(
  "Bayes against tanh, at x = 0.4",
  (plus - minus) / (plus + minus),
  posteriorMean(0.4, 0.5),
  1e-12,
);

// %% [markdown]
// Nobody needs to know Bayes to find this. Make 200,000 pairs (clean, noisy), sort them into bins
// by the noisy number, and take in each bin the mean of the clean ones. That is what a network does
// that is trained on squared error: it cannot know *which* clean picture it was, so it learns the
// mean of those that look like this.

// %%
const shares = [0.98, 0.8, 0.5, 0.1];
const BINS = 40;
const learned = shares.flatMap((a) => {
  const sum = new Float64Array(BINS);
  const count = new Float64Array(BINS);
  const random = noise.at("two pictures").random();
  const gauss = noise
    .at("two pictures", "noise")
    .normal([200_000])
    .dataSync();
  for (const epsilon of gauss) {
    const clean = random.integer(2) === 0 ? -1 : 1;
    const x = Math.sqrt(a) * clean + Math.sqrt(1 - a) * epsilon;
    const bin = Math.floor(((x + 2) / 4) * BINS);
    if (bin < 0 || bin >= BINS) continue;
    sum[bin]! += clean;
    count[bin]! += 1;
  }
  return Array.from(sum, (total, bin) => ({
    a: `ᾱ = ${a}`,
    x: ((bin + 0.5) / BINS) * 4 - 2,
    guess: total / count[bin]!,
    seen: count[bin]!,
  }));
});

// In units of its standard error, a bin's mean is off by 1, on average over many bins. (Not for
// ᾱ = 0.98: there the guess turns from −1 to +1 within two bins.)
const surprises = shares.slice(1).flatMap((a) =>
  learned
    .filter((bin) => bin.a === `ᾱ = ${a}` && bin.seen > 100)
    .map(({ x, guess, seen }) => {
      const formula = posteriorMean(x, a);
      return ((guess - formula) ** 2 * seen) / (1 - formula ** 2);
    }),
);
check(
  "mean square error of the bins, in standard errors",
  surprises.reduce((total, surprise) => total + surprise) /
    surprises.length,
  1,
  4 * Math.sqrt(2 / surprises.length),
);

// %% folded
const colors = {
  domain: shares.map((a) => `ᾱ = ${a}`),
  range: ["#2f9e58", "#c2410c", "#d99a06", "#4269d0"],
};
const exact = shares.flatMap((a) =>
  Array.from({ length: 201 }, (_, i) => ({
    a: `ᾱ = ${a}`,
    x: i / 50 - 2,
    guess: posteriorMean(i / 50 - 2, a),
  })),
);
plot({
  caption:
    "The best guess: the formula (lines) and the means over 200,000 pairs (dots), for four depths of noise.",
  x: { label: "noisy x", grid: true },
  y: { label: "guess", grid: true },
  color: colors,
  marks: [
    Plot.line(exact, {
      x: "x",
      y: "guess",
      stroke: "a",
      strokeWidth: 2,
    }),
    Plot.dot(
      learned.filter(({ seen }) => seen > 100),
      { x: "x", y: "guess", fill: "a", r: 3 },
    ),
    Plot.text(
      shares.map((a, i) => ({
        a: `ᾱ = ${a}`,
        x: 1.2,
        y: -0.4 - 0.12 * i,
      })),
      {
        x: "x",
        y: "y",
        text: "a",
        fill: "a",
        textAnchor: "start",
        fontSize: 14,
      },
    ),
  ],
});

// %% [markdown]
// With little noise ($\bar\alpha = 0.98$) the guess is a decision: left is $-1$, right is $+1$.
// With much noise ($\bar\alpha = 0.1$) it is a shrug: stay near 0, the mean of both. A guess of 0.3
// is no picture of this world at all. That is not a flaw: it is the best answer to the question
// that was asked. Remember it when you see blurred faces below.
//
// ## A world of 64 faces
//
// The same with faces. Let the world hold exactly $K = 64$ of them, $x^{(1)}, \dots, x^{(K)}$. The
// chance of each, given what we see, is a softmax over squared distances, and the best denoiser is
// the weighted mean:
//
// $$ \begin{aligned}
//    w_k &= \operatorname{softmax}_k\!\left( -\frac{\| x_t - \sqrt{\bar\alpha_t}\, x^{(k)} \|^2}{2 (1 - \bar\alpha_t)} \right), \\
//    D(x_t, t) &= \sum_k w_k\, x^{(k)} .
//    \end{aligned} $$
//
// (Does this remind you of attention? The noisy picture is the query, the album holds keys and values.)

// %%
const K = 64;
const album = tf.tensor2d(
  faceBatch(Array(K).keys(), { seed: 7, split: "train" }).pixels,
  [K, 768],
);

/** Chances of the album's faces, [B, K], for noisy pictures [B, 768] of timestep `t`. */
const chances = (x: tf.Tensor2D, t: number): tf.Tensor2D =>
  tf.tidy(() => {
    const a = alphaBar[t]!;
    // |x - m|² = |x|² - 2 x·m + |m|², and the softmax does not see what is the same for all k.
    const means = album.mul<tf.Tensor2D>(Math.sqrt(a));
    const logits = tf
      .matMul(x, means, false, true)
      .mul(2)
      .sub(means.square().sum(1))
      .div(2 * (1 - a));
    return tf.softmax(logits as tf.Tensor2D);
  });
const best = (x: tf.Tensor2D, t: number): tf.Tensor2D =>
  tf.tidy(() => tf.matMul(chances(x, t), album));

// The same with plain numbers, face by face, for a picture of pure noise as seen at t = 900.
const someNoise = noise
  .at("plain numbers")
  .normal([1, 768]) as tf.Tensor2D;
const someNumbers = someNoise.dataSync();
const someShare = alphaBar[900]!;
const exponents = album.arraySync().map((face) => {
  const squares = face.map(
    (m, i) => (someNumbers[i]! - Math.sqrt(someShare) * m) ** 2,
  );
  return (
    -squares.reduce((total, square) => total + square) /
    (2 * (1 - someShare))
  );
});
const largestExponent = Math.max(...exponents);
const factors = exponents.map((exponent) =>
  Math.exp(exponent - largestExponent),
);
const total = factors.reduce((sum, factor) => sum + factor);
const byTensors = chances(someNoise, 900).dataSync();
check(
  "chances by plain numbers, largest difference",
  Math.max(
    ...factors.map((factor, k) =>
      Math.abs(factor / total - byTensors[k]!),
    ),
  ),
  0,
  1e-4,
);

// %%
const depths = [100, 300, 500, 700, 800, 900, 999];
const subject = album.slice([5, 0], [1, 768]);
const oneNoise = noise.at("one face").normal([1, 768]) as tf.Tensor2D;
const seen = depths.map(
  (t) => scheduler.addNoise(subject, oneNoise, [t]) as tf.Tensor2D,
);
const guessed = depths.map((t, i) => best(seen[i]!, t));
await image(
  tf
    .concat([...seen, ...guessed])
    .reshape([2 * depths.length, 16, 16, 3]),
  {
    caption: `Above: a face at t = ${depths.join(", ")}. Below: the best guess at it.`,
    columns: depths.length,
    scale: 5,
  },
);

// %% [markdown]
// Astonishing: at $t = 700$ nobody would call that a face, and the guess is perfect. A picture has
// 768 numbers, and they all testify. Against only 64 suspects that is overwhelming evidence. Only
// when the noise is very thick does the guess blur into a mean of several faces, and at the very
// end into the mean of all.
//
// How many suspects are left? The entropy of the chances tells: $e^{H(w)}$ is 1 for certainty and 64 for ignorance.

// %%
const suspects = (t: number) =>
  tf.tidy(() => {
    const x = scheduler.addNoise(
      album,
      noise.at("suspects", t).normal([K, 768]),
      Array<number>(K).fill(t),
    ) as tf.Tensor2D;
    const w = chances(x, t);
    const entropy = w.mul(w.add(1e-30).log()).sum(1).neg();
    return entropy.exp().mean().dataSync()[0]!;
  });

// %% [markdown]
// *Predict, then run.* At $t = 800$ the guess was still nearly perfect. How many of the 64 faces come
// into question at $t = 900$? The plot below tells.

// %%
const prediction: Answer = todo;
predict("suspects at t = 900", prediction, suspects(900), 5);

// %% folded
const certainty = Array.from({ length: 50 }, (_, i) => ({
  t: 20 * i + 19,
  suspects: suspects(20 * i + 19),
}));
plot({
  caption:
    "How many of the 64 faces still come into question, on average.",
  x: { label: "t", grid: true },
  y: { label: "suspects", grid: true, domain: [0, 64] },
  marks: [
    Plot.line(certainty, {
      x: "t",
      y: "suspects",
      stroke: "#4269d0",
      strokeWidth: 2,
    }),
    Plot.ruleY([1], { strokeDasharray: "4 4" }),
  ],
});
check("suspects at t = 19", certainty[0]!.suspects, 1, 1e-4);
// The exponents differ by less than the share of the picture, 2 in 100,000: all 64 are left.
check("suspects at t = 999", suspects(999), 64, 0.1);
const perfect = best(seen[3]!, depths[3]!).sub(subject).abs().max();
check(
  "guess at t = 700, largest error",
  perfect.dataSync()[0]!,
  0,
  1e-3,
);
const lastGuess = best(
  noise.at("end").normal([1, 768]) as tf.Tensor2D,
  999,
);
check(
  "guess at t = 999, from the album's mean",
  lastGuess.sub(album.mean(0)).abs().max().dataSync()[0]!,
  0,
  0.02,
);

// %% [markdown]
// All that must be decided is decided in one stretch of time, and it is decided between *faces*, not between pixels. A
// sampler walks through this curve from right to left.
//
// ## Is it really the best?
//
// Let us bring rivals. One always names the likeliest face (sharp, never blurred). One just scales
// the noise-ridden picture back, $x_t/\sqrt{\bar\alpha_t}$. One always answers with the mean of the
// album. And one plays a trick: the best guess, 10 % more contrast.

// %%
const rivals = {
  best,
  "likeliest face": (x, t) => tf.gather(album, chances(x, t).argMax(1)),
  "scaled back": (x, t) => x.div(Math.sqrt(alphaBar[t]!)),
  "the mean face": (x) => tf.tile(album.mean(0, true), [x.shape[0], 1]),
  "more contrast": (x, t) => best(x, t).mul(1.1),
} satisfies Record<string, (x: tf.Tensor2D, t: number) => tf.Tensor>;

/** Mean squared error per number, over `rounds` noisy copies of the album. */
function errorOf(
  denoise: (x: tf.Tensor2D, t: number) => tf.Tensor,
  t: number,
  rounds = 8,
): number {
  return tf.tidy(() => {
    const clean = tf.tile(album, [rounds, 1]);
    const x = scheduler.addNoise(
      clean,
      noise.at("rivals", t).normal(clean.shape),
      Array<number>(K * rounds).fill(t),
    );
    return denoise(x as tf.Tensor2D, t)
      .sub(clean)
      .square()
      .mean()
      .dataSync()[0]!;
  });
}
const contest = [700, 850, 900, 940, 980].map((t) => ({
  t,
  ...(Object.fromEntries(
    Object.entries(rivals).map(([name, rival]) => [
      name,
      errorOf(rival, t),
    ]),
  ) as Record<keyof typeof rivals, number>),
}));
table(contest, {
  caption: "Mean squared error of five denoisers",
  digits: 3,
});
for (const { t, best, ...others } of contest.slice(1)) {
  check(
    `smallest error at t = ${t} is the best guess's`,
    Math.min(best, ...Object.values(others)),
    best,
    0,
  );
}

// Two of the errors are known beforehand. The mean face is off by the album's own variance; scaling
// back leaves the noise, of variance (1 - ᾱ) / ᾱ, here in the mean of 393,216 squares.
const atTheStart = contest[0]!;
const variance = tf.moments(album, 0).variance.mean().dataSync()[0]!;
check(
  "error of the mean face",
  atTheStart["the mean face"],
  variance,
  1e-5,
);
check(
  "error of scaling back, times SNR",
  (atTheStart["scaled back"] * alphaBar[700]!) / (1 - alphaBar[700]!),
  1,
  4 * Math.sqrt(2 / (8 * K * 768)),
);
// 10 % more contrast: with the guess nearly right, a tenth of the picture is the error.
check(
  "error of more contrast",
  atTheStart["more contrast"],
  0.01 * album.square().mean().dataSync()[0]!,
  1e-4,
);

// %% [markdown]
// Sharpness does not pay: when the likeliest face is the wrong one, the error is large, and the
// blurred mean hedges against that. There is a theorem behind it, Pythagoras for random variables:
// the error of the posterior mean is uncorrelated with anything one could compute from $x_t$. Hence
// for *any* rival $R$
//
// $$ \mathbb E\|x_0 - R\|^2 = \mathbb E\|x_0 - D\|^2 + \mathbb E\|D - R\|^2 . $$
//
// For the likeliest face at $t = 900$ we count both sides. We have 64 faces with 32 noises each.
// The two sides differ by twice the mean of $(x_0 - D)\cdot(D - R)$ over these 2048 draws; its
// standard error is the tolerance, times four.

// %%
const sides = tf.tidy(() => {
  const t = 900;
  const clean = tf.tile(album, [32, 1]);
  const x = scheduler.addNoise(
    clean,
    noise.at("sides").normal(clean.shape),
    Array<number>(clean.shape[0]).fill(t),
  ) as tf.Tensor2D;
  const D = best(x, t);
  const R = rivals["likeliest face"](x, t);
  const perDraw = (y: tf.Tensor) =>
    y.mean(1).dataSync() as Float32Array;
  const cross = perDraw(clean.sub(D).mul(D.sub(R)).mul(2));
  const meanOf = (values: Float32Array) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const standardError = Math.sqrt(
    meanOf(cross.map((value) => value ** 2)) / cross.length,
  );
  return {
    cross: meanOf(cross),
    left: meanOf(perDraw(clean.sub(R).square())),
    right:
      meanOf(perDraw(clean.sub(D).square())) +
      meanOf(perDraw(D.sub(R).square())),
    standardError,
  };
});
// |x₀ − R|² = |x₀ − D|² + |D − R|² + 2 (x₀ − D)(D − R) holds for each draw, up to rounding.
check("binomial formula", sides.left, sides.right + sides.cross, 1e-6);
check(
  "Pythagoras at t = 900",
  sides.left,
  sides.right,
  4 * sides.standardError,
);

// %% [markdown]
// ## One guess, three languages
//
// A network need not answer with the picture. It may as well name the noise, or a mixture, because
// with $x_t$ at hand each tells the others:
//
// $$ \hat\varepsilon = \frac{x_t - \sqrt{\bar\alpha}\,\hat x_0}{\sqrt{1-\bar\alpha}}, \qquad
//    \hat v = \sqrt{\bar\alpha}\,\hat\varepsilon - \sqrt{1-\bar\alpha}\,\hat x_0 . $$
//
// Picture $x_0$ and noise $\varepsilon$ are two axes at right angles; $x_t$ is a unit arrow between
// them at the angle $\varphi$ with $\cos\varphi = \sqrt{\bar\alpha}$, and the *velocity* $v$
// ([Salimans and Ho 2022](https://arxiv.org/abs/2202.00512)) is $x_t$ turned by 90°: where the
// arrow heads when the noise grows. All three maps are straight lines, and the mean of a straight
// line is the line of the mean. So the best $\varepsilon$ and the best $v$ belong to the best
// $x_0$: one optimum, three languages.

// %%
const t = 600;
const share = Math.sqrt(alphaBar[t]!);
const rest = Math.sqrt(1 - alphaBar[t]!);
const x0 = album.slice([0, 0], [8, 768]);
const epsilon = noise.at("views").normal([8, 768]);
const eight = Array<number>(8).fill(t);
const xt = scheduler.addNoise(x0, epsilon, eight);
const v = scheduler.velocity(x0, epsilon, eight);
const largest = (y: tf.Tensor) => y.abs().max().dataSync()[0]!;
// Numbers up to 5, in single precision (2⁻²⁴ of them is lost at each operation): a few millionths.
check(
  "√ᾱ x_t − √(1−ᾱ) v is the picture",
  largest(xt.mul(share).sub(v.mul(rest)).sub(x0)),
  0,
  3e-6,
);
check(
  "√(1−ᾱ) x_t + √ᾱ v is the noise",
  largest(xt.mul(rest).add(v.mul(share)).sub(epsilon)),
  0,
  3e-6,
);

// %% [markdown]
// The optimum is one, but the *errors* on the way there do not weigh the same. A mistake of
// $\delta$ in $\hat x_0$ is a mistake of $\delta\sqrt{\bar\alpha/(1-\bar\alpha)}$ in
// $\hat\varepsilon$ and of $\delta/\sqrt{1-\bar\alpha}$ in $\hat v$. In squares: times
// $\mathrm{SNR}$, and times $\mathrm{SNR} + 1$. Let the rival who names the likeliest face say it
// in all three.

// %%
const errors = tf.tidy(() => {
  const t = 900;
  const a = alphaBar[t]!;
  const epsilon = noise.at("languages").normal([K, 768]);
  const x = scheduler.addNoise(
    album,
    epsilon,
    Array<number>(K).fill(t),
  ) as tf.Tensor2D;
  const guess = rivals["likeliest face"](x, t);
  const guessedNoise = x
    .sub(guess.mul(Math.sqrt(a)))
    .div(Math.sqrt(1 - a));
  const guessedV = guessedNoise
    .mul(Math.sqrt(a))
    .sub(guess.mul(Math.sqrt(1 - a)));
  const trueV = scheduler.velocity(
    album,
    epsilon,
    Array<number>(K).fill(t),
  );
  const meanSquare = (error: tf.Tensor) =>
    error.square().mean().dataSync()[0]!;
  return {
    x0: meanSquare(guess.sub(album)),
    epsilon: meanSquare(guessedNoise.sub(epsilon)),
    v: meanSquare(guessedV.sub(trueV)),
    snr: a / (1 - a),
  };
});
check(
  "squared error in ε, over that in x₀",
  errors.epsilon / errors.x0,
  errors.snr,
  1e-4 * errors.snr,
);
check(
  "squared error in v, over that in x₀",
  errors.v / errors.x0,
  errors.snr + 1,
  1e-4,
);

// %% [markdown]
// So the choice of a language is a choice of which depths a network is to care about:

// %% folded
const prices = Array.from(
  { length: 100 },
  (_, i) => 10 * i + 5,
).flatMap((t) => {
  const snr = alphaBar[t]! / (1 - alphaBar[t]!);
  return [
    { t, language: "x₀", price: 1 },
    { t, language: "ε", price: snr },
    { t, language: "v", price: snr + 1 },
  ];
});
plot({
  caption:
    "What a squared error of 1 in the picture costs, when the loss is taken in each language.",
  x: { label: "t", grid: true },
  y: {
    label: "price",
    grid: true,
    type: "log",
    domain: [1e-3, 1e3],
    clamp: true,
    tickFormat: "~g",
  },
  color: {
    domain: ["x₀", "ε", "v"],
    range: ["#4269d0", "#c2410c", "#2f9e58"],
  },
  marks: [
    Plot.line(prices, {
      x: "t",
      y: "price",
      stroke: "language",
      strokeWidth: 2,
    }),
    Plot.text(
      [
        { language: "x₀", t: 120, price: 0.6 },
        { language: "ε", t: 800, price: 0.04 },
        { language: "v", t: 500, price: 4 },
      ],
      {
        x: "t",
        y: "price",
        text: "language",
        fill: "language",
        fontSize: 16,
      },
    ),
  ],
});

// %% [markdown]
// - A network that names the **noise** hardly cares for pictures at great depth: its price falls to
//   nothing, just where, as we
//   saw, all is decided. And from pure noise it must find the picture by dividing by a share that is nearly 0.
// - A network that names the **picture** hardly cares for the last touch, at little depth.
// - The **velocity** is never cheaper than either. It is what the model that ships with this library is trained on.
//
// ## What the network is asked to learn
//
// Now we can say it in a sentence: *look at a noisy picture and the depth, and say the mean of all
// clean pictures it could have been.* With 64 pictures, that is a softmax, and training is
// pointless. With all pictures that could be, nobody has the formula; but nobody needs it, as the
// dots on the tanh curve have shown. Draw a picture, draw noise, ask, take the squared error,
// adjust.
//
// One more thing. The exact denoiser of an album knows its 64 faces and *nothing else*. Whatever
// noise you give it, it will name one of them. If a trained network were perfect on its training
// set, it could only ever repeat it. It invents because it falls short, in the right way.
// [That is the next chapter](./03-ddpm-and-ddim.md), in which we turn a denoiser into a source of
// pictures.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 2`. Each exercise is
// judged on its own.
//
// **1.** A world of two pictures, $-1$ and $+3$, equally likely. At $\bar\alpha = 0.5$ you see
// $x = 0.7$. What is the best guess?

// %%
const bestGuess: Answer = todo;
await exercise("best guess", bestGuess);

// %% [markdown]
// **2.** At $\bar\alpha = 0.8$ a network names the noise with a root mean squared error of 0.1. How
// large is the error of the picture that follows from it?

// %%
const pictureError: Answer = todo;
await exercise("error of the picture", pictureError);

// %% [markdown]
// **3.** The *absolute* error $\mathbb E|x_0 - D|$ has another best answer: not the mean but the
// median. In the world of $-1$ and $+1$, with $\bar\alpha = 0.5$, what does such a denoiser say to
// $x = 0.1$?

// %%
const median: Answer = todo;
await exercise("the median's answer", median);

// %% [markdown]
// **4.** *Write a function.* The best guess in a world of any pictures that are single numbers, each as
// likely as any other: `(x, alphaBar, world) => …`. It is tested with next to no noise, too.

// %%
type Guess = (
  x: number,
  alphaBar: number,
  world: readonly number[],
) => number;
const guessInAnyWorld: Answer<Guess> = todo;
await exercise("a guess in any world", guessInAnyWorld);

// %% [markdown]
// **5.** *Find the fault.* This function tells the noise from a noisy number and the guess at the
// picture. At $\bar\alpha = 0.5$ it is right.

// %%
const noiseOf = (x: number, guess: number, a: number) =>
  (x - Math.sqrt(1 - a) * guess) / Math.sqrt(a);
await repair("the noise that is not there", noiseOf);
