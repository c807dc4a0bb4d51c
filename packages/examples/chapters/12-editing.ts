// %% [markdown]
// # Editing
//
// **How does a model change one part of a picture, and leave the rest alone?**
//
// So far all pictures began as noise. But a sampler does not know where its noisy picture comes from. We may hand it a
// photograph under noise, or replace a part of the sample in each step, or run the sampler backwards first. Each of
// these is a way to edit. All are simple, all are used every day, and most of them are a little wrong. This chapter
// measures how wrong, in worlds with an exact answer.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import {
  outpaintCanvas,
  StableDiffusionXLPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import { slerp } from "@tfjs-diffusion/core/pipelines";
import { newControlNet } from "@tfjs-diffusion/core/training";
import {
  DDIMScheduler,
  keyedNoise,
  schedulerFromConfig,
} from "@tfjs-diffusion/schedulers";
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
import { packagePath } from "../src/package-folder.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2037);
const toSigned = (pictures: tf.Tensor4D) =>
  pictures.mul(2).sub<tf.Tensor4D>(1);

// %%
const pipeline = await StableDiffusionXLPipeline.fromPretrained(
  packagePath("weights", "portraits"),
);
const settings = { guidanceScale: 3, numInferenceSteps: 10, seed: 1 };
const woman = "a bald woman with glasses on a plain blue background";
const { images: original } = await pipeline.generate({
  prompt: woman,
  ...settings,
});
const { images: changed } = await pipeline.generate({
  prompt: woman.replace("glasses", "sunglasses"),
  image: original,
  strength: 0.6,
  ...settings,
});
const top = tf.concat([
  tf.ones<tf.Rank.R3>([12, 32, 1]),
  tf.zeros<tf.Rank.R3>([20, 32, 1]),
]);
const { images: withHat } = await pipeline.generate({
  prompt: `${woman}, a blue fedora`,
  image: original,
  mask: top,
  pasteBack: true,
  ...settings,
});
await image(toSigned(tf.concat([original, changed, withHat])), {
  caption:
    "A drawn portrait; changed as a whole; and a hat painted into its upper part.",
  scale: 5,
});

// %% [markdown]
// ## Noise on a photograph
//
// **Image-to-image** ([Meng et al. 2022](https://arxiv.org/abs/2108.01073)): put noise on the picture $y$ up to some
// level $\sigma$, and let the sampler take it off again. Small details drown in the noise and are drawn anew. Large
// things survive. The option `strength` says how far up to go.
//
// How much survives? Let the pictures that fit the sentence be $\mathcal N(\mu, s^2)$, one number each. We use
// EDM's coordinates: $x = y + \sigma\varepsilon$. The probability flow ([chapter 4](./04-score-sde-ode.md)) takes each
// number from the Gaussian at level $\sigma$ to the one at level 0, and keeps its position in units of the standard
// deviation:
//
// $$ x_0 = \mu + \frac{s}{\sqrt{s^2 + \sigma^2}}\,(x - \mu) . $$
//
// So of the distance between the given picture and $\mu$, the share $s/\sqrt{s^2+\sigma^2}$ is left.

// %%
const survives = (s: number, sigma: number) =>
  s / Math.sqrt(s ** 2 + sigma ** 2);

/** Euler steps along dx/dσ = (x - D)/σ, with the best guess D for N(mu, s²). */
function walk(
  x: number,
  mu: number,
  s: number,
  sigmas: readonly number[],
): number {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [here, next] = [sigmas[i]!, sigmas[i + 1]!];
    const guess = mu + (s ** 2 / (s ** 2 + here ** 2)) * (x - mu);
    x += (next - here) * ((x - guess) / here);
  }
  return x;
}
const evenly = (from: number, to: number, steps: number) =>
  Array.from(
    { length: steps + 1 },
    (_, i) => from + ((to - from) * i) / steps,
  );

const [mu, s, photograph] = [1, 0.5, -2];
// From the mean of x, which is the photograph itself. Euler's error falls with the number of steps.
const after = walk(photograph, mu, s, evenly(1, 0, 20_000));
check(
  "what is left of the photograph",
  (after - mu) / (photograph - mu),
  survives(s, 1),
  1e-4,
);
check("left at σ = s", survives(s, s), Math.SQRT1_2, 1e-12);

