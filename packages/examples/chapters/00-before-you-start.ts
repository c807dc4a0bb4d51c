// %% [markdown]
// # Before you start
//
// **What must you know to read this book?**
//
// You can program in TypeScript. At school you have seen a derivative and a bell curve. That is enough. This chapter
// repeats the mathematics that all later chapters use, and shows the few functions of TensorFlow.js that they call.
// Every number in it is computed while you read. If you know all this, read the first and the last section only.
//
// ## How to read a chapter
//
// A chapter is a program. The page shows its text and code, and below each piece of code what that code printed.
// To run it yourself:
//
// ```sh
// npm run chapter 0
// ```
//
// The file is `packages/examples/chapters/00-before-you-start.ts`. Change a number in it, save, and run it again. If
// you break the mathematics, a check fails and names both numbers.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { DDPMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import {
  check,
  exercise,
  plot,
  repair,
  show,
  table,
  todo,
  type Answer,
} from "../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2025);

check("two and two", 2 + 2, 4, 0);

// %% [markdown]
// `check(name, got, want, tolerance)` stops the program if the two numbers differ by more than the tolerance. Each
// claim of this book that is a number stands in such a check. The tolerance is never a guess: either the numbers are
// equal up to rounding, or they are means of random draws, and then the tolerance is four standard errors (see below).

// %% folded
const CHAPTERS = [
  { chapter: 0, title: "Before you start", x: 0, y: 0, after: [] },
  { chapter: 1, title: "Forward noising", x: 0, y: 1, after: [0] },
  { chapter: 2, title: "The best denoiser", x: 0, y: 2, after: [1] },
  { chapter: 3, title: "DDPM and DDIM", x: 0, y: 3, after: [2] },
  { chapter: 4, title: "Score, SDE, ODE", x: -0.62, y: 4, after: [3] },
  { chapter: 6, title: "Flow matching", x: -0.62, y: 5, after: [4] },
  { chapter: 13, title: "Few steps", x: -0.62, y: 6, after: [6] },
  { chapter: 5, title: "In two dimensions", x: 0, y: 4.5, after: [3] },
  { chapter: 7, title: "The UNet", x: 0, y: 5.5, after: [5] },
  { chapter: 11, title: "Latents", x: 0, y: 6.5, after: [7] },
  { chapter: 10, title: "Guidance", x: 0.68, y: 4, after: [3] },
  { chapter: 12, title: "Editing", x: 0.68, y: 5, after: [10] },
];
const arrows = CHAPTERS.flatMap(({ x, y, after }) =>
  after.map((chapter) => {
    const from = CHAPTERS.find((other) => other.chapter === chapter)!;
    const along = (share: number) => ({
      x: from.x + share * (x - from.x),
      y: from.y + share * (y - from.y),
    });
    return { from: along(0.28), to: along(0.72) };
  }),
);
plot({
  caption:
    "The way through the book. An arrow says: read this before that.",
  height: 480,
  axis: null,
  x: { domain: [-1.1, 1.1] },
  y: { domain: [6.8, -0.3] },
  marks: [
    Plot.arrow(arrows, {
      x1: ({ from }: (typeof arrows)[number]) => from.x,
      y1: ({ from }: (typeof arrows)[number]) => from.y,
      x2: ({ to }: (typeof arrows)[number]) => to.x,
      y2: ({ to }: (typeof arrows)[number]) => to.y,
      strokeWidth: 2,
    }),
    Plot.text(CHAPTERS, {
      x: "x",
      y: "y",
      text: ({ chapter, title }: (typeof CHAPTERS)[number]) =>
        `${chapter}  ${title}`,
      fontSize: 13,
      fill: "#4269d0",
    }),
  ],
});

