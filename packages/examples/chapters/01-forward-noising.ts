// %% [markdown]
// # Forward noising
//
// **How do you destroy a picture so gently that somebody could learn the way back?**
//
// Burn a photograph and nobody will ever restore it: too much is lost at once. But put a single grain of sand on it,
// and anyone can tell where the grain lies and take it off again. A diffusion model lives on that difference. It
// buries a picture under a thousand thin layers of noise, and learns to take off *one*.
//
// This chapter does the burying. There is nothing to learn in it yet, only something to understand: what is left of a
// picture after $t$ layers, and how to get there in one jump.

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
  show,
  table,
  todo,
  type Answer,
} from "../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2026);

// %% folded
{
  const [BLUE, ORANGE] = ["#4269d0", "#d97706"];
  const nodes = [
    { x: 0, name: "x₀", note: "picture" },
    { x: 1, name: "x₁", note: "" },
    { x: 2, name: "x₂", note: "" },
    { x: 3, name: "…", note: "" },
    { x: 4, name: "xₜ", note: "" },
    { x: 5, name: "…", note: "" },
    { x: 6.2, name: "x₁₀₀₀", note: "noise" },
  ];
  const layers = [1, 2, 3, 4, 5, 6];
  plot({
    caption:
      "A thousand thin layers (blue), one after the other, and the single jump (orange) that this chapter derives.",
    height: 190,
    axis: null,
    x: { domain: [-0.5, 6.7] },
    y: { domain: [-0.9, 1.6] },
    marks: [
      Plot.arrow([4], {
        x1: 0,
        y1: 0.4,
        x2: (x: number) => x,
        y2: 0.4,
        bend: 32,
        stroke: ORANGE,
        strokeWidth: 2.5,
        headLength: 8,
      }),
      Plot.arrow(layers, {
        x1: (x: number) => x - 0.66,
        y1: 0,
        x2: (x: number) => x - 0.34,
        y2: 0,
        stroke: BLUE,
        strokeWidth: 2,
        headLength: 10,
      }),
      Plot.text(nodes, {
        x: "x",
        y: 0,
        text: "name",
        fontSize: 15,
        fill: "currentColor",
      }),
      Plot.text(nodes, {
        x: "x",
        y: -0.6,
        text: "note",
        fontSize: 13,
        fill: "currentColor",
      }),
    ],
  });
}

// %% [markdown]
// Our pictures are faces, 16 by 16 pixels, three colours a pixel: 768 numbers. A number is $-1$ for dark and $+1$ for
// bright. Here are six of them, and one that we shall keep.

// %%
const album = faceBatch([0, 1, 2, 3, 4, 5], { seed: 7, split: "seen" });
const faces = tf.tensor4d(album.pixels, [6, 16, 16, 3]);
const x0 = faces.slice([5, 0, 0, 0], [1, 16, 16, 3]);
await image(faces, {
  caption: "Six faces. The sixth is our x₀.",
  scale: 6,
});
show(`Our face: "${album.captions[5]!.text}"`);

// %% [markdown]
// ## One layer
//
// A layer of noise does two things: it makes the picture a little paler, and it adds a little Gaussian noise
// $\varepsilon$ to each of its numbers.
//
// $$ x_t = \sqrt{1 - \beta_t}\; x_{t-1} + \sqrt{\beta_t}\; \varepsilon_t, \qquad \varepsilon_t \sim \mathcal N(0, 1) $$
//
// The small number $\beta_t$ says how thick the layer is. Why pale the picture at all? Because variances of independent
// things add. If the numbers of $x_{t-1}$ have variance 1, those of $x_t$ have variance
// $(1 - \beta_t)\cdot 1 + \beta_t\cdot 1 = 1$, again. Without the paling, the sum would grow louder with each layer.
//
// We take the thousand thicknesses of [Ho, Jain and Abbeel (2020)](https://arxiv.org/abs/2006.11239): from
// $\beta_1 = 0.0001$ in even steps to $\beta_{1000} = 0.02$.

