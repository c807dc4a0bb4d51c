// %% [markdown]
// # DDPM and DDIM
//
// **We own a machine that looks at noise and says which picture it might hide. How do we make it draw?**
//
// Hand it pure noise and ask: it answers with the mean of all pictures, a grey blur. That is the
// honest answer, and a poor picture. The trick of all diffusion models is not to *go* where it
// points, but to take a small step *towards* it, and then to ask again. After the step there is a
// little less noise, so the next answer is a little less of a blur. The blur makes up its mind on
// the way.
//
// This chapter derives two ways to take that step. Then it draws: first with the exact denoiser of
// [chapter 2](./02-the-best-denoiser.md), where we can check everything, and in the end with a
// network that was trained.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import {
  PixelDiffusionPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import type { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import {
  DDIMScheduler,
  DDPMScheduler,
  keyedNoise,
  schedulerFromConfig,
  variationalBound,
  type NoiseSource,
  type Plan,
} from "@tfjs-diffusion/schedulers";
import { faceBatch } from "../datasets/faces/index.js";
import {
  check,
  exercise,
  image,
  plot,
  predict,
  reproduce,
  table,
  todo,
  type Answer,
  type Points,
} from "../src/chapter/index.js";
import { packagePath } from "../src/package-folder.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2028);
const config = {
  beta_schedule: "squaredcos_cap_v2",
  prediction_type: "sample",
  clip_sample: false,
  timestep_spacing: "trailing",
} as const;
const ddpm = new DDPMScheduler(config);
const { alphaBar } = ddpm;
const T = alphaBar.length;

// %% folded
{
  const [BLUE, ORANGE] = ["#4269d0", "#d97706"];
  const way = [
    { x: 0, y: 1.9, guessX: 0.1, guessY: -0.2 },
    { x: 0.06, y: 1.3, guessX: 0.5, guessY: -0.3 },
    { x: 0.25, y: 0.75, guessX: 0.9, guessY: -0.5 },
    { x: 0.52, y: 0.25, guessX: 1.15, guessY: -0.7 },
    { x: 0.85, y: -0.25, guessX: 1.2, guessY: -0.75 },
    { x: 1.2, y: -0.75, guessX: 1.2, guessY: -0.75 },
  ];
  const steps = way.slice(1).map((to, i) => ({ from: way[i]!, to }));
  type Step = (typeof steps)[number];
  const pictures = [
    [-1.2, -0.75],
    [1.2, -0.75],
  ];
  plot({
    caption:
      "From noise (above) to one of two pictures. At each point the machine's guess (dashed) is a blur of both. A small step (blue) goes towards it, and the next guess is clearer.",
    height: 320,
    axis: null,
    x: { domain: [-1.7, 1.7] },
    y: { domain: [-1.1, 2.2] },
    marks: [
      Plot.link(way.slice(0, -1), {
        x1: "x",
        y1: "y",
        x2: "guessX",
        y2: "guessY",
        stroke: ORANGE,
        strokeDasharray: "4 4",
        strokeOpacity: 0.8,
      }),
      Plot.dot(way.slice(0, -1), {
        x: "guessX",
        y: "guessY",
        r: 4,
        fill: ORANGE,
      }),
      Plot.arrow(steps, {
        x1: ({ from }: Step) => from.x,
        y1: ({ from }: Step) => from.y,
        x2: ({ to }: Step) => to.x,
        y2: ({ to }: Step) => to.y,
        stroke: BLUE,
        strokeWidth: 2.5,
        headLength: 7,
      }),
      Plot.dot(pictures, {
        r: 8,
        stroke: "currentColor",
        strokeWidth: 2,
      }),
      Plot.text(pictures, {
        text: () => "a picture",
        dy: 22,
        fontSize: 13,
        fill: "currentColor",
      }),
      Plot.text([[0, 1.9]], {
        text: () => "noise",
        dy: -14,
        fontSize: 13,
        fill: "currentColor",
      }),
    ],
  });
}

// %% [markdown]
// (`prediction_type: "sample"` says that our denoiser answers with the picture $x_0$; `clip_sample`
// would cut its answers to $[-1, 1]$, which ours never leave; `"trailing"` lets every plan, however
// short, begin at the noisiest depth.)
//
// ## One step back, if we knew the picture
//
// Forwards, $x_t$ comes from $x_{t-1}$ by a known Gaussian step. Backwards it does not: many
// $x_{t-1}$ could have led here. But if somebody told us $x_0$, Bayes would do the rest. The chance
// of $x_{t-1}$ is the chance of getting there from $x_0$, times the chance of going on to $x_t$:
//
// $$ \begin{aligned}
//    q(x_{t-1} \mid x_t, x_0) \;\propto\;
//    &\underbrace{\mathcal N\bigl(x_{t-1};\, \sqrt{\bar\alpha_{t-1}}\,x_0,\, 1-\bar\alpha_{t-1}\bigr)}_{\text{from } x_0 \text{ to here}} \\
//    \cdot\; &\underbrace{\mathcal N\bigl(x_t;\, \sqrt{\alpha_t}\,x_{t-1},\, \beta_t\bigr)}_{\text{from here to } x_t}
//    \end{aligned} $$
//
// A product of two Gaussians is a Gaussian. Complete the square, and its mean and variance are
//
// $$ \begin{aligned}
//    \tilde\mu &= \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\, x_0 + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\, x_t, \\
//    \tilde\beta_t &= \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t .
//    \end{aligned} $$
//
// Do not believe it: multiply the two bells on a fine grid, and take the mean and the variance of what comes out.

// %%
/** Mean's weights for x₀ and x_t, and the variance, of the step from level `a` to the less noisy level `b`. */
function posterior(a: number, b: number) {
  const alpha = a / b;
  return {
    ofPicture: (Math.sqrt(b) * (1 - alpha)) / (1 - a),
    ofNoisy: (Math.sqrt(alpha) * (1 - b)) / (1 - a),
    variance: ((1 - b) / (1 - a)) * (1 - alpha),
  };
}

const [a, b] = [alphaBar[500]!, alphaBar[480]!];
const [picture, noisy] = [0.8, -0.3];
let [mass, first, second] = [0, 0, 0];
for (let y = -8; y <= 8; y += 0.001) {
  const fromPicture = Math.exp(
    -((y - Math.sqrt(b) * picture) ** 2) / (2 * (1 - b)),
  );
  const toNoisy = Math.exp(
    -((noisy - Math.sqrt(a / b) * y) ** 2) / (2 * (1 - a / b)),
  );
  mass += fromPicture * toNoisy;
  first += y * fromPicture * toNoisy;
  second += y ** 2 * fromPicture * toNoisy;
}
const formula = posterior(a, b);
check(
  "mean, by brute force",
  first / mass,
  formula.ofPicture * picture + formula.ofNoisy * noisy,
  1e-9,
);
check(
  "variance, by brute force",
  second / mass - (first / mass) ** 2,
  formula.variance,
  1e-9,
);

// %% [markdown]
// ## DDPM: put the guess in its place
//
// Nobody tells us $x_0$. So [Ho, Jain and Abbeel](https://arxiv.org/abs/2006.11239) put the best
// guess there, $D(x_t, t)$, and draw from the Gaussian:
//
// $$ x_{t-1} = \tilde\mu\bigl(x_t, D(x_t, t)\bigr) + \sqrt{\tilde\beta_t}\; z, \qquad z \sim \mathcal N(0, 1). $$
//
// The thinner the layers, the nearer this is to the exact way back, and in the limit it is exact,
// whatever the pictures are. Here is the denoiser of chapter 2 for a world of 64 faces.

// %%
const K = 64;
const album = tf.tensor2d(
  faceBatch(Array(K).keys(), { seed: 7, split: "train" }).pixels,
  [K, 768],
);

function best(x: tf.Tensor2D, t: number): tf.Tensor2D {
  return tf.tidy(() => {
    const means = album.mul<tf.Tensor2D>(Math.sqrt(alphaBar[t]!));
    const logits = tf
      .matMul(x, means, false, true)
      .mul(2)
      .sub(means.square().sum(1))
      .div(2 * (1 - alphaBar[t]!));
    return tf.matMul(tf.softmax(logits as tf.Tensor2D), album);
  });
}

// The same with distances written out, for noise as seen at t = 900.
const spot = noise.at("spot").normal([1, 768]) as tf.Tensor2D;
const written = tf.tidy(() => {
  const a = alphaBar[900]!;
  const distance = spot
    .sub(album.mul(Math.sqrt(a)))
    .square()
    .sum(1);
  const weights = tf.softmax(distance.neg().div(2 * (1 - a)));
  const mean = weights.expandDims(1).mul(album).sum(0);
  return mean.sub(best(spot, 900)).abs().max().dataSync()[0]!;
});
check("the guess, with distances written out", written, 0, 1e-4);

// %% [markdown]
// And here is a sampler. A *plan* lists the depths to visit, from the noisiest down; `plan.step`
// takes one step. This loop is all there is, for every method in this library.

// %%
function draw(
  plan: Plan,
  start: tf.Tensor2D,
  source: NoiseSource,
  watch?: (x: tf.Tensor2D, t: number) => void,
): tf.Tensor2D {
  let state = plan.start(start);
  for (const [i, t] of plan.timesteps.entries()) {
    watch?.(state.x as tf.Tensor2D, t);
    state = tf.tidy(() =>
      plan.step(
        state,
        best(plan.scaleInput(state.x, i) as tf.Tensor2D, t),
        i,
        source,
      ),
    );
  }
  return state.x as tf.Tensor2D;
}

// %% [markdown]
// Is `plan.step` really the formula above? Give both the same noise.

// %%
const thousand = ddpm.plan(T);
const before = noise.at("step").normal([4, 768]) as tf.Tensor2D;
const index = 499; // of 1000 steps: from t = 500 to t = 499
const after = thousand.step(
  thousand.resume(before, index),
  best(before, 500),
  index,
  noise.at("step", "z"),
).x;
const { ofPicture, ofNoisy, variance } = posterior(
  alphaBar[500]!,
  alphaBar[499]!,
);
const byHand = best(before, 500)
  .mul(ofPicture)
  .add(before.mul(ofNoisy))
  .add(noise.at("step", "z").normal([4, 768]).mul(Math.sqrt(variance)));
const largest = (y: tf.Tensor) => y.abs().max().dataSync()[0]!;
check(
  "plan.step against the formula, largest difference",
  largest(after.sub(byHand)),
  0,
  3e-6,
);

// %% [markdown]
// Now draw, in a thousand steps. We watch one of eight pictures: above what the sampler holds,
// below what the denoiser thinks it will become.

// %%
const watched = [999, 950, 900, 860, 820, 780, 700, 500, 250, 0];
const held: tf.Tensor2D[] = [];
const thought: tf.Tensor2D[] = [];
const drawn = draw(
  thousand,
  noise.at("start").normal([8, 768]) as tf.Tensor2D,
  noise.at("ddpm"),
  (x, t) => {
    if (!watched.includes(t)) return;
    held.push(x.slice([0, 0], [1, 768]));
    thought.push(best(x, t).slice([0, 0], [1, 768]));
  },
);
const asPictures = (x: tf.Tensor) =>
  x.reshape<tf.Tensor4D>([-1, 16, 16, 3]);
await image(asPictures(tf.concat([...held, ...thought])), {
  caption: `One picture on its way, at t = ${watched.join(", ")}. Above: x. Below: the best guess.`,
  columns: watched.length,
});
await image(asPictures(drawn), {
  caption: "All eight, finished.",
  scale: 5,
});

// %% [markdown]
// The guess is a blur, then a choice, and the noise follows. Once the choice is made the rest is cleaning up.
//
// What did we draw? *Exactly* faces of the album, to the last digit:

// %%
/** For each picture, the root mean square distance to each face of the album, [B, K]. */
const distances = (x: tf.Tensor2D, faces = album) =>
  tf.tidy(() =>
    tf.stack(
      tf
        .unstack(x)
        .map((row) => faces.sub(row).square().mean(1).sqrt()),
    ),
  ) as tf.Tensor2D;
const named = (x: tf.Tensor2D) =>
  Array.from(tf.tidy(() => distances(x).argMin(1).dataSync()));
check(
  "distance from the nearest face, at most",
  largest(distances(drawn).min(1)),
  0,
  1e-5,
);

// %% [markdown]
// ## DDIM: the same guess, no dice
//
// DDPM throws dice at each step. Is that needed?
// [Song, Meng and Ermon (2021)](https://arxiv.org/abs/2010.02502) noticed that the denoiser was
// only ever trained on pairs $(x_0, x_t)$. It never saw two depths of the same walk. So we may walk
// in any way, as long as at each depth we arrive at the right *mixture*: a share
// $\sqrt{\bar\alpha}$ of picture and $\sqrt{1-\bar\alpha}$ of noise. The simplest way: split $x_t$
// into the guessed picture and the guessed noise, and mix the very same two again, with less noise.
//
// $$ \begin{aligned}
//    \hat\varepsilon &= \frac{x_t - \sqrt{\bar\alpha_t}\,\hat x_0}{\sqrt{1-\bar\alpha_t}}, \\
//    x_{s} &= \sqrt{\bar\alpha_{s}}\,\hat x_0 + \sqrt{1-\bar\alpha_{s}-\sigma^2}\;\hat\varepsilon + \sigma z .
//    \end{aligned} $$
//
// With $\sigma = 0$ there are no dice: the start decides the picture. And $s$ need not be $t - 1$.
// It may be far away. With $\sigma^2 = \tilde\beta$, called $\eta = 1$, we are back at DDPM, which
// is worth a check: both formulas give the same weights.

// %%
const {
  ofPicture: w0,
  ofNoisy: wt,
  variance: sigma2,
} = posterior(a, b);
check(
  "weight of x_t in DDIM with η = 1",
  Math.sqrt(1 - b - sigma2) / Math.sqrt(1 - a),
  wt,
  1e-12,
);
check(
  "weight of x₀ in DDIM with η = 1",
  Math.sqrt(b) -
    (Math.sqrt(1 - b - sigma2) * Math.sqrt(a)) / Math.sqrt(1 - a),
  w0,
  1e-12,
);

// %%
const ddim = new DDIMScheduler(config);
const distanceFromFace = (x: tf.Tensor2D) =>
  Number(distances(x).min(1).mean().dataSync()[0]!.toFixed(4));
const starts = noise.at("start").normal([64, 768]) as tf.Tensor2D;
const finest = named(draw(ddim.plan(500), starts, noise));
const agreement = [1, 2, 5, 10, 20, 50, 100].map((steps) => {
  const x = draw(ddim.plan(steps), starts, noise);
  const y = draw(ddpm.plan(steps), starts, noise.at("dice", steps));
  const share = (names: number[]) =>
    names.filter((name, i) => name === finest[i]).length / 64;
  return {
    steps,
    "DDIM: same face as with 500": share(named(x)),
    "DDIM: distance from a face": distanceFromFace(x),
    "DDPM: same face": share(named(y)),
    "DDPM: distance from a face": distanceFromFace(y),
  };
});
table(agreement, {
  caption:
    "64 pictures from the same 64 starts, in more and more steps",
  digits: 2,
});
// A single step from noise is the mean face: at the distance of the nearest album face from it.
const meanFace = album.mean<tf.Tensor2D>(0, true);
check(
  "distance of one step from a face",
  agreement[0]!["DDIM: distance from a face"],
  distanceFromFace(meanFace),
  0.01,
);
// With dice, 64 faces come up by chance alone: one in 64 is the same, give or take two.
check(
  "DDPM in 100 steps: share of the same face",
  agreement.at(-1)!["DDPM: same face"],
  1 / 64,
  4 / 64,
);
check(
  "DDIM in 100 steps: share that agrees with 500",
  agreement.at(-1)!["DDIM: same face as with 500"],
  1,
  0.06,
);

// %% [markdown]
// With DDIM the start *is* the picture, in another form: more steps only develop it more
// faithfully. Five already end at a face, and with fifty it is nearly always the right one. With
// DDPM the dice decide: from the same start it draws one face today and another tomorrow. One step
// of either is the blur from which we set out.
//
// Is the lottery fair? 64 faces, and each should come up as often as any other. We draw 512 and
// count: $\chi^2$ should be near its 63 degrees of freedom, give or take $\sqrt{2\cdot 63} = 11.2$.
// Four of these are our tolerance.

// %%
const many = named(
  draw(
    ddim.plan(50),
    noise.at("lottery").normal([512, 768]) as tf.Tensor2D,
    noise,
  ),
);
const counts = Array.from(
  { length: K },
  (_, k) => many.filter((name) => name === k).length,
);
const chiSquare = counts.reduce(
  (sum, count) => sum + (count - 512 / K) ** 2 / (512 / K),
  0,
);
check("χ² of the lottery", chiSquare, 63, 4 * Math.sqrt(2 * 63));

// %% [markdown]
// ## How many steps does it take?
//
// In the world of 64 faces the end is always a face, so errors hide. Take a smoother world, in
// which the way can be computed with pencil and paper: pictures are numbers from
// $\mathcal N(0, s^2)$. Then $x_t$ is Gaussian too, with variance
// $\bar\alpha s^2 + 1 - \bar\alpha$, the best guess is a straight line, and the walk without dice
// just rescales: whoever starts at two standard deviations ends at two standard deviations.
//
// $$ \begin{aligned}
//    D(x) &= \frac{\sqrt{\bar\alpha}\,s^2}{\bar\alpha s^2 + 1 - \bar\alpha}\,x, \\
//    x_{\text{end}} &= \frac{s}{\sqrt{\bar\alpha_T s^2 + 1 - \bar\alpha_T}}\; x_{\text{start}} .
//    \end{aligned} $$

// %%
const s = 0.5;
function gaussianError(steps: number): number {
  const plan = ddim.plan(steps);
  let state = plan.start(tf.tensor1d([1]));
  for (const [i, t] of plan.timesteps.entries()) {
    const gain =
      (Math.sqrt(alphaBar[t]!) * s ** 2) /
      (alphaBar[t]! * s ** 2 + 1 - alphaBar[t]!);
    state = plan.step(state, state.x.mul(gain), i, noise);
  }
  return Math.abs(
    state.x.dataSync()[0]! -
      s / Math.sqrt(alphaBar[T - 1]! * s ** 2 + 1 - alphaBar[T - 1]!),
  );
}
const convergence = [
  1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200,
].map((steps) => ({
  steps,
  error: gaussianError(steps),
}));

// %% [markdown]
// *Predict, then run.* How many times smaller is the error with 500 steps than with 50? Ten times the
// steps may mean ten times less error, a hundred times less, or anything else.

// %%
const prediction: Answer = todo;
predict(
  "how many times smaller",
  prediction,
  gaussianError(50) / gaussianError(500),
  2,
);

// %% folded
plot({
  caption:
    "Error of DDIM at the end of the walk. The dashed line falls like 1 / steps.",
  x: { label: "steps", type: "log", grid: true, tickFormat: "~g" },
  y: { label: "error", type: "log", grid: true, tickFormat: "~g" },
  marks: [
    Plot.line(
      [1, 200].map((steps) => ({ steps, error: 0.5 / steps })),
      {
        x: "steps",
        y: "error",
        stroke: "gray",
        strokeDasharray: "4 4",
      },
    ),
    Plot.line(convergence, {
      x: "steps",
      y: "error",
      stroke: "#4269d0",
      strokeWidth: 2,
    }),
    Plot.dot(convergence, { x: "steps", y: "error", fill: "#4269d0" }),
  ],
});

// %%
check(
  "order of convergence, from 20 to 200 steps",
  Math.log10(gaussianError(20) / gaussianError(200)),
  1,
  0.1,
);

// %% [markdown]
// Twice the steps, half the error: DDIM is a method of *first order*, like Euler's. It is one: the
// walk without dice solves a differential equation. Better solvers need fewer steps; they are the
// subject of [chapter 4](./04-score-sde-ode.md).

// %% [markdown]
// ## How well does it know its data?
//
// A sampler with dice says at each step how likely the next $x$ is: it is a Gaussian. So the whole walk
// says how likely a picture is. Nobody can sum over all walks that lead to $x_0$, but there is a bound
// ([Ho, Jain and Abbeel 2020](https://arxiv.org/abs/2006.11239), eq. 5), with one term for each step:
//
// $$ -\ln p(x_0) \;\le\; L_T + L_{T-1} + \dots + L_1 + L_0 . $$
//
// - $L_T$ says how far the last noise is from pure noise, as at the end of chapter 1.
// - $L_{t-1}$ compares two Gaussians: Bayes' step $q(x_{t-1} \mid x_t, x_0)$, which knows the picture,
//   and the sampler's, which puts a guess there.
// - $L_0$ is the picture itself, given $x_1$: $-\ln$ of a Gaussian around the last guess.
//
// For two Gaussians with variances $v$ and $w$, whose means are $\delta$ apart, the Kullback–Leibler
// divergence is
//
// $$ \tfrac12 \Bigl( \ln\frac wv + \frac{v + \delta^2}{w} - 1 \Bigr) . $$
//
// The means differ only by the guess: $\delta$ is the weight of $x_0$ in $\tilde\mu$, times
// $x_0 - D(x_t)$. So all that we need is the mean squared error of the denoiser at each noise level, and a
// variance $w$ for the sampler. The best one is $w = v + \mathbb E\,\delta^2$
// ([Bao et al. 2022](https://arxiv.org/abs/2201.06503), theorem 1).
//
// Our world $\mathcal N(0, s^2)$ tests it to the last digit. There the way back *is* Gaussian, so the bound must
// not lose anything: the sum must be the entropy of the data, $\tfrac12 \ln(2\pi e\, s^2) = 0.725791$.

// %%
/** Kullback–Leibler divergence of N(·, v) from N(·, w); `apart` is the mean square of what is between their means. */
const divergence = (v: number, w: number, apart: number) =>
  0.5 * (Math.log(w / v) + (v + apart) / w - 1);

/** The denoiser's mean squared error in the world N(0, s²): the posterior's variance. */
const errors = Array.from(
  alphaBar,
  (a) => (s ** 2 * (1 - a)) / (a * s ** 2 + 1 - a),
);

/** All terms of the bound, in nats: L_T first, L_0 last. */
function terms(choose: (v: number, apart: number) => number): number[] {
  const prior = divergence(
    1 - alphaBar[T - 1]!,
    1,
    alphaBar[T - 1]! * s ** 2,
  );
  const steps: number[] = [];
  for (let t = T - 1; t > 0; t--) {
    const { ofPicture, variance } = posterior(
      alphaBar[t]!,
      alphaBar[t - 1]!,
    );
    const apart = ofPicture ** 2 * errors[t]!;
    steps.push(divergence(variance, choose(variance, apart), apart));
  }
  const last = errors[0]!;
  return [prior, ...steps, 0.5 * (Math.log(2 * Math.PI * last) + 1)];
}
const total = (values: readonly number[]) =>
  values.reduce((sum, x) => sum + x, 0);
const bestTerms = terms((v, apart) => v + apart);
const entropy = 0.5 * Math.log(2 * Math.PI * Math.E * s ** 2);
check("entropy of N(0, 0.5²), in nats", entropy, 0.725791, 5e-7);
check(
  "the bound, summed over 1000 steps",
  total(bestTerms),
  entropy,
  1e-9,
);
const byLibrary = variationalBound({
  alphaBar,
  errors,
  secondMoment: s ** 2,
});
check("the library's bound", byLibrary.total, total(bestTerms), 1e-12);

// %% [markdown]
// DDPM's own choice is $w = v$, the variance $\tilde\beta$ of a sampler that trusts its guess. With it, the bound
// is 0.40 nats too high. Nine tenths of that are lost in the 20 steps with the least noise. The bound is strict
// about the last touch, which no eye sees; that is why a good bound and good pictures are not the same.

// %%
const own = terms((v) => v);
// L_0 is the same in both. Each other term loses (q - ln(1 + q)) / 2, with q = E δ² / v. The least noise comes first.
const losses = Array.from({ length: T - 1 }, (_, i) => {
  const { ofPicture, variance } = posterior(
    alphaBar[i + 1]!,
    alphaBar[i]!,
  );
  const q = (ofPicture ** 2 * errors[i + 1]!) / variance;
  return (q - Math.log1p(q)) / 2;
});
const loss = total(own) - total(bestTerms);
check("what DDPM's variance loses, in nats", loss, total(losses), 1e-9);
check("the same, as the text says", loss, 0.4, 0.005);
check(
  "share of the 20 steps with the least noise",
  total(losses.slice(0, 20)) / loss,
  0.9,
  0.05,
);

// %% folded
plot({
  caption:
    "The bound's steps: what each costs, for s = 0.5. Most is paid at low noise.",
  height: 260,
  x: { label: "t", grid: true },
  y: { label: "nats", grid: true, type: "log", tickFormat: "~g" },
  marks: [
    Plot.line(bestTerms.slice(1, -1).reverse(), {
      x: (_: number, i: number) => i + 1,
      y: (nats: number) => nats,
      stroke: "#4269d0",
      strokeWidth: 2,
    }),
  ],
});

// %% [markdown]
// ## The same walk, with a network
//
// An exact denoiser can only draw what is in its album. Now take one that had to *learn*: the
// network that ships with this library. It has seen 50,000 faces, each with a caption, and was
// trained as chapter 2 says: noise, ask, squared error, adjust. It answers in the language of $v$,
// and it reads the sentence along with the picture, so its answer is the mean of all pictures that
// *this sentence* may mean.
//
// `PixelDiffusionPipeline` is the loop from above with that network in it. (It also asks the network a
// second time, without the sentence, and goes a little further away from that answer: *guidance*,
// the subject of a later chapter.)

// %%
const pipeline = await PixelDiffusionPipeline.fromPretrained(
  packagePath("weights", "faces"),
);
const toSigned = (images: tf.Tensor4D) =>
  images.mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1);