// %%
const { alphaBar } = schedulerFromConfig({
  ...pipeline.parts.scheduler.config,
  _class_name: "DDIMScheduler",
}) as DDIMScheduler;
table(
  [0.2, 0.4, 0.6, 0.8, 1].map((strength) => {
    const level = alphaBar[Math.round(1000 * strength) - 1]!;
    const sigma = Math.sqrt((1 - level) / level);
    return {
      strength,
      σ: sigma,
      "left, if s = 1": survives(1, sigma),
      "left, if s = 0.2": survives(0.2, sigma),
    };
  }),
  {
    caption:
      "What a strength means for the portraits model. Details are what varies little (small s).",
    digits: 3,
  },
);

// %% [markdown]
// Things that vary much (large $s$: where the head is, what is light and dark) survive a strength of 0.6. Things that
// vary little do not. One number decides for all of them. To change a hat and nothing else, we need a mask.
//
// ## Painting into a hole
//
// **Inpainting** with a network that was not trained for it: in each step, replace everything outside the hole by the
// given picture, with noise of the right level. Only the hole is drawn. The known part fits at every level, and the
// denoiser sees it. So the hole should come to fit as well. Does it?
//
// Two numbers suffice. Both have variance 1, their correlation is $\rho = 0.8$. The first is known: $y = 1.5$. For
// Gaussians the exact answer is $\mathcal N(\rho\,y,\ 1-\rho^2)$: a mean of 1.2.

// %%
const [rho, known] = [0.8, 1.5];
const exactMean = rho * known;
const exactDeviation = Math.sqrt(1 - rho ** 2);
const STEPS = 250;
/** ᾱ of DDPM's linear schedule after each step, from little noise to much; before the first step it is 1. */
const { alphaBar: linear } = new DDIMScheduler({});
const shareAt = (i: number) => (i < 0 ? 1 : linear[4 * i + 3]!);

/** Best guess of both clean numbers, for noisy ones: Σ √ᾱ (ᾱ Σ + (1-ᾱ) I)⁻¹ x. */
function guessBoth(
  x: readonly [number, number],
  a: number,
): [number, number] {
  const c = a * rho; // covariance of the noisy numbers, whose variances are 1
  const u = [
    (x[0] - c * x[1]) / (1 - c ** 2),
    (x[1] - c * x[0]) / (1 - c ** 2),
  ];
  return [
    Math.sqrt(a) * (u[0]! + rho * u[1]!),
    Math.sqrt(a) * (rho * u[0]! + u[1]!),
  ];
}
// Both at once are one line: given the noisy pair, the clean one is best guessed by a regression.
const byRegression = (a: number) => {
  const [first] = guessBoth([1, 0], a);
  const [second] = guessBoth([0, 1], a);
  return [first, second];
};
// With hardly any noise each number tells about itself only; with much, the guess is 0.
check("guess without noise", byRegression(1 - 1e-9)[0]!, 1, 1e-6);
check(
  "guess of the second from the first, ᾱ = 0.5",
  guessBoth([1, 0], 0.5)[1],
  (Math.SQRT1_2 * (0.8 - 0.4)) / (1 - 0.16),
  1e-12,
);

// %% [markdown]
// A step of DDPM is linear in the sample ([chapter 3](./03-ddpm-and-ddim.md)), and here the guess is linear, too. So
// we can follow the *mean* of the hole exactly, without drawing anything. To be sure, we also draw 4000 samples.

// %%
/** A step of DDPM for the hole, from level i: the factors of guess and sample, and the variance of fresh noise. */
function posterior(i: number) {
  const [a, b] = [shareAt(i), shareAt(i - 1)];
  const alpha = a / b;
  return {
    ofGuess: (Math.sqrt(b) * (1 - alpha)) / (1 - a),
    ofSample: (Math.sqrt(alpha) * (1 - b)) / (1 - a),
    variance: ((1 - alpha) * (1 - b)) / (1 - a),
  };
}

/**
 * Draws the hole by replacement. In RePaint each step is repeated `repeats` times: after it, noise is added again.
 *
 * @param gauss draws of N(0, 1); () => 0 follows the mean
 */