// %%
const T = 1000;
const betas = Array.from(
  { length: T },
  (_, t) => 0.0001 + ((0.02 - 0.0001) * t) / (T - 1),
);

const addLayer = (x: tf.Tensor4D, t: number, source = noise) =>
  tf.tidy(() =>
    x
      .mul(Math.sqrt(1 - betas[t]!))
      .add<tf.Tensor4D>(
        source.normal(x.shape).mul(Math.sqrt(betas[t]!)),
      ),
  );

// %% [markdown]
// (The paper counts its layers from 1, the program from 0: `betas[0]` is $\beta_1$.)
//
// Now bury the face, one layer at a time, and take a photograph now and then.

// %% folded
const photographs: tf.Tensor4D[] = [x0];
let x = x0.clone();
for (let t = 0; t < T; t++) {
  const next = addLayer(x, t);
  x.dispose();
  x = next;
  if ([25, 50, 100, 150, 200, 300, 400, 600, 1000].includes(t + 1))
    photographs.push(x.clone());
}
await image(tf.concat(photographs), {
  caption:
    "One step at a time: after 0, 25, 50, 100, 150, 200, 300, 400, 600 and 1000 layers.",
});

// %% [markdown]
// The *detail* goes first. Small things are drowned by little noise, large things only by much.
// After 100 layers you can still name the colour of the eyes; after 200 you see a face, after 400
// nothing you would swear to. Keep that in mind for the way back: a model that removes noise will
// decide on the large things first, while the noise is thick, and on the small things last.
//
// ## A thousand layers in one jump
//
// To train a model we shall need $x_t$ for millions of random $t$. A thousand steps for each would
// be a waste. Look at two layers, with $\alpha_t = 1 - \beta_t$:
//
// $$ \begin{aligned}
//    x_2 &= \sqrt{\alpha_2}\,x_1 + \sqrt{1-\alpha_2}\,\varepsilon_2 \\
//        &= \sqrt{\alpha_2}\,\bigl(\sqrt{\alpha_1}\, x_0 + \sqrt{1-\alpha_1}\,\varepsilon_1\bigr) \\
//        &\quad + \sqrt{1-\alpha_2}\,\varepsilon_2 \\
//        &= \sqrt{\alpha_1\alpha_2}\; x_0 \\
//        &\quad + \bigl[\sqrt{\alpha_2(1-\alpha_1)}\,\varepsilon_1 + \sqrt{1-\alpha_2}\,\varepsilon_2\bigr]
//    \end{aligned} $$
//
// In brackets, the sum of two independent Gaussians is a Gaussian, and its variance is the sum of theirs:
// $\alpha_2(1-\alpha_1) + 1 - \alpha_2 = 1 - \alpha_1\alpha_2$. So two layers are one layer, with the product
// $\alpha_1\alpha_2$ in place of $\alpha$. The same goes for three layers, and for $t$. With
// $\bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t$:
//
// $$ \boxed{\; x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\;\varepsilon \;} $$
//
// That is all of the forward process: a share of picture, a share of noise, and the squares of the
// shares sum to 1. First the claim about the numbers. We follow a mean and a variance through the
// layers, one at a time, and compare with $\bar\alpha$, which the library's scheduler holds.

// %%
const scheduler = new DDPMScheduler({
  beta_schedule: "linear",
  beta_start: 0.0001,
  beta_end: 0.02,
});
const alphaBar = scheduler.alphaBar;

let share = 1; // of the picture
let variance = 0; // of the noise
for (const beta of betas) {
  share *= Math.sqrt(1 - beta);
  variance = (1 - beta) * variance + beta;
}
// The scheduler keeps its betas in single precision, as the public checkpoints do: 7 digits.
check(
  "picture's share after 1000 layers",
  share,
  Math.sqrt(alphaBar[T - 1]!),
  1e-7,
);
check(
  "noise's variance after 1000 layers",
  variance,
  1 - alphaBar[T - 1]!,
  1e-9,
);
check("squares of both shares", share ** 2 + variance, 1, 1e-12);