const film: tf.Tensor4D[] = [];
const prompt =
  "a smiling woman with long blonde hair and a red shirt on a blue background";
for await (const { index, latents } of pipeline.steps({
  prompt,
  numInferenceSteps: 20,
  seed: 3,
})) {
  if (index % 2 === 1) film.push(latents.clone());
}
await image(tf.concat(film), {
  caption: `"${prompt}": every second of twenty steps of DDIM.`,
});

// %% [markdown]
// The film shows $x$ itself, the picture with its noise, and not the guess. The face comes out of the noise, as
// before; only this time nobody stored the result. Four more sentences, two pictures each:

// %%
const sentences = [
  "a bald man with a beard and sunglasses on a yellow background",
  "a frowning man with a green mohawk and a striped black shirt",
  "a surprised face with pink pigtails and round glasses",
  "a happy person wearing a blue baseball cap and a white shirt",
];
const { images } = await pipeline.generate({
  prompt: sentences,
  numImages: 2,
  numInferenceSteps: 20,
  seed: 4,
});
await image(toSigned(images), {
  caption: sentences.join(" · "),
  scale: 5,
});

// %% [markdown]
// ### Dice or no dice
//
// Nothing but the plan has to change to walk with dice. Same sentence, same start, same network:

// %%
const again = { prompt: sentences[1]!, numImages: 4, seed: 5 };
const withDice = schedulerFromConfig({
  ...pipeline.parts.scheduler.config,
  _class_name: "DDPMScheduler",
});
const rows = [
  await pipeline.generate({ ...again, numInferenceSteps: 10 }),
  await pipeline.generate({ ...again, numInferenceSteps: 20 }),
  await pipeline.generate({
    ...again,
    numInferenceSteps: 20,
    scheduler: withDice,
  }),
].map(({ images }) => images);
await image(toSigned(tf.concat(rows)), {
  caption:
    "DDIM in 10 steps, DDIM in 20 from the same starts, DDPM in 20 from the same starts.",
  columns: 4,
  scale: 5,
});
const apart = (x: tf.Tensor, y: tf.Tensor) =>
  Math.sqrt(x.sub(y).square().mean().dataSync()[0]!);