// %% [markdown]
// Chapters 1 to 3 are the trunk, and there are three ways on. The left one is for the mathematics: scores,
// differential equations, flows, and networks that draw in one call. The middle one is for building: training,
// networks, and Stable Diffusion from its parts. The right one is for drawing: guidance, then editing.
//
// ## TensorFlow.js in ten minutes
//
// A **tensor** is a block of numbers with a **shape**. A picture of 16 x 16 pixels with three colours has the shape
// `[16, 16, 3]`. Several pictures together have one axis more, at the front: `[B, 16, 16, 3]`, where `B` (for
// "batch") is how many there are. The functions of TensorFlow.js work on all numbers of a tensor at once. Where this
// happens (on WebAssembly, on a graphics card) is decided once, by `useBackend`.

// %%
const numbers = tf.tensor2d([
  [1, 2, 3],
  [4, 5, 6],
]);
show("shape:", numbers.shape, " numbers:", numbers.dataSync());
const product = numbers.mul(10).add(1); // the same as 10 * x + 1 for each number x
show("10 x + 1:", product.dataSync());
check("the last of them", product.dataSync()[5]!, 61, 0);

// %% [markdown]
// `dataSync()` brings the numbers back into an array of JavaScript. On a graphics card this waits until everything
// before it is done. Libraries use `await tensor.data()` instead, which does not block. On WebAssembly the two are
// equal, and a chapter is shorter with the first.
//
// The `!` in `dataSync()[5]!` is for the type checker only. It cannot know that the array has six numbers, and would
// treat the element as "a number or undefined". The `!` says: I know that it is there. A **cast** such as
// `x as tf.Tensor2D` says in the same way: I know that this tensor has two axes. Neither changes the program.
//
// **Broadcasting.** If the shapes of two tensors differ, the smaller one is repeated to fit, from the last axis on.
// An axis of length 1 is repeated as well. This is how each picture of a batch gets its own factor.

// %%
const row = tf.tensor1d([100, 200, 300]); // [3]: added to each row
const column = tf.tensor2d([[1000], [2000]]); // [2, 1]: added to each column
const sums = numbers.add(row).add(column);
show("shape:", sums.shape, " numbers:", sums.dataSync());
check("last row, first column", sums.dataSync()[3]!, 4 + 100 + 2000, 0);

// %% folded
const BLUE = "#4269d0";
const cellsOf = (
  values: readonly (readonly number[])[],
  left: number,
  isReal: (row: number, column: number) => boolean,
) =>
  values.flatMap((line, i) =>
    line.map((value, j) => ({
      x: left + j,
      y: i,
      value,
      real: isReal(i, j),
    })),
  );
const drawing = [
  ...cellsOf(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    0,
    () => true,
  ),
  ...cellsOf(
    [
      [100, 200, 300],
      [100, 200, 300],
    ],
    4,
    (i) => i === 0,
  ),
  ...cellsOf(
    [
      [1000, 1000, 1000],
      [2000, 2000, 2000],
    ],
    8,
    (_, j) => j === 0,
  ),
];
plot({
  caption:
    "Broadcasting: [2, 3] + [3] + [2, 1]. Pale numbers are repetitions; they are never stored.",
  height: 140,
  axis: null,
  x: { domain: [-0.6, 10.6] },
  y: { domain: [1.7, -0.7] },
  marks: [
    Plot.rect(drawing, {
      x1: ({ x }: { x: number }) => x - 0.46,
      x2: ({ x }: { x: number }) => x + 0.46,
      y1: ({ y }: { y: number }) => y - 0.42,
      y2: ({ y }: { y: number }) => y + 0.42,
      stroke: BLUE,
      fill: BLUE,
      fillOpacity: ({ real }: { real: boolean }) => (real ? 0.18 : 0),
      strokeOpacity: ({ real }: { real: boolean }) => (real ? 1 : 0.35),
    }),
    Plot.text(drawing, {
      x: "x",
      y: "y",
      text: "value",
      fontSize: 15,
      opacity: ({ real }: { real: boolean }) => (real ? 1 : 0.45),
    }),
    Plot.text(
      [
        { x: 3, y: 0.5 },
        { x: 7, y: 0.5 },
      ],
      { x: "x", y: "y", text: () => "+", fontSize: 22 },
    ),
  ],
});