// One layer, number by number: the scheduler's α is the ratio of two neighbours.
const alpha500 = alphaBar[499]! / alphaBar[498]!;
const oneMore = tf.tidy(() =>
  addLayer(x0, 499, noise.at("one layer"))
    .sub(x0.mul(Math.sqrt(alpha500)))
    .sub(
      noise
        .at("one layer")
        .normal(x0.shape)
        .mul(Math.sqrt(1 - alpha500)),
    )
    .abs()
    .max()
    .dataSync(),
);
check(
  "layer 500 by the formula, largest difference",
  oneMore[0]!,
  0,
  2e-6,
);

// %% [markdown]
// Now the claim about pictures. Bury the same face 64 times, each time under other noise, 200
// layers deep, one at a time. The mean of the 64 results should be $\sqrt{\bar\alpha}\,x_0$, and
// their spread $\sqrt{1-\bar\alpha}$.
//
// How near should it be? A mean of 64 draws is off by its standard error,
// $\sqrt{(1-\bar\alpha)/64}$, on average over many numbers. We have 768 numbers, so the *size* of
// the error is itself known to about $1/\sqrt{2 \cdot 768} = 2.6\,\%$. Four times that is our
// tolerance. This is how we set tolerances: from the noise we know to be there, not by trial.

// %%
const copies = 64;
const depth = 200;
let stack = tf.tile(x0, [copies, 1, 1, 1]);
const walk = noise.at("one at a time");
for (let t = 0; t < depth; t++) {
  const next = addLayer(stack, t, walk);
  stack.dispose();
  stack = next;
}
const a = alphaBar[depth - 1]!;
const product = betas
  .slice(0, depth)
  .reduce((p, beta) => p * (1 - beta), 1);
check("ᾱ after 200 layers", a, product, 1e-7);
const { mean, variance: spread } = tf.moments(stack, 0);
const rms = (y: tf.Tensor) =>
  Math.sqrt(tf.tidy(() => y.square().mean().dataSync()[0]!));
const errorOfMean = rms(mean.sub(x0.squeeze([0]).mul(Math.sqrt(a))));

check(
  "error of the mean, in standard errors",
  errorOfMean / Math.sqrt((1 - a) / copies),
  1,
  4 * 0.026,
);
// 64 draws around their own mean: one degree of freedom less.
check(
  "variance around the mean",
  spread.mean().dataSync()[0]! * (copies / (copies - 1)),
  1 - a,
  (1 - a) * 4 * Math.sqrt(2 / (copies * 768)),
);

// %% [markdown]
// Both agree. From here on nobody walks: `scheduler.addNoise(x0, noise, timesteps)` jumps, for a
// whole batch at once, each picture to a depth of its own.

// %%
const depths = [0, 24, 49, 99, 149, 199, 299, 399, 599, 999];
// drawing
const jumps = scheduler.addNoise(
  tf.tile(x0, [depths.length, 1, 1, 1]),
  noise.at("jump").normal([depths.length, 16, 16, 3]),
  depths,
) as tf.Tensor4D;
await image(jumps, {
  caption:
    "In one jump, to the same depths. Other noise, but the same picture in it, as faint as before.",
});

// %%
const jumped = scheduler.addNoise(
  x0,
  noise.at("jump").normal(x0.shape),
  [199],
);
const byFormula = x0.mul(Math.sqrt(a)).add(
  noise
    .at("jump")
    .normal(x0.shape)
    .mul(Math.sqrt(1 - a)),
);
check("a jump by the formula", rms(jumped.sub(byFormula)), 0, 1e-6);

// %% [markdown]
// ## What is left at the end?
//
// After 1000 layers the face is invisible. Is it *gone*? Compare what we have, a Gaussian around
// $\sqrt{\bar\alpha_T}\,x_0$ with variance $1-\bar\alpha_T$, with pure noise, $\mathcal N(0, 1)$.
// The Kullback–Leibler divergence tells in bits how much a message about $x_0$ could still hide in
// it. For each of the 768 numbers it is
//
// $$ \begin{aligned}
//    &\tfrac12\bigl(\sigma^2 + \mu^2 - 1 - \ln \sigma^2\bigr), \\
//    &\mu = \sqrt{\bar\alpha_T}\, x_0,\quad \sigma^2 = 1 - \bar\alpha_T.
//    \end{aligned} $$