table(
  [
    {
      between: "DDIM in 10 steps and in 20",
      distance: 2 * apart(rows[0]!, rows[1]!),
    },
    {
      between: "DDIM and DDPM, both in 20",
      distance: 2 * apart(rows[1]!, rows[2]!),
    },
  ],
  {
    caption: "Root mean square distance, same sentence and starts",
    digits: 2,
  },
);

// %%
const fewerSteps = apart(rows[0]!, rows[1]!);
const otherDice = apart(rows[1]!, rows[2]!);
check(
  "fewer steps move a picture less than dice do",
  Math.min(fewerSteps, otherDice),
  fewerSteps,
  0,
);

// %% [markdown]
// ### Does it remember, or does it invent?
//
// The album's denoiser ended on an album face to the last digit. Does the network end on pictures
// it was trained on? We search 10,000 of its 50,000 training pictures for the nearest to each of the
// eight above. As a measure of what is near, we do the same for eight *real* pictures that were never
// trained on.

// %%
const training = tf.tensor2d(
  faceBatch(Array(10_000).keys(), { seed: 0, split: "train" }).pixels,
  [10_000, 768],
);
const fresh = tf.tensor2d(
  faceBatch(Array(8).keys(), { seed: 1, split: "seen" }).pixels,
  [8, 768],
);
const drawnByNetwork = toSigned(images).reshape<tf.Tensor2D>([8, 768]);
const nearest = distances(drawnByNetwork, training);
await image(
  asPictures(
    tf.concat([drawnByNetwork, tf.gather(training, nearest.argMin(1))]),
  ),
  {
    caption:
      "Above: drawn. Below: the training picture that is nearest.",
    columns: 8,
    scale: 5,
  },
);
const meanNearest = (x: tf.Tensor2D) =>
  distances(x, training).min(1).mean().dataSync()[0]!;