// %% [markdown]
// **Memory.** A tensor lives until somebody frees it: `x.dispose()`. That is a nuisance in a formula with ten steps.
// `tf.tidy(function)` frees everything that the function made, except what it returns. `tf.memory().numTensors` says
// how many tensors there are.

// %%
const before = tf.memory().numTensors;
const norm = tf.tidy(() => numbers.square().sum().sqrt());
check("new tensors after tidy", tf.memory().numTensors - before, 1, 0);
// 1 + 4 + 9 + 16 + 25 + 36 = 91. Single precision keeps 24 bits.
check("length of (1, …, 6)", norm.dataSync()[0]!, Math.sqrt(91), 1e-6);
norm.dispose();

// %% [markdown]
// **Gradients.** `tf.grad(f)` makes a function that computes the derivative of $f$. TensorFlow.js knows the derivative
// of each of its operations and combines them by the **chain rule**. The derivative of $f(g(x))$ is
// $f'(g(x)) \cdot g'(x)$. For many inputs and one output, the **gradient** holds the derivative by each input. Take
// the squared error of a line, $L = (w\,x - y)^2$: by the chain rule $\partial L / \partial w = 2\,(w\,x - y)\,x$.

// %%
const [x, y, w] = [3, 10, 2];
const loss = (weight: tf.Tensor) =>
  weight.mul(x).sub(y).square().asScalar();
const byTape = tf.tidy(
  () => tf.grad(loss)(tf.scalar(w)).dataSync()[0]!,
);
check("the tape's derivative", byTape, 2 * (w * x - y) * x, 0);

const lossOf = (weight: number) => (weight * x - y) ** 2;
const h = 1e-5;
const bySlope = (lossOf(w + h) - lossOf(w - h)) / (2 * h);
// A central difference is exact for a parabola. Rounding leaves about 1e-16 * 16 / h.
check("slope between two neighbours", bySlope, byTape, 1e-9);

// %% [markdown]
// Learning means to walk downhill: $w \leftarrow w - \eta\, \partial L/\partial w$. The number $\eta$ is the
// **learning rate**. With $\eta = 0.01$, each step here multiplies the distance to the best weight by
// $1 - 2\eta x^2 = 0.82$.

// %%
const rate = 0.01;
let weight = w;
for (let step = 0; step < 20; step++)
  weight -= rate * 2 * (weight * x - y) * x;
check(
  "weight after 20 steps",
  weight,
  y / x + (w - y / x) * 0.82 ** 20,
  1e-12,
);

// %% [markdown]
// ## Chance in ten minutes
//
// A **random number** $X$ has a **mean** $\mathbb E[X]$: the average of infinitely many draws. Its **variance** is the
// mean squared distance from there, $\operatorname{Var}[X] = \mathbb E\bigl[(X - \mathbb E X)^2\bigr]$. The square
// root of the variance is the **standard deviation**. Three rules are used throughout:
//
// 1. Means add: $\mathbb E[aX + bY] = a\,\mathbb E[X] + b\,\mathbb E[Y]$, always.
// 2. Variances of *independent* numbers add, with squared factors:
//    $\operatorname{Var}[aX + bY] = a^2\operatorname{Var}[X] + b^2\operatorname{Var}[Y]$.
// 3. The mean of $n$ draws has the standard deviation $\sigma/\sqrt n$. This is the **standard error**.
//
// The **Gaussian** (or normal) distribution $\mathcal N(\mu, \sigma^2)$ has the density
//
// $$ p(x) = \frac{1}{\sqrt{2\pi}\,\sigma}\; e^{-(x-\mu)^2 / 2\sigma^2} . $$
//
// Sums of independent Gaussians are Gaussians again. So the rules 1 and 2 say everything about them.

// %%
const n = 200_000;
const a = noise.at("first").normal([n]).dataSync();
const b = noise.at("second").normal([n]).dataSync();
const sum = Float64Array.from(
  a,
  (value, i) => 0.6 * value + 0.8 * b[i]! + 5,
);
const meanOf = (values: ArrayLike<number>) =>
  Array.from(values).reduce((total, value) => total + value, 0) /
  values.length;