// %%
const pixels = Array.from(x0.dataSync());
function bitsLeft(alphaBar: number): number {
  const sigma2 = 1 - alphaBar;
  const nats = pixels.map(
    (pixel) =>
      0.5 * (sigma2 + alphaBar * pixel ** 2 - 1 - Math.log(sigma2)),
  );
  return nats.reduce((sum, value) => sum + value, 0) / Math.LN2;
}
table(
  [100, 300, 600, 1000].map((layers) => ({
    layers,
    "picture's share": Math.sqrt(alphaBar[layers - 1]!),
    "noise's share": Math.sqrt(1 - alphaBar[layers - 1]!),
    "bits left of the face": bitsLeft(alphaBar[layers - 1]!),
  })),
  { caption: "What is left of the face", digits: 3 },
);
// For small ᾱ the variance's part is of second order, and ½ ᾱ |x₀|² is left.
const energy = pixels.reduce((sum, pixel) => sum + pixel ** 2, 0);
check(
  "bits left in the end",
  bitsLeft(alphaBar[T - 1]!),
  (0.5 * alphaBar[T - 1]! * energy) / Math.LN2,
  768 * alphaBar[T - 1]! ** 2,
);

// %% [markdown]
// About a hundredth of a bit, of a whole face. So the end of the road is the same for all pictures, and it is a place
// anyone can go to without a picture: draw 768 Gaussian numbers. That is where generation will start.
//
// ## How fast?
//
// Nothing forces the thicknesses to grow in even steps. All that matters is the curve of
// $\bar\alpha_t$, or, which is the same said more tellingly, of the **signal-to-noise ratio**
// $\mathrm{SNR}_t = \bar\alpha_t / (1 - \bar\alpha_t)$. Three curves are in use: *linear* betas
// (the first paper), *scaled linear* (Stable Diffusion), and *cosine*
// ([Nichol and Dhariwal 2021](https://arxiv.org/abs/2102.09672)), which was made for small pictures
// like ours.

// %%
const schedules = {
  linear: alphaBar,
  "scaled linear": new DDPMScheduler({
    beta_schedule: "scaled_linear",
    beta_start: 0.00085,
    beta_end: 0.012,
  }).alphaBar,
  cosine: new DDPMScheduler({ beta_schedule: "squaredcos_cap_v2" })
    .alphaBar,
};

// %% [markdown]
// *Predict, then run.* Of the 1000 layers of the linear schedule, about 260 leave more picture than
// noise. How many do, in the cosine schedule?

// %%
const prediction: Answer = todo;
predict(
  "cosine layers above the line",
  prediction,
  schedules.cosine.filter((share) => share > 0.5).length,
  25,
);

// %% folded
const curves = Object.entries(schedules).flatMap(([schedule, levels]) =>
  Array.from({ length: T / 10 }, (_, i) => ({
    schedule,
    t: 10 * i,
    share: levels[10 * i]!,
    snr: levels[10 * i]! / (1 - levels[10 * i]!),
  })),
);
const line = (y: string) =>
  Plot.line(curves, { x: "t", y, stroke: "schedule", strokeWidth: 2 });
const names = (labels: { schedule: string; t: number; y: number }[]) =>
  Plot.text(labels, {
    x: "t",
    y: "y",
    text: "schedule",
    fill: "schedule",
    fontSize: 13,
  });
const colors = {
  domain: Object.keys(schedules),
  range: ["#4269d0", "#d97706", "#2f9e58"],
};