table(
  [
    {
      pictures: "drawn by the network",
      distance: meanNearest(drawnByNetwork),
    },
    {
      pictures: "real, never trained on",
      distance: meanNearest(fresh),
    },
  ],
  {
    caption:
      "Root mean square distance to the nearest training picture, mean of eight",
    digits: 2,
  },
);
// "About as far": a mean of eight distances that differ by a quarter is known to a tenth.
check(
  "distance of drawn pictures, over that of real ones",
  meanNearest(drawnByNetwork) / meanNearest(fresh),
  1,
  0.3,
);
const copies = nearest.min(1).less(0.02).sum().dataSync()[0]!;
check("pictures that repeat one of the 10,000", copies, 0, 0);
const millions = (count: number) => Math.round(count / 1e5) / 10;
const unet = pipeline.parts.unet as UNet2DConditionModel;
const weights = [...unet.parameters().values()];
check(
  "million weights of the network",
  millions(weights.reduce((sum, { size }) => sum + size, 0)),
  4.2,
  0,
);
check(
  "million numbers in its training pictures",
  millions(50_000 * 768),
  38.4,
  0,
);
pipeline.dispose();

// %% [markdown]
// It invents: what it draws is about as far from its training pictures as a real new face is. A
// network that had learned the album by heart would be the *better* denoiser of its training set,
// and useless. It has no room for that: its 4.2 million weights stand against 38.4 million numbers in
// 50,000 pictures. So it must make do with what the pictures have in common: that hats sit on heads, that beards
// are coloured as the hair is, that a shirt may have stripes.
//
// ## What to take along
//
// - Do not go where the denoiser points: step towards it, and ask again.
// - DDPM steps by Bayes' rule, with dice. DDIM mixes the same guess again with less noise, without:
//   the start is the picture.
// - Both are one family, with $\eta$ between them. DDIM may take large steps, at an error that
//   falls like $1/\text{steps}$.
// - A perfect denoiser of a training set repeats it. Networks draw something new because they must generalise.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 3`. Each exercise is
// judged on its own.
//
// **1.** How large is $\tilde\beta$ in the very last step of DDPM, the one that ends at $x_0$?