const mean = meanOf(sum);
const variance = meanOf(
  Float64Array.from(sum, (value) => (value - mean) ** 2),
);
// Standard errors: 1/√n of the mean, √(2/n) of a Gaussian's variance; tolerances: four of them.
check("mean of 0.6 X + 0.8 Y + 5", mean, 5, 4 / Math.sqrt(n));
check("its variance, 0.6² + 0.8²", variance, 1, 4 * Math.sqrt(2 / n));

// %% folded
const gauss = (value: number, mu: number, sigma: number) =>
  Math.exp(-((value - mu) ** 2) / (2 * sigma ** 2)) /
  (Math.sqrt(2 * Math.PI) * sigma);
const WIDTH = 0.25;
const counts = new Map<number, number>();
for (const value of sum) {
  const bin = Math.floor(value / WIDTH);
  counts.set(bin, (counts.get(bin) ?? 0) + 1);
}
plot({
  caption:
    "200,000 draws of 0.6 X + 0.8 Y + 5 in bins (bars), and the density of N(5, 1) (line).",
  x: { label: "value", domain: [1, 9] },
  y: { label: "density", grid: true },
  marks: [
    Plot.rectY(
      [...counts].filter(
        ([bin]) => bin * WIDTH > 1 && bin * WIDTH < 8.8,
      ),
      {
        x1: ([bin]: [number, number]) => bin * WIDTH,
        x2: ([bin]: [number, number]) => (bin + 1) * WIDTH,
        y: ([, count]: [number, number]) => count / n / WIDTH,
        fill: BLUE,
        fillOpacity: 0.35,
        insetLeft: 1,
      },
    ),
    Plot.line(
      Array.from({ length: 161 }, (_, i) => [
        1 + i / 20,
        gauss(1 + i / 20, 5, 1),
      ]),
      { stroke: "#c2410c", strokeWidth: 2 },
    ),
  ],
});

// %% [markdown]
// ### What noise tells about the number below it
//
// All of this book rests on one question: we see $y = x + \text{noise}$; what was $x$? **Bayes' rule** answers it:
// $p(x \mid y) \propto p(x)\,p(y \mid x)$. Multiply what you believed before by how well each $x$ explains what you
// see. Then divide by the total, so that the chances sum to 1.
//
// Let $x$ come from $\mathcal N(0, s^2)$ and the noise from $\mathcal N(0, \sigma^2)$. Both factors are Gaussians in
// $x$, and so is their product. Its mean and variance are
//
// $$ \mathbb E[x \mid y] = \frac{s^2}{s^2 + \sigma^2}\; y, \qquad
//    \operatorname{Var}[x \mid y] = \frac{s^2\,\sigma^2}{s^2 + \sigma^2} . $$
//
// The best guess is the seen number, *shrunk*: the more noise, the more. We need not believe the formula. A grid of
// possible $x$ and three lines of code do the same by brute force.

// %%
const [s, sigma, seen] = [2, 1, 1.5];
const grid = Array.from({ length: 4001 }, (_, i) => -10 + i / 200);
const belief = grid.map(
  (guess) => gauss(guess, 0, s) * gauss(seen, guess, sigma),
);
const total = belief.reduce((all, value) => all + value, 0);
const posteriorMean =
  grid.reduce((all, guess, i) => all + guess * belief[i]!, 0) / total;
const posteriorVariance =
  grid.reduce(
    (all, guess, i) => all + (guess - posteriorMean) ** 2 * belief[i]!,
    0,
  ) / total;
// Sums over a grid are exact for Gaussians, up to what lies beyond its ends: less than e^-40.
check(
  "mean of x, when y = 1.5 is seen",
  posteriorMean,
  (4 / 5) * 1.5,
  1e-12,
);
check(
  "variance of x, when y = 1.5 is seen",
  posteriorVariance,
  4 / 5,
  1e-12,
);