function drawHole(repeats: number, gauss: () => number): number {
  let hole = gauss();
  for (let i = STEPS - 1; i >= 0; i--) {
    const [a, b] = [shareAt(i), shareAt(i - 1)];
    const { ofGuess, ofSample, variance } = posterior(i);
    for (let k = 1; k <= repeats; k++) {
      const outside = Math.sqrt(a) * known + Math.sqrt(1 - a) * gauss();
      const [, guess] = guessBoth([outside, hole], a);
      hole =
        ofGuess * guess +
        ofSample * hole +
        Math.sqrt(variance) * gauss();
      // Back up to level i, unless this was the last time.
      if (k < repeats && i > 0)
        hole = Math.sqrt(a / b) * hole + Math.sqrt(1 - a / b) * gauss();
      else break;
    }
  }
  return hole;
}
const meanHole = (repeats: number) => drawHole(repeats, () => 0);
const SAMPLES = 4000;
function sampledHoles(repeats: number): number[] {
  const draws = noise
    .at("holes", repeats)
    .normal([SAMPLES, STEPS * repeats * 3 + 1]);
  const numbers = draws.dataSync();
  draws.dispose();
  let next = 0;
  return Array.from({ length: SAMPLES }, () =>
    drawHole(repeats, () => numbers[next++]!),
  );
}
const averageOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const replaced = sampledHoles(1);
check(
  "mean by replacement, drawn",
  averageOf(replaced),
  meanHole(1),
  4 / Math.sqrt(SAMPLES),
);
check("mean by replacement", meanHole(1), 0.744, 5e-4);
check("exact mean", exactMean, 1.2, 1e-12);

// %% [markdown]
// 0.744 in place of 1.2. The hole does lean towards the known part, but too little. Why? The denoiser is asked: "given
// these two *noisy* numbers, what are the clean ones?" The noise on the known part is new in each step, and as strong
// as everywhere else. Early on it drowns what we know. Later the hole is nearly decided, and the known part comes too
// late. Nowhere does the network learn that we know $y$ *exactly*.
//
// **RePaint** ([Lugmayr et al. 2022](https://arxiv.org/abs/2201.09865)) lets it settle: after each step, add the noise
// again, and repeat the step. Each repetition lets the hole adapt to the known part at this level.

// %%
const repaired = [1, 2, 5, 10, 20].map((repeats) => ({
  repeats,
  mean: meanHole(repeats),
  "calls of the network": STEPS * repeats - (repeats - 1),
}));
table(repaired, {
  caption: "Mean of the hole; the exact answer is 1.2",
  digits: 4,
});
check("RePaint, 2 repeats", repaired[1]!.mean, 0.942, 5e-4);
check("RePaint, 5 repeats", repaired[2]!.mean, 1.097, 5e-4);
check("RePaint, 10 repeats", repaired[3]!.mean, 1.15, 5e-4);
check("RePaint, 20 repeats", repaired[4]!.mean, 1.175, 5e-4);
check(
  "RePaint, 2 repeats, drawn",
  averageOf(sampledHoles(2)),
  meanHole(2),
  4 / Math.sqrt(SAMPLES),
);

// %% folded
const BLUE = "#4269d0";
const RED = "#c2410c";
const GREEN = "#2f9e58";
plot({
  caption:
    "Mean of the hole against the number of times each step is done. The line is the exact answer.",
  x: {
    label: "repeats",
    type: "log",
    ticks: [1, 2, 5, 10, 20],
    tickFormat: "d",
    grid: true,
  },
  y: { label: "mean", grid: true, domain: [0.6, 1.3] },
  marks: [
    Plot.ruleY([exactMean], {
      stroke: GREEN,
      strokeWidth: 2,
      strokeDasharray: "6 4",
    }),
    Plot.line(repaired, {
      x: "repeats",
      y: "mean",
      stroke: RED,
      strokeWidth: 2,
    }),
    Plot.dot(repaired, { x: "repeats", y: "mean", fill: RED, r: 4 }),
    Plot.text([[1.05, 1.23]], {
      text: () => "exact",
      fill: GREEN,
      fontSize: 14,
      textAnchor: "start",
    }),
  ],
});

// %% [markdown]
// The error falls like one over the number of repeats, and the price rises with it. The exact remedy is another
// network: one that is *told* the known part and the mask, in further input channels. Then the guess for the hole uses
// $y$ itself. In our world that network would say: the hole is $\mathcal N(\rho y, 1-\rho^2)$.