// %%
const lastVariance: Answer = todo;
await exercise("variance of the last step", lastVariance);

// %% [markdown]
// **2.** In the world $\mathcal N(0, s^2)$ with $s = 0.5$, what is the least number of DDIM steps,
// among the divisors of 1000, that brings the error below 0.01?

// %%
const leastSteps: Answer = todo;
await exercise("steps for an error below 0.01", leastSteps);

// %% [markdown]
// **3.** Draw with DDIM in a single step, from all 64 starts. What is the root mean square distance
// between the results and the mean face of the album?

// %%
const fromMeanFace: Answer = todo;
await exercise("distance of one step from the mean face", fromMeanFace);

// %% [markdown]
// **4.** *Write a function.* One step of DDIM without dice, for single numbers, from level `a` to the
// less noisy level `b`: `(x, guess, a, b) => …`.

// %%
type Step = (x: number, guess: number, a: number, b: number) => number;
const myStep: Answer<Step> = todo;
await exercise("my DDIM step", myStep);

// %% [markdown]
// **5.** *Reproduce the plot.* DDPM in 50 steps visits $t = 19, 39, \dots, 999$, and goes from each to
// $t - 20$; from 19 it goes to the clean picture, $\bar\alpha = 1$. The line is the weight of the guess
// $x_0$ in $\tilde\mu$. Answer with its 50 points `[t, weight]`.

// %%
const weightOfGuess: Answer<Points> = todo;
await reproduce("the guess's weight", weightOfGuess, {
  caption: "The weight of the guess in a step of DDPM, with 50 steps.",
  x: { label: "t", grid: true },
  y: { label: "weight", grid: true },
});