// %% folded
const curves = [
  {
    name: "before: p(x)",
    density: (value: number) => gauss(value, 0, s),
    color: "#4269d0",
  },
  {
    name: "the seen number: p(y | x)",
    density: (value: number) => gauss(seen, value, sigma),
    color: "#d99a06",
  },
  {
    name: "after: p(x | y)",
    density: (value: number) => gauss(value, 1.2, Math.sqrt(0.8)),
    color: "#c2410c",
  },
];
plot({
  caption:
    "Bayes' rule: the belief before, times how well each x explains y = 1.5, is the belief after.",
  x: { label: "x" },
  y: { label: "density", grid: true, domain: [0, 0.5] },
  marks: [
    ...curves.map(({ density, color }) =>
      Plot.line(
        Array.from({ length: 241 }, (_, i) => [
          -6 + i / 20,
          density(-6 + i / 20),
        ]),
        { stroke: color, strokeWidth: 2 },
      ),
    ),
    Plot.text(
      curves.map(({ name, color }, i) => ({
        name,
        color,
        x: -5.8,
        y: 0.46 - 0.05 * i,
      })),
      {
        x: "x",
        y: "y",
        text: "name",
        fill: "color",
        textAnchor: "start",
        fontSize: 14,
      },
    ),
  ],
});

// %% [markdown]
// ## Randomness that repeats
//
// A chapter must show the same numbers tomorrow. Therefore all chance comes from `keyedNoise(seed)`. The same seed
// and the same names, as in `noise.at("first")`, give the same numbers, in any order and on any machine.

// %%
const again = keyedNoise(2025).at("first").normal([n]).dataSync();
check(
  "draws that differ",
  again.filter((value, i) => value !== a[i]).length,
  0,
  0,
);

// %% [markdown]
// ## Names
//
// The same thing has many names in the papers, and in other programs. This book uses those of the DDPM paper
// ([Ho, Jain and Abbeel 2020](https://arxiv.org/abs/2006.11239)). The table gives the others.

// %% folded
table(
  [
    {
      "this book": "x₀",
      meaning: "clean sample",
      "EDM, k-diffusion": "y, denoised",
      "flow matching": "x₁ or x₀",
      diffusers: "pred_original_sample",
    },
    {
      "this book": "x_t",
      meaning: "noisy sample",
      "EDM, k-diffusion": "x / √(1+σ²)",
      "flow matching": "x_t",
      diffusers: "sample",
    },
    {
      "this book": "ε",
      meaning: "noise, N(0, 1)",
      "EDM, k-diffusion": "n / σ",
      "flow matching": "x₀ or x₁",
      diffusers: "noise, model_output",
    },
    {
      "this book": "β_t",
      meaning: "variance of one layer of noise",
      "EDM, k-diffusion": "",
      "flow matching": "",
      diffusers: "betas",
    },
    {
      "this book": "ᾱ_t",
      meaning: "squared share of the picture",
      "EDM, k-diffusion": "1 / (1+σ²)",
      "flow matching": "",
      diffusers: "alphas_cumprod",
    },
    {
      "this book": "σ",
      meaning: "noise over picture",
      "EDM, k-diffusion": "σ",
      "flow matching": "t / (1−t)",
      diffusers: "sigmas",
    },
    {
      "this book": "v",
      meaning: "velocity",
      "EDM, k-diffusion": "",
      "flow matching": "another one: ε − x₀",
      diffusers: "v_prediction",
    },
    {
      "this book": "D(x_t)",
      meaning: "best guess of x₀",
      "EDM, k-diffusion": "D(x; σ)",
      "flow matching": "",
      diffusers: "",
    },
    {
      "this book": "t",
      meaning: "timestep, 0 to 999",
      "EDM, k-diffusion": "c_noise = ln(σ)/4",
      "flow matching": "t from 0 to 1",
      diffusers: "timestep",
    },
    {
      "this book": "w",
      meaning: "guidance scale",
      "EDM, k-diffusion": "cond_scale",
      "flow matching": "",
      diffusers: "guidance_scale",
    },
  ],
  {
    caption:
      "One thing, several names. An empty field: the notion is not used there.",
  },
);