// %%
function drawTold(gauss: () => number): number {
  let hole = gauss();
  const v = exactDeviation ** 2;
  for (let i = STEPS - 1; i >= 0; i--) {
    const a = shareAt(i);
    const { ofGuess, ofSample, variance } = posterior(i);
    const gain = (Math.sqrt(a) * v) / (a * v + 1 - a);
    const guess = exactMean + gain * (hole - Math.sqrt(a) * exactMean);
    hole =
      ofGuess * guess + ofSample * hole + Math.sqrt(variance) * gauss();
  }
  return hole;
}
const toldNumbers = noise
  .at("told")
  .normal([SAMPLES, STEPS + 1])
  .dataSync();
let toldNext = 0;
const told = Array.from({ length: SAMPLES }, () =>
  drawTold(() => toldNumbers[toldNext++]!),
);
// The start forgets √ᾱ of the mean at the last level: less than 0.01 of it.
check(
  "a network that is told y, mean",
  drawTold(() => 0),
  exactMean,
  0.01,
);
check(
  "drawn",
  averageOf(told),
  exactMean,
  (4 * exactDeviation) / Math.sqrt(SAMPLES) + 0.01,
);
const deviationOf = (values: readonly number[]) =>
  Math.sqrt(
    averageOf(values.map((x) => x ** 2)) - averageOf(values) ** 2,
  );
// Each step leaves out the uncertainty of its own guess: by the same
// recursion, 250 steps end at 0.5853, 1000 steps at 0.5960. Four
// standard errors are 0.027.
check("and their deviation", deviationOf(told), 0.5853, 0.027);

// %% [markdown]
// The library does all three: replacement with any network, RePaint as a scheduler, and networks with nine input
// channels. Outside the hole, `pasteBack` keeps the given pixels, bit for bit:

// %%
const outside = tf.sub(1, top.expandDims(0));
const difference = withHat
  .sub(original)
  .abs()
  .mul(outside)
  .max()
  .dataSync()[0]!;
check("largest change outside the mask", difference, 0, 0);
const inside = withHat
  .sub(original)
  .abs()
  .mul(top.expandDims(0))
  .max()
  .dataSync()[0]!;
check("something changed inside it", Number(inside > 0.1), 1, 0);

// %% [markdown]
// **Outpainting** is inpainting with the hole around the picture: a larger canvas, and a mask of its border.

// %%
const canvas = outpaintCanvas(original, { left: 8, right: 8 });
const { images: wider } = await pipeline.generate({
  prompt: woman,
  ...canvas,
  pasteBack: true,
  ...settings,
});
check("width of the canvas", wider.shape[2], 32 + 8 + 8, 0);
const middle = wider.slice([0, 0, 8, 0], [1, 32, 32, 3]);
check(
  "largest change in the middle",
  middle.sub(original).abs().max().dataSync()[0]!,
  0,
  0,
);
await image(toSigned(wider), {
  caption: "Eight pixels more on each side.",
  scale: 5,
});

// %% [markdown]
// ## Running the film backwards
//
// DDIM has no dice: the same start always ends at the same picture. So the way can be walked backwards, from a picture
// to the noise that it would have come from (**inversion**; [Song et al. 2021](https://arxiv.org/abs/2010.02502),
// section 4.3). Forwards again with another sentence, large parts stay as they were. The flow is exactly reversible.
// Its *steps* are not: on the way up, each step uses the guess at its other end.

// %%
const sigmaLevels = (steps: number) => evenly(0.01, 3, steps);
const roundTrip = (steps: number) => {
  const up = walk(0.4, mu, s, sigmaLevels(steps));
  const down = walk(up, mu, s, [...sigmaLevels(steps)].reverse());
  return Math.abs(down - 0.4);
};
const trips = [50, 100, 200, 400, 800].map((steps) => ({
  steps,
  error: roundTrip(steps),
}));
table(trips, {
  caption: "There and back: how far from the start one ends",
  digits: 3,
});
// A method of first order: twice the steps, half the error, up to a term of second order.
check(
  "error at 400 steps, over that at 800",
  trips[3]!.error / trips[4]!.error,
  2,
  0.05,
);
check(
  "the noise that is found",
  (walk(0.4, mu, s, sigmaLevels(20_000)) - mu) / Math.sqrt(s ** 2 + 9),
  (0.4 - mu) / Math.sqrt(s ** 2 + 0.01 ** 2),
  1e-3,
);