plot({
  caption: "The picture's share ᾱ of the variance.",
  x: { label: "layers t", grid: true },
  y: { label: "ᾱ", grid: true, domain: [0, 1] },
  color: colors,
  marks: [
    line("share"),
    names([
      { schedule: "linear", t: 175, y: 0.6 },
      { schedule: "scaled linear", t: 600, y: 0.25 },
      { schedule: "cosine", t: 560, y: 0.52 },
    ]),
  ],
});
plot({
  caption: "The same as signal-to-noise ratio, on a logarithmic scale.",
  x: { label: "layers t", grid: true },
  y: {
    label: "SNR",
    grid: true,
    type: "log",
    domain: [1e-5, 1e4],
    clamp: true,
    tickFormat: "~g",
  },
  color: colors,
  marks: [
    Plot.ruleY([1], { strokeDasharray: "4 4" }),
    line("snr"),
    names([
      { schedule: "linear", t: 640, y: 4e-3 },
      { schedule: "scaled linear", t: 250, y: 0.9 },
      { schedule: "cosine", t: 450, y: 6 },
    ]),
  ],
});

// %% [markdown]
// Above the dashed line there is more picture than noise, below it more noise than picture. The
// linear schedule crosses it early: most of its thousand layers are spent on pictures that are
// noise already, which teach little. Look at the same face at the same depths:

// %%
const everyHundred = [0, 99, 199, 299, 399, 499, 599, 699, 799, 899];
const sameNoise = noise.at("schedules").normal([1, 16, 16, 3]);
// drawing
const rows = Object.values(schedules).map((levels) =>
  tf.concat(
    everyHundred.map((t) =>
      x0
        .mul(Math.sqrt(levels[t]!))
        .add<tf.Tensor4D>(sameNoise.mul(Math.sqrt(1 - levels[t]!))),
    ),
  ),
);
await image(tf.concat(rows), {
  caption:
    "Linear, scaled linear, cosine (top to bottom), after 1, 100, 200, … 900 layers.",
  columns: everyHundred.length,
});

// %% [markdown]
// The model that ships with this library is trained on the cosine schedule.
//
// ## What to take along
//
// - A layer of noise: a little paler, a little Gaussian noise, variance kept.
// - $t$ layers are one: $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$.
// - Detail drowns first, the large shapes last. In the end all pictures are the same noise.
// - A schedule is one falling curve, the signal-to-noise ratio. Everything else follows from it.
//
// Next: somebody hands you an $x_t$. [What is the best guess about the picture in it?](./02-the-best-denoiser.md)
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 1`. Each exercise is
// judged on its own.
//
// **1.** Two layers have $\beta = 0.1$ and $\beta = 0.2$. Which single layer does the same?

// %%
const oneLayer: Answer = todo;
await exercise("one layer for two", oneLayer);

// %% [markdown]
// **2.** After how many layers of the linear schedule is there, for the first time, more noise than picture?

// %%
const crossing: Answer = todo;
await exercise("layers until SNR < 1", crossing);

// %% [markdown]
// **3.** Somebody forgets the paling: $x_t = x_{t-1} + \sqrt{\beta_t}\,\varepsilon_t$. What is the
// variance of the noise after the 1000 layers?

// %%
const withoutPaling: Answer = todo;
await exercise("variance without paling", withoutPaling);

// %% [markdown]
// **4.** A picture twice as large in each direction has four times the pixels, and neighbours look
// alike. Average each block of 2 by 2 noisy pixels: the noise's variance falls to a quarter, the
// picture stays. Which share $\bar\alpha$ must the large picture have, to look as noisy after
// averaging as ours does at $\bar\alpha = 0.5$?

// %%
const largeShare: Answer = todo;
await exercise("share for the large picture", largeShare);

// %% [markdown]
// **5.** *Write a function.* It gets a number of a picture, a number of noise, and the $\alpha$ of any
// count of layers, and returns the noisy number in one jump: `(x0, epsilon, alphas) => …`.

// %%
type Jump = (
  x0: number,
  epsilon: number,
  alphas: readonly number[],
) => number;
const jump: Answer<Jump> = todo;
await exercise("a jump", jump);

// %% [markdown]
// **6.** *Find the fault.* Under this layer, pictures fade to grey, and no noise comes in their place.
// Mend the line.

// %%
const fadingLayer = (x: number, epsilon: number, beta: number) =>
  Math.sqrt(1 - beta) * x + beta * epsilon;
await repair("the layer that fades", fadingLayer);