// %% [markdown]
// The two ways to measure noise are one. EDM adds noise to an unscaled picture, $x_0 + \sigma\varepsilon$. DDPM keeps
// the variance at 1, $\sqrt{\bar\alpha}\,x_0 + \sqrt{1-\bar\alpha}\,\varepsilon$. Divide the second by
// $\sqrt{\bar\alpha}$, and it is the first, with $\sigma = \sqrt{(1-\bar\alpha)/\bar\alpha}$.

// %%
const { alphaBar } = new DDPMScheduler({});
const level = alphaBar[500]!;
const edmSigma = Math.sqrt((1 - level) / level);
check("1 / (1 + σ²) is ᾱ", 1 / (1 + edmSigma ** 2), level, 1e-15);
const [clean, drawn] = [0.7, -1.3];
const ddpmSample =
  Math.sqrt(level) * clean + Math.sqrt(1 - level) * drawn;
check(
  "DDPM's sample, scaled, is EDM's",
  ddpmSample * Math.sqrt(1 + edmSigma ** 2),
  clean + edmSigma * drawn,
  1e-12,
);

// %% [markdown]
// ### A short glossary
//
// | word | meaning |
// | --- | --- |
// | network | layers with weights: a function that training can change |
// | denoiser | the network that a diffusion model calls in each step |
// | sample | what is drawn, at any noise level: a picture, or numbers that stand for one |
// | noise level | how noisy a sample is |
// | scheduler | the class that knows all noise levels, and how to go from one to the next |
// | sampler | the method of such a step: DDPM, DDIM, Euler, Heun, … |
// | step, call | from one level to the next; one evaluation of the network |
// | loss | the number that training makes small |
// | latents | a small tensor that an autoencoder makes of a picture |
// | prompt | the text that says what to draw |
// | guidance | exaggerating what the prompt changes |
//
// ## Take along
//
// - A tensor is numbers and a shape. What is too small is repeated. `tf.tidy` frees what is left over.
// - A gradient is the chain rule, applied by a program. Learning walks against it.
// - Variances of independent numbers add. The error of a mean falls like $1/\sqrt n$.
// - The best guess under noise is a mean over all that it could have been. For Gaussians it is a shrunken $y$.
//
// [Chapter 1](./01-forward-noising.md) begins with a picture, and adds noise to it.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 0`. Each exercise is
// judged on its own. The [solutions](./solutions/00-before-you-start.md) are on a page of their own.
//
// **1.** $X$ and $Y$ are independent, with variances 4 and 9. What is the standard deviation of $X - 2Y$?

// %%
const deviation: Answer = todo;
await exercise("standard deviation", deviation);

// %% [markdown]
// **2.** You see $y = 3$. It is $x$ plus noise of variance 4, and before you believed $x \sim \mathcal N(0, 2)$
// (variance 2). What is the best guess at $x$?

// %%
const guessOfX: Answer = todo;
await exercise("best guess", guessOfX);

// %% [markdown]
// **3.** You measure a mean with 400 draws, and its standard error is 5 times as large as you want. How many draws do
// you need?

// %%
const draws: Answer = todo;
await exercise("draws", draws);

// %% [markdown]
// **4.** *Write a function.* The gradient of $L(w) = \tfrac1n \sum_i (w\,x_i - y_i)^2$ by $w$, for lists of numbers
// `xs` and `ys`.

// %%
type Slope = (
  w: number,
  xs: readonly number[],
  ys: readonly number[],
) => number;
const slopeOfLoss: Answer<Slope> = todo;
await exercise("slope of a loss", slopeOfLoss);

// %% [markdown]
// **5.** *Find the fault.* This is meant to be the variance of $aX + bY$, for independent $X$ and $Y$.

// %%
const varianceOfSum = (
  a: number,
  varX: number,
  b: number,
  varY: number,
) => a * varX + b * varY;
await repair("variance of a sum", varianceOfSum);