// %% [markdown]
// ## Finding the mask by itself
//
// **DiffEdit** ([Couairon et al. 2023](https://arxiv.org/abs/2210.11427)) asks the network twice about the same noisy
// picture: once with the old sentence, once with the new one. Where the two answers differ, the sentence matters. That
// is the mask. A picture of two independent numbers shows why it works: the sentence fixes the mean of the first one,
// and says nothing about the second.

// %%
const answersOf = (
  x: readonly number[],
  means: readonly number[],
  sigma: number,
) =>
  x.map(
    (value, k) =>
      means[k]! +
      (s ** 2 / (s ** 2 + sigma ** 2)) * (value - means[k]!),
  );
const noisy = [0.3, -0.7];
const oldAnswer = answersOf(noisy, [-1, 0], 0.8);
const newAnswer = answersOf(noisy, [1, 0], 0.8);
check(
  "answers differ in the first number",
  newAnswer[0]! - oldAnswer[0]!,
  2 * (1 - 0.25 / 0.89),
  1e-12,
);
check("and not in the second", newAnswer[1]! - oldAnswer[1]!, 0, 0);

// %% [markdown]
// ## Between two pictures
//
// Two starts of noise give two pictures. What lies between? The straight line between them leads through noise that is
// too weak. For independent $a, b \sim \mathcal N(0, 1)$ the middle has variance
// $\tfrac14 + \tfrac14 = \tfrac12$: the sampler takes it for a picture with less noise, and draws something flat. The
// arc (**slerp**, [Shoemake 1985](https://doi.org/10.1145/325165.325242)) keeps the length:
//
// $$ \operatorname{slerp}(a, b, u) = \frac{\sin((1-u)\,\theta)}{\sin\theta}\,a + \frac{\sin(u\,\theta)}{\sin\theta}\,b . $$

// %% folded
const angle = (degrees: number) => (degrees * Math.PI) / 180;
const [fromAngle, toAngle] = [angle(10), angle(95)];
const pointAt = (theta: number, radius = 1) => ({
  x: radius * Math.cos(theta),
  y: radius * Math.sin(theta),
});
const ends = [pointAt(fromAngle), pointAt(toAngle)];
plot({
  caption:
    "Between two starts a and b: the line (red) comes too near to 0, the arc (green) does not.",
  height: 340,
  axis: null,
  aspectRatio: 1,
  x: { domain: [-0.5, 1.4] },
  y: { domain: [-0.15, 1.2] },
  marks: [
    Plot.line(
      Array.from({ length: 41 }, (_, i) =>
        pointAt(fromAngle + ((toAngle - fromAngle) * i) / 40),
      ),
      { x: "x", y: "y", stroke: GREEN, strokeWidth: 2.5 },
    ),
    Plot.line(ends, { x: "x", y: "y", stroke: RED, strokeWidth: 2.5 }),
    Plot.arrow(ends, {
      x1: 0,
      y1: 0,
      x2: "x",
      y2: "y",
      stroke: BLUE,
      strokeWidth: 2,
    }),
    Plot.text(
      [
        { ...pointAt(fromAngle, 1.1), name: "a" },
        { ...pointAt(toAngle, 1.1), name: "b" },
      ],
      { x: "x", y: "y", text: "name", fontSize: 18, fill: BLUE },
    ),
  ],
});

// %%
const N = 16_384;
const [a, b] = [noise.at("a").normal([N]), noise.at("b").normal([N])];
const norms = (x: tf.Tensor) => x.norm().dataSync()[0]! / Math.sqrt(N);
// The norm of N Gaussians, over √N, has a standard error of 1/√(2N).
const four = 4 / Math.sqrt(2 * N);
check("length of a", norms(a), 1, four);
check(
  "in the middle of the line",
  norms(a.add(b).div(2)),
  Math.SQRT1_2,
  four,
);
const cosine =
  a.mul(b).sum().dataSync()[0]! / (norms(a) * norms(b) * N);
const theta = Math.acos(cosine);
const mine = a
  .mul(Math.sin(0.75 * theta) / Math.sin(theta))
  .add(b.mul(Math.sin(0.25 * theta) / Math.sin(theta)));
check("a quarter of the arc", norms(mine), 1, four);
const theirs = slerp(a, b, 0.25);
check(
  "slerp() of the library",
  mine.sub(theirs).abs().max().dataSync()[0]!,
  0,
  2e-6,
);

// %%
const [first, last] = [noise.at("first"), noise.at("last")].map(
  (source) => source.normal([1, 8, 8, 4]) as tf.Tensor4D,
);
const frames: tf.Tensor4D[] = [];
for (let i = 0; i <= 6; i++) {
  const { images } = await pipeline.generate({
    prompt: "a smiling man with spiky hair",
    latents: slerp(first!, last!, i / 6),
    numInferenceSteps: 10,
    guidanceScale: 3,
  });
  frames.push(images);
}
await image(toSigned(tf.concat(frames)), {
  caption:
    "From one start to another along the arc, with the same sentence.",
  scale: 3,
});

// %% [markdown]
// ## A hand on the shoulder: ControlNet
//
// Edges, poses, depth: how can a *picture* guide a trained network, without spoiling what it knows? A **ControlNet**
// ([Zhang et al. 2023](https://arxiv.org/abs/2302.05543)) is a copy of the UNet's first half that reads the control
// picture. What it finds is added to the UNet's skip connections, through convolutions whose weights *begin at zero*.
// So at the first step of training nothing changes at all. We check just that.

// %%
const control = {
  model: newControlNet(
    pipeline.parts.unet as Parameters<typeof newControlNet>[0],
    {
      noise: noise.at("control"),
      conditioning_embedding_out_channels: [16, 32, 64],
    },
  ),
  image: original,
};
const [without, withControl] = [
  await pipeline.generate({
    prompt: woman,
    ...settings,
    numInferenceSteps: 2,
  }),
  await pipeline.generate({
    prompt: woman,
    ...settings,
    numInferenceSteps: 2,
    control,
  }),
];
check(
  "largest change by a new ControlNet",
  withControl.images.sub(without.images).abs().max().dataSync()[0]!,
  0,
  0,
);
control.model.dispose();
pipeline.dispose();

// %% [markdown]
// ## Take along
//
// - Noise on a picture erases what varies less than the noise. `strength` says how much.
// - Replacing the known part in each step is biased. Repeating steps repairs it, slowly; a network that is told the
//   known part has no bias.
// - DDIM runs backwards, with an error of first order in the step.
// - Interpolate noise along an arc, since its length must not change.
// - What is added to a trained network should begin at zero.
//
// To read next: [drawing and editing](../drawing.md) has every option.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 12`. Each exercise is
// judged on its own. The [solutions](./solutions/12-editing.md) are on a page of their own.
//
// **1.** Pictures of standard deviation $s = 0.3$ get noise of $\sigma = 0.4$. Which share of the given picture's
// distance from the mean survives?

// %%
const share: Answer = todo;
await exercise("share that survives", share);

// %% [markdown]
// **2.** Two numbers with variance 1 and correlation $-0.6$. The first is 2. What is the exact mean of the second?

// %%
const secondMean: Answer = todo;
await exercise("mean of the second", secondMean);

// %% [markdown]
// **3.** *Predict, then run.* How long is the point a quarter of the way along the *line* between two independent
// starts, in units of $\sqrt N$?

// %%
const lengthOnLine: Answer = todo;
predict(
  "length on the line",
  lengthOnLine,
  norms(a.mul(0.75).add(b.mul(0.25))),
  0.02,
);

// %% [markdown]
// **4.** *Write a function.* `slerp` for points on the unit circle, given by their angles: the angle at the share $u$
// of the way from `from` to `to`, along the *shorter* arc. Angles are in degrees from 0 to 360.

// %%
type Between = (from: number, to: number, u: number) => number;
const between: Answer<Between> = todo;
await exercise("between two angles", between);

// %% [markdown]
// **5.** *Find the fault.* This adds noise to a picture for image-to-image, in DDPM's coordinates.

// %%
const underNoise = (picture: number, epsilon: number, level: number) =>
  level * picture + (1 - level) * epsilon;
await repair("noise on a picture", underNoise);
