// %% [markdown]
// # Appendix A: Gradients by hand
//
// **A program runs for a thousand steps. How does a machine know the slope of its last number by its first?**
//
// All learning in this book rests on such slopes, and a library computes them in silence. This appendix does it by
// hand. First by the school's way, two neighbours and a quotient, and we find out how many digits that can give. Then
// by a **tape** of forty lines, which finds all slopes in one pass. The two check each other, and together they find a
// mistake that we plant.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { activation, GroupNorm, Linear } from "@tfjs-diffusion/core/nn";
import {
  clipGradients,
  denoisingLoss,
  parameterGradients,
} from "@tfjs-diffusion/core/training";
import { DDPMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
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
const noise = keyedNoise(2044);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const largest = (values: readonly number[]) =>
  Math.max(...values.map(Math.abs));
type Pair = readonly [readonly number[], readonly number[]];
/** The sum of the products of a pair of lists. */
const dot = ([a, b]: Pair) => sum(a.map((value, i) => value * b[i]!));
const lengthOf = (values: readonly number[]) =>
  Math.sqrt(dot([values, values]));
/** The largest difference of a pair of lists. */
const gap = ([a, b]: Pair) =>
  largest(a.map((value, i) => value - b[i]!));
/** The same, over the largest number of the second list. */
const relativeGap = ([a, b]: Pair) => gap([a, b]) / largest(b);
/** Normal numbers with a name. */
const draws = (name: string, count: number) =>
  Array.from(noise.at(name).normal([count]).dataSync());

// %% [markdown]
// Our program is a crowd that grows until the place is full. In each of 1000 steps, $x$ grows by a small share of
// $x\,(1 - x)$. A sampler has the same shape: it starts somewhere, and adds a small step again and again.

// %%
const T = 5;
const START = 0.02;
/** All numbers that the program goes through. */
function growth(start: number, steps: number): number[] {
  const path = [start];
  for (let k = 0; k < steps; k++)
    path.push(path[k]! + (T / steps) * (path[k]! * (1 - path[k]!)));
  return path;
}
const ends = (start: number, steps: number) =>
  growth(start, steps)[steps]!;

// %% folded
const [BLUE, ORANGE, GREEN] = ["#4269d0", "#d97706", "#2f9e58"];
{
  const [low, high] = [growth(START, 1000), growth(0.03, 1000)];
  const every = low.flatMap((y, k) =>
    k % 20 === 0 ? [{ k, low: y, high: high[k]! }] : [],
  );
  plot({
    caption:
      "Two starts, 0.02 and 0.03. The slope is the gap at the end over the gap at the start, for a tiny gap.",
    height: 280,
    x: { label: "step", grid: true, ticks: [0, 250, 500, 750] },
    y: { label: "x", grid: true, domain: [0, 1] },
    marks: [
      Plot.areaY(every, {
        x: "k",
        y1: "low",
        y2: "high",
        fill: ORANGE,
        fillOpacity: 0.25,
      }),
      Plot.line(every, { x: "k", y: "low", stroke: BLUE }),
      Plot.line(every, { x: "k", y: "high", stroke: BLUE }),
    ],
  });
}

// %% [markdown]
// ## Two neighbours
//
// The slope of $f$ at $x$ is nearly a **central difference**. Taylor's series says how nearly: the even terms cancel,
// and of the odd ones the third remains,
//
// $$ \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots $$
//
// So make $h$ tiny? No. A computer rounds $f$ to the nearest number that it has. Near $f$, these have the distance
// $\delta$. An error of rounding is anywhere between $-\delta/2$ and $\delta/2$, so its variance is $\delta^2/12$.
// The difference has two of them, divided by $2h$. The square of the error is therefore, on average,
//
// $$ E^2(h) = \Bigl(\frac{h^2 f'''}{6}\Bigr)^2 + \frac{1}{4h^2} \cdot \frac{2\,\delta^2}{12}. $$
//
// We test this with $f(x) = 1/x$ at 2048 places between 1 and 2. There $f'''/6 = -1/x^4$, and $f$ lies between ½ and 1,
// so $\delta = 2^{-53}$ in double precision and $2^{-24}$ in single. A division is rounded once, and powers of two as
// $h$ add no error of their own.

// %%
type Round = (x: number) => number;
const PRECISIONS = [
  { name: "single", round: Math.fround, delta: 2 ** -24 },
  { name: "double", round: (x: number) => x, delta: 2 ** -53 },
];
const places = Array.from({ length: 2048 }, (_, i) => 1 + i / 2048);
const rootMeanSquare = (errors: readonly number[]) =>
  Math.sqrt(mean(errors.map((error) => error ** 2)));
const measuredError = (h: number, round: Round) =>
  rootMeanSquare(
    places.map((x) => {
      const rise = round(1 / (x + h)) - round(1 / (x - h));
      return rise / (2 * h) + 1 / x ** 2;
    }),
  );

/** The mean of 1/x⁸ between 1 and 2, by integration. */
const CURVED = (1 - 2 ** -7) / 7;
const expectedError = (h: number, delta: number) =>
  Math.sqrt(CURVED * h ** 4 + delta ** 2 / (24 * h ** 2));

const errors = PRECISIONS.flatMap(({ name, round, delta }) =>
  Array.from({ length: name === "single" ? 17 : 31 }, (_, i) => {
    const h = 2 ** -(i + 4);
    const measured = measuredError(h, round);
    return { name, h, measured, expected: expectedError(h, delta) };
  }),
);
check(
  "errors of 48 quotients over the expected ones, largest distance from 1",
  largest(
    errors.map(({ measured, expected }) => measured / expected - 1),
  ),
  0,
  // Four standard errors: the difference of two uniform numbers has
  // the fourth moment 2.4, so one is √((2.4 - 1) / 2048) / 2.
  2 * Math.sqrt(1.4 / 2048),
);

// %% folded
plot({
  caption:
    "Error of the quotient, measured (dots) and expected (lines). On the right it is the curve, on the left rounding.",
  height: 320,
  marginLeft: 55,
  marginRight: 20,
  x: {
    label: "h",
    type: "log",
    ticks: 5,
    tickFormat: ".0e",
    grid: true,
  },
  y: {
    label: "error",
    type: "log",
    ticks: 5,
    tickFormat: ".0e",
    grid: true,
  },
  color: { domain: ["single", "double"], range: [ORANGE, BLUE] },
  marks: [
    Plot.line(errors, { x: "h", y: "expected", stroke: "name" }),
    Plot.dot(errors, { x: "h", y: "measured", fill: "name", r: 3 }),
    Plot.text(
      [
        { x: 1e-4, y: 3e-3, name: "single" },
        { x: 1e-8, y: 2e-6, name: "double" },
      ],
      { x: "x", y: "y", text: "name", fill: "name", fontSize: 15 },
    ),
  ],
});

// %% [markdown]
// Where is the bottom? Set the derivative of $E^2$ to zero. With $M$ for the mean of $(f'''/6)^2$,
//
// $$ \begin{aligned}
//    4 M h^3 &= \frac{\delta^2}{12\,h^3}, &
//    h^* &= \Bigl(\frac{\delta^2}{48 M}\Bigr)^{1/6}, \\
//    && E(h^*) &= \sqrt{3M}\,h^{*2}.
//    \end{aligned} $$
//
// The best $h$ is about the *third root* of the precision, and the error is its square. So **a central difference keeps
// two thirds of the digits.** In single precision these are five, and no trick gives more.

// %%
const bestStep = (delta: number) =>
  (delta ** 2 / (48 * CURVED)) ** (1 / 6);
const digitsKept = (delta: number) =>
  -Math.log10(Math.sqrt(3 * CURVED) * bestStep(delta) ** 2);
const [single, double] = [2 ** -24, 2 ** -53];
table(
  PRECISIONS.map(({ name, delta }) => ({
    precision: name,
    "digits of a number": -Math.log10(delta),
    "best h": bestStep(delta),
    "digits of the slope": digitsKept(delta),
  })),
  { caption: "The best central difference for 1/x", digits: 3 },
);
check("best h, double", bestStep(double), 3.49e-6, 5e-9);
check("best h, single", bestStep(single), 2.84e-3, 5e-6);
check(
  "digits gained per digit of precision",
  (digitsKept(double) - digitsKept(single)) / Math.log10(2 ** 29),
  2 / 3,
  1e-12,
);
check(
  "measured error at h = 2⁻¹⁸, over the smallest possible",
  measuredError(2 ** -18, (x) => x) * 10 ** digitsKept(double),
  1.017, // 2⁻¹⁸ is not quite the best h
  2 * Math.sqrt(1.4 / 2048),
);

// %% [markdown]
// The second trouble is the price. A network with a billion weights has a billion slopes, and each needs two runs.
//
// ## The tape
//
// Every program, however long, is made of small operations. The slope of each is known from school:
//
// | operation | slope by $a$ | slope by $b$ |
// | --- | --- | --- |
// | $a + b$ | 1 | 1 |
// | $a - b$ | 1 | −1 |
// | $a\,b$ | $b$ | $a$ |
// | $\operatorname{silu}(a) = a\,s$, with $s = \operatorname{sigmoid}(a)$ | $s\,(1 + a\,(1 - s))$ | |
//
// While the program runs, write down each result, from what it was made, and these local slopes. That list is the
// tape. Then read it backwards. The last number has the slope 1 by itself. Each entry hands its own slope on to what it
// was made from, times the local slope. That is the chain rule. What is used twice is handed two amounts, and they
// **add**.

// %%
const sigmoid = (a: number) => 1 / (1 + Math.exp(-a));
const silu = (a: number) => a * sigmoid(a);
const siluSlope = (a: number) =>
  sigmoid(a) * (1 + a * (1 - sigmoid(a)));

let tape: Value[] = [];
/** A number on the tape. */
class Value {
  /** The slope of the last number by this one. */
  slope = 0;
  /** What it was made from, with the slope by each. */
  readonly from: readonly (readonly [Value, number])[];

  constructor(
    readonly value: number,
    ...from: readonly (readonly [Value, number])[]
  ) {
    this.from = from;
    tape.push(this);
  }
  plus(b: Value) {
    return new Value(this.value + b.value, [this, 1], [b, 1]);
  }
  minus(b: Value) {
    return new Value(this.value - b.value, [this, 1], [b, -1]);
  }
  times(b: Value) {
    return new Value(
      this.value * b.value,
      [this, b.value],
      [b, this.value],
    );
  }
  silu() {
    return new Value(silu(this.value), [this, siluSlope(this.value)]);
  }
}

function backward(last: Value): void {
  last.slope = 1;
  for (const { slope, from } of [...tape].reverse())
    for (const [source, local] of from) source.slope += slope * local;
}

// %% [markdown]
// The squared error of a line, $L = (w\,x + b - y)^2$, with $w = 2$, $x = 3$, $b = -1$ and $y = 2$. By hand: the error
// is 3, so $L = 9$, $\partial L/\partial b = 2 \cdot 3 = 6$, and $\partial L/\partial w = 6x = 18$.

// %%
const [w, x] = [new Value(2), new Value(3)];
const [b, y] = [new Value(-1), new Value(2)];
const product = w.times(x);
const guess = product.plus(b);
const error = guess.minus(y);
const squared = error.times(error);
backward(squared);
check("loss", squared.value, 9, 0);
check("slope by w", w.slope, 18, 0);
check("slope by b", b.slope, 6, 0);
check("slope by x, which is 6w", x.slope, 12, 0);
check("slope by y", y.slope, -6, 0);

// %% folded
{
  const nodes = [
    { v: w, name: "w", at: [0, 3] },
    { v: x, name: "x", at: [0, 2] },
    { v: b, name: "b", at: [1, 1] },
    { v: y, name: "y", at: [2, 0.4] },
    { v: product, name: "w x", at: [1, 2.5] },
    { v: guess, name: "w x + b", at: [2, 2] },
    { v: error, name: "error", at: [3, 1.5] },
    { v: squared, name: "error²", at: [4, 1.5] },
  ].map(({ v, name, at }) => ({ v, name, x: at[0]!, y: at[1]! }));
  type Node = (typeof nodes)[number];
  const edges = nodes.flatMap((to) =>
    to.v.from.map(([source]) => {
      const from = nodes.find(({ v }) => v === source)!;
      return { x1: from.x, y1: from.y, x2: to.x, y2: to.y };
    }),
  );
  plot({
    caption:
      "The tape as a graph. Blue: the numbers, from left to right. Orange: the slopes, from right to left.",
    height: 330,
    axis: null,
    x: { domain: [-0.45, 4.45] },
    y: { domain: [-0.1, 3.6] },
    marks: [
      Plot.arrow(edges, {
        x1: "x1",
        y1: "y1",
        x2: "x2",
        y2: "y2",
        stroke: "currentColor",
        strokeOpacity: 0.5,
        inset: 24,
        headLength: 6,
      }),
      Plot.text(nodes, {
        x: "x",
        y: ({ y }: Node) => y + 0.3,
        text: "name",
        fontSize: 13,
      }),
      Plot.text(nodes, {
        x: "x",
        y: "y",
        text: ({ v }: Node) => `${v.value}`,
        fill: BLUE,
        fontSize: 16,
      }),
      Plot.text(nodes, {
        x: "x",
        y: ({ y }: Node) => y - 0.28,
        text: ({ v }: Node) => `${v.slope}`,
        fill: ORANGE,
        fontSize: 16,
      }),
    ],
  });
}

// %% [markdown]
// ## A thousand steps
//
// Now the program of the beginning, on the tape. Nothing new is needed: a loop is only a longer list. Its slope can
// also be found without a tape. Each step maps $x$ to $x + h\,x(1-x)$, and its slope is $1 + h\,(1 - 2x)$. By the chain
// rule the whole slope is the product of a thousand such factors.

// %%
function growthOnTape(start: number, steps: number) {
  tape = [];
  const first = new Value(start);
  const [one, h] = [new Value(1), new Value(T / steps)];
  let last = first;
  for (let k = 0; k < steps; k++)
    last = last.plus(h.times(last.times(one.minus(last))));
  backward(last);
  return { end: last.value, slope: first.slope };
}
const taped = growthOnTape(START, 1000);
check("end, with and without tape", taped.end, ends(START, 1000), 0);
check("numbers on the tape", tape.length, 3 + 4 * 1000, 0);
check(
  "slope of a thousand steps, as a product",
  taped.slope,
  growth(START, 1000)
    .slice(0, -1)
    .map((x) => 1 + (T / 1000) * (1 - 2 * x))
    .reduce((a, b) => a * b),
  1e-12, // thousands of roundings, a few 1e-16 each
);
const quotient = (f: (x: number) => number, x: number, h: number) =>
  (f(x + h) - f(x - h)) / (2 * h);
check(
  "and as a quotient",
  quotient((start) => ends(start, 1000), START, 1e-6),
  taped.slope,
  // f''' is about 8e4 here: 8e4 h² / 6. Rounding is below 1e-15 / h.
  2e-8,
);

// %% [markdown]
// With ever smaller steps the program becomes a differential equation, $\dot x = x\,(1 - x)$. It has a solution, and
// separating the variables gives its slope: $x_T(1-x_T) / (x_0(1-x_0))$. Euler's error falls with the first power of
// the step. So twice the slope of 2000 steps minus that of 1000 leaves only the second power.

// %%
const grown = Math.exp(T) * START;
const exactEnd = grown / (1 - START + grown);
const exactSlope = (exactEnd * (1 - exactEnd)) / (START * (1 - START));
check(
  "exact slope, from the solution itself",
  exactSlope,
  Math.exp(T) / (1 - START + grown) ** 2,
  1e-12,
);
const finer = growthOnTape(START, 2000).slope;
check(
  "half the step: the error, times 2",
  (2 * (finer - exactSlope)) / (taped.slope - exactSlope),
  1,
  T / 1000, // the next power of the step
);
check(
  "1000 and 2000 steps together, relative to the equation",
  (2 * finer - taped.slope) / exactSlope - 1,
  0,
  (T / 1000) ** 2, // the second power
);

// %% [markdown]
// Each entry of the tape hands on at most two products. So **all slopes together cost about as much as two runs**,
// however many there are. ([Appendix C](./93-what-a-step-costs.md) counts the same in a real network: three times a
// forward pass.) The price is memory: the tape keeps every number until it is read. Real tapes keep tensors.
//
// A product of a thousand factors has one more trouble. Let each be off from 1 by a hundredth:

// %%
check("1.01 in a thousand steps", 1.01 ** 1000, 20_959, 1);
check("0.99 in a thousand steps", 0.99 ** 1000 * 1e5, 4.3, 0.05);

// %% [markdown]
// Slopes **explode** or **vanish**. This is why networks are built from blocks that *add* a little
// ([chapter 7](./07-the-unet.md)), and why gradients are clipped, at the end of this appendix.
//
// ## A network
//
// Now a denoiser: two noisy numbers and the time go in, six hidden numbers with SiLU follow, and the two numbers of the
// noise come out. It has 38 weights. The library has drawn eight points, times and noises, and we compute its
// `denoisingLoss` on our tape.

// %%
const [IN, HIDDEN, OUT, BATCH] = [3, 6, 2, 8];
const scheduler = new DDPMScheduler({ clip_sample: false });
const layers = [new Linear(IN, HIDDEN), new Linear(HIDDEN, OUT)];
const variables = new Map<string, tf.Variable>();
layers.forEach(({ weight, bias }, i) => {
  for (const [kind, parameter] of Object.entries({ weight, bias })) {
    const name = `${i}.${kind}`;
    parameter!.assign(noise.at(name).normal(parameter!.shape));
    variables.set(name, parameter!.variable);
  }
});
const swish = activation("silu");
const points = noise.at("points").normal([BATCH, 2]) as tf.Tensor2D;

let times: number[] = [];
const libraryLoss = () =>
  denoisingLoss({
    scheduler,
    x0: points,
    noise: noise.at("loss"),
    model: (noisy, timesteps) => {
      times = timesteps;
      const time = tf.tensor2d(timesteps.map((t) => [t / 1000]));
      const hidden = layers[0]!.forward(tf.concat([noisy, time], 1));
      return layers[1]!.forward(swish(hidden));
    },
  });
const byLibrary = parameterGradients(libraryLoss, variables);
const flat = (tensors: Iterable<tf.Tensor>) =>
  [...tensors].flatMap((tensor) => Array.from(tensor.dataSync()));
const weights = flat(variables.values());
const librarySlopes = flat(
  [...variables.keys()].map((name) => byLibrary.gradients[name]!),
);
check(
  "(1, 2) from (1, 4), relative",
  relativeGap([
    [1, 2],
    [1, 4],
  ]),
  0.5,
  0,
);
check(
  "weights",
  weights.length,
  IN * HIDDEN + HIDDEN + HIDDEN * OUT + OUT,
  0,
);

// %% [markdown]
// The same with our own four operations, one number at a time:

// %%
const cleanPoints = points.arraySync();
const epsilon = (
  noise.at("loss").at("epsilon").normal([BATCH, 2]) as tf.Tensor2D
).arraySync();
/** Inputs of the network, [8][3]. */
const inputs = times.map((t, i) => {
  const a = scheduler.alphaBar[t]!;
  const noisy = [0, 1].map(
    (k) =>
      Math.sqrt(a) * cleanPoints[i]![k]! +
      Math.sqrt(1 - a) * epsilon[i]![k]!,
  );
  return [...noisy, t / 1000];
});

/** One linear layer; `at` says where its weights begin. */
const linear = (
  input: Value[],
  weights: Value[],
  at: number,
  out: number,
) =>
  Array.from({ length: out }, (_, j) =>
    input.reduce(
      (total, value, i) =>
        total.plus(value.times(weights[at + i * out + j]!)),
      weights[at + input.length * out + j]!, // the bias
    ),
  );

function networkOnTape(numbers: readonly number[]) {
  tape = [];
  const weights = numbers.map((value) => new Value(value));
  let total = new Value(0);
  inputs.forEach((input, i) => {
    const given = input.map((value) => new Value(value));
    const hidden = linear(given, weights, 0, HIDDEN).map((value) =>
      value.silu(),
    );
    const second = IN * HIDDEN + HIDDEN;
    linear(hidden, weights, second, OUT).forEach((said, k) => {
      const error = said.minus(new Value(epsilon[i]![k]!));
      total = total.plus(error.times(error));
    });
  });
  const loss = total.times(new Value(1 / (BATCH * OUT)));
  return { loss, weights };
}
const ours = networkOnTape(weights);
backward(ours.loss);
const slopes = ours.weights.map(({ slope }) => slope);
check(
  "our loss over the library's",
  ours.loss.value / byLibrary.loss.dataSync()[0]!,
  1,
  1e-6, // single precision
);
check(
  "38 slopes against the library's, over the largest",
  relativeGap([librarySlopes, slopes]),
  0,
  1e-6,
);

// %% [markdown]
// And every weight once a little up, once a little down: 76 runs of the network. In double precision, at a good $h$,
// about ten digits must agree.

// %%
/** The quotient by each number of x, in 2 x.length runs. */
function quotients(
  f: (x: readonly number[]) => number,
  x: readonly number[],
  h: number,
): number[] {
  return x.map((_, i) =>
    quotient(
      (value) => f(x.map((other, k) => (k === i ? value : other))),
      x[i]!,
      h,
    ),
  );
}
const lossOf = (numbers: readonly number[]) =>
  networkOnTape(numbers).loss.value;
const misses = [1e-2, 1e-3, 1e-4, 1e-5, 1e-9].map((h) => ({
  h,
  "largest difference": gap([quotients(lossOf, weights, h), slopes]),
}));
table(misses, {
  caption: "Quotients against the tape, 38 slopes",
  digits: 2,
});
check(
  "quotients against the tape, h = 1e-5",
  misses[3]!["largest difference"],
  0,
  1e-9, // h² f''' / 6, with slopes of the order 1
);
check(
  "a tenth of h: the error, times 100",
  (100 * misses[1]!["largest difference"]) /
    misses[0]!["largest difference"],
  1,
  1e-2, // the next term is h² times smaller
);

// %% [markdown]
// ## Rules for whole layers
//
// A tape with an entry for each number is slow. Real ones have an entry for each *layer*, with a rule for the layer as
// a whole. Three rules carry most of a UNet. Let $d$ be the slopes of the loss by what the layer gives, $y$.
//
// **Linear**, $y = xW + b$. Each product hands $d$ on, times the other factor:
//
// $$ d_x = d\,W^\top, \qquad d_W = x^\top d, \qquad d_b = d. $$
//
// **SiLU**: number by number, $d_x = d \cdot s\,(1 + x\,(1 - s))$.
//
// **Normalising** a group, $y = (x - m)/s$ with its mean $m$ and $s^2 = \operatorname{var} + \epsilon$. Here every $y$
// depends on every $x$, in three ways: directly, through the mean, and through $s$. With $\mathbb E$ for the mean over
// the group, the three amounts are
//
// $$ d_x = \frac1s \bigl( d - \mathbb E[d] - y\;\mathbb E[d\,y] \bigr). $$

// %%
const EPS = 1e-5;
const statistics = (x: readonly number[]) => {
  const m = mean(x);
  const variance = mean(x.map((value) => (value - m) ** 2));
  return { m, variance, s: Math.sqrt(variance + EPS) };
};
const normalise = (x: readonly number[]) => {
  const { m, s } = statistics(x);
  return x.map((value) => (value - m) / s);
};
type Back = (x: readonly number[], d: readonly number[]) => number[];
const normaliseBack: Back = (x, d) => {
  const { s } = statistics(x);
  const y = normalise(x);
  const along = dot([d, y]) / y.length;
  return d.map((value, i) => (value - mean(d) - y[i]! * along) / s);
};
const siluBack: Back = (x, d) =>
  d.map((value, i) => value * siluSlope(x[i]!));

// %% [markdown]
// The second and the third amount have a meaning. A normalised group does not notice if all $x$ move together, or if
// they all stretch away from their mean. So the slopes must have nothing in these two directions. Nothing in the first,
// exactly. In the second there remains the share of $\epsilon$ in $s^2$: $\mathbb E[d\,y]\,\epsilon/s^2$.

// %%
const group = draws("group", 8).map((value) => 0.02 * value + 3);
const d = draws("d", 8);
const handedOn = normaliseBack(group, d);
const { m: middle, s: spread } = statistics(group);
const stretch = group.map((value) => value - middle);
// Slopes are up to 50 here: rounding is below 1e-14 for each.
check("slopes if all move together", sum(handedOn), 0, 1e-12);
check(
  "slopes if all stretch",
  dot([handedOn, stretch]),
  (dot([d, normalise(group)]) * EPS) / spread ** 2,
  1e-12,
);

// %% [markdown]
// Now a whole block: linear, normalised in two groups of four with a factor $\gamma$ and an addend $\beta$ each, SiLU.
// The library's block runs on kernels for WebAssembly, whose gradients are written by hand as well. The loss is the sum
// of the outputs, each times a fixed number $c$.

// %%
const WIDE = 8;
const sizesOf = { x: 5, W: 5 * WIDE, b: WIDE, gamma: WIDE, beta: WIDE };
type Name = keyof typeof sizesOf;
const NAMES = Object.keys(sizesOf) as Name[];
type Lists = Record<Name, number[]>;
const given = Object.fromEntries(
  NAMES.map((name) => [name, draws(`block ${name}`, sizesOf[name])]),
) as Lists;
const c = draws("c", WIDE);
/** A function of each group of four. */
const inGroups = (x: number[], f: (part: number[]) => number[]) => [
  ...f(x.slice(0, WIDE / 2)),
  ...f(x.slice(WIDE / 2)),
];

function block({ x, W, b, gamma, beta }: Lists) {
  const before = b.map(
    (bias, j) => bias + sum(x.map((v, i) => v * W[i * WIDE + j]!)),
  );
  const normal = inGroups(before, normalise);
  const scaled = normal.map((v, j) => v * gamma[j]! + beta[j]!);
  return { before, normal, scaled, loss: dot([c, scaled.map(silu)]) };
}

/** All slopes of the block, each layer by its rule. */
function blockBack(
  lists: Lists,
  normaliseRule = normaliseBack,
  siluRule = siluBack,
): Lists {
  const { x, W, gamma } = lists;
  const { before, normal, scaled } = block(lists);
  const beta = siluRule(scaled, c);
  const dNormal = beta.map((v, j) => v * gamma[j]!);
  const half = WIDE / 2;
  const b = [0, half].flatMap((k) =>
    normaliseRule(
      before.slice(k, k + half),
      dNormal.slice(k, k + half),
    ),
  );
  return {
    beta,
    gamma: beta.map((v, j) => v * normal[j]!),
    b,
    W: x.flatMap((v) => b.map((slope) => v * slope)),
    x: x.map((_, i) => dot([b, W.slice(i * WIDE, (i + 1) * WIDE)])),
  };
}

const blockLayer = new Linear(5, WIDE);
const norm = new GroupNorm(2, WIDE, EPS);
blockLayer.weight.assign(tf.tensor2d(given.W, [5, WIDE]));
blockLayer.bias!.assign(tf.tensor1d(given.b));
norm.weight.assign(tf.tensor1d(given.gamma));
norm.bias.assign(tf.tensor1d(given.beta));
const blockInput = tf.variable(tf.tensor4d(given.x, [1, 1, 1, 5]));
const blockVariables = new Map<Name, tf.Variable>([
  ["x", blockInput],
  ["W", blockLayer.weight.variable],
  ["b", blockLayer.bias!.variable],
  ["gamma", norm.weight.variable],
  ["beta", norm.bias.variable],
]);
const libraryBlock = parameterGradients(
  () =>
    norm
      .forward(blockLayer.forward(blockInput as tf.Tensor4D), swish)
      .mul(tf.tensor1d(c))
      .sum(),
  blockVariables,
);
const blockSlopes = blockBack(given);
for (const name of NAMES)
  check(
    `slopes by ${name} against the library's`,
    relativeGap([
      Array.from(libraryBlock.gradients[name]!.dataSync()),
      blockSlopes[name],
    ]),
    0,
    1e-6, // single precision
  );

// %% [markdown]
// ## A check that finds mistakes
//
// Both could share a mistake: who wrote one has read the other. The quotient shares nothing with them. It knows the
// function only from outside. So here is the **gradient check**. For each list of numbers it gives the largest
// difference of slope and quotient, over the largest slope. Then we plant four mistakes, one at a time.

// %%
const H = 1e-5;
/** For each list: the largest miss, over the largest slope. */
function gradientCheck(slopesOf: (lists: Lists) => Lists) {
  const claimed = slopesOf(given);
  return Object.fromEntries(
    NAMES.map((name) => {
      const measured = quotients(
        (list) => block({ ...given, [name]: list }).loss,
        given[name],
        H,
      );
      return [name, relativeGap([claimed[name], measured])];
    }),
  ) as Record<Name, number>;
}

const forgetsMean: Back = (x, d) => {
  const { s } = statistics(x);
  return normaliseBack(x, d).map((value) => value + mean(d) / s);
};
const forgetsSpread: Back = (x, d) => {
  const { s } = statistics(x);
  return d.map((value) => (value - mean(d)) / s);
};
const wrongSign: Back = (x, d) =>
  d.map((value, i) => {
    const s = sigmoid(x[i]!);
    return value * (s * (1 - x[i]! * (1 - s)));
  });
const findings = {
  "no mistake": gradientCheck(blockBack),
  "mean forgotten": gradientCheck((lists) =>
    blockBack(lists, forgetsMean),
  ),
  "spread forgotten": gradientCheck((lists) =>
    blockBack(lists, forgetsSpread),
  ),
  "a sign in SiLU": gradientCheck((lists) =>
    blockBack(lists, normaliseBack, wrongSign),
  ),
  "bias doubled": gradientCheck((lists) => {
    const right = blockBack(lists);
    return { ...right, b: right.b.map((slope) => slope * 2) };
  }),
};
table(
  Object.entries(findings).map(([mistake, found]) => ({
    mistake,
    ...found,
  })),
  { caption: "The gradient check, for five lists", digits: 1 },
);
const found = (mistake: keyof typeof findings) =>
  NAMES.filter((name) => findings[mistake][name] > 1e-3).length;
check(
  "without a mistake, the largest miss",
  largest(Object.values(findings["no mistake"])),
  0,
  1e-8, // h² times a third derivative of the order 10
);
// What the two forgotten amounts are, by the two directions above.
check(
  "mean forgotten: slopes if all move together",
  sum(forgetsMean(group, d)),
  sum(d) / spread,
  1e-12,
);
check(
  "spread forgotten: slopes if all stretch",
  dot([forgetsSpread(group, d), stretch]),
  dot([d, normalise(group)]),
  1e-12,
);
check("bias doubled, its miss", findings["bias doubled"].b, 1, 1e-8);
check("lists that a doubled bias touches", found("bias doubled"), 1, 0);
check("lists that the mean touches", found("mean forgotten"), 3, 0);
check("lists that the spread touches", found("spread forgotten"), 3, 0);
check("lists that SiLU touches", found("a sign in SiLU"), 5, 0);

// %% [markdown]
// The pattern also says *where* the mistake is. Slopes run backwards, so all lists before a mistake are wrong, and
// those after it are right. SiLU comes last, so all five are wrong. A mistake in the norm leaves $\gamma$ and $\beta$
// alone.
//
// Two warnings. A check at a special place is blind: at $x = 0$ the term with the wrong sign is zero. And a kink raises
// a false alarm. Half a step beside the kink of $|x|$, the two neighbours lie on both sides of it:

// %%
check(
  "miss of the wrong sign at x = 0",
  wrongSign([0], [1])[0]! - quotient(silu, 0, H),
  0,
  1e-10,
);
check(
  "miss of the wrong sign at x = 1",
  wrongSign([1], [1])[0]! - quotient(silu, 1, H),
  -2 * sigmoid(1) * (1 - sigmoid(1)),
  1e-9,
);
check(
  "|x| at h/2: a quotient of",
  quotient(Math.abs, H / 2, H),
  0.5,
  1e-12,
);

// %% [markdown]
// So check at random places, in double precision, and with smooth functions.
//
// ## Clipping
//
// A slope is true only nearby. Where the ground is steep, a step of the usual length times the slope goes too far. Take
// $L = x^4$ at $x = 3$ with the rate 0.1. The slope is $4 \cdot 27 = 108$. The first step leads to $3 - 10.8 = -7.8$,
// and the second to 182. **Clipping** shortens a gradient that is longer than a limit, and keeps its direction:
//
// $$ g \leftarrow g \cdot \min\bigl(1,\; \text{limit} / \|g\| \bigr). $$

// %%
const clip = (g: readonly number[], limit: number) => {
  const factor = Math.min(1, limit / lengthOf(g));
  return g.map((value) => value * factor);
};
function descend(steps: number, limit: number): number {
  let x = 3;
  for (let k = 0; k < steps; k++)
    x -= 0.1 * clip([4 * x ** 3], limit)[0]!;
  return x;
}
check("two steps without clipping", descend(2, Infinity), 182.02, 0.01);
check("24 steps, clipped to 1", descend(24, 1), 3 - 24 * 0.1, 1e-12);
check(
  "a step more, where the slope is below 1",
  descend(25, 1),
  0.6 - 0.1 * 4 * 0.6 ** 3,
  1e-12,
);

// %% [markdown]
// All weights of a network count as *one* vector. Limiting each number alone would turn the gradient: $(3, 4)$ would
// become $(1, 1)$, and the cosine of the angle between them is 7 / (5√2) = 0.99. With $(0.5, 40)$ it is far worse.

// %%
const cosine = ([a, b]: Pair) =>
  dot([a, b]) / (lengthOf(a) * lengthOf(b));
const each = (g: readonly number[]) =>
  g.map((value) => Math.max(-1, Math.min(1, value)));
check(
  "cosine for (3, 4)",
  cosine([[3, 4], each([3, 4])]),
  7 / (5 * Math.SQRT2),
  1e-12,
);
check(
  "cosine for (0.5, 40)",
  cosine([[0.5, 40], each([0.5, 40])]),
  40.25 / Math.sqrt((0.25 + 1600) * 1.25),
  1e-12,
);
const length = lengthOf(slopes);
const clipped = clip(slopes, length / 2);
const libraryClipped = clipGradients(byLibrary.gradients, length / 2);
check(
  "length of all slopes, over the library's",
  length / libraryClipped.norm.dataSync()[0]!,
  1,
  1e-6,
);
check("cosine for our network", cosine([slopes, clipped]), 1, 1e-12);
check(
  "its slopes after clipping, against the library's",
  relativeGap([
    flat(
      [...variables.keys()].map(
        (name) => libraryClipped.gradients[name]!,
      ),
    ),
    clipped,
  ]),
  0,
  2e-6, // single precision, and the 1e-6 that the library adds
);
check(
  "a short gradient stays as it is",
  gap([clip(slopes, 2 * length), slopes]),
  0,
  0,
);

// %% folded
{
  const g = [1.2, 3.2];
  const arrows = [
    { name: "gradient", to: g, color: "gray" },
    { name: "clipped", to: clip(g, 1.6), color: BLUE },
    {
      name: "each clipped",
      to: g.map((value) => Math.min(1.13, value)),
      color: ORANGE,
    },
  ].map(({ name, to, color }) => ({
    name,
    x: to[0]!,
    y: to[1]!,
    color,
  }));
  type Arrow = (typeof arrows)[number];
  plot({
    caption:
      "Clipping the length keeps the direction (blue). Clipping each number turns it towards the diagonal (orange).",
    height: 330,
    axis: null,
    x: { domain: [-3.2, 4.77] }, // as wide as high

    y: { domain: [-0.1, 3.5] },
    marks: [
      Plot.line(
        Array.from({ length: 61 }, (_, i) => [
          1.6 * Math.cos((i / 60) * Math.PI),
          1.6 * Math.sin((i / 60) * Math.PI),
        ]),
        { stroke: GREEN, strokeDasharray: "4 4" },
      ),
      Plot.arrow(arrows, {
        x1: 0,
        y1: 0,
        x2: "x",
        y2: "y",
        stroke: "color",
        strokeWidth: ({ name }: Arrow) => (name === "gradient" ? 2 : 3),
        headLength: 7,
      }),
      Plot.text(arrows.slice(0, 1), {
        x: "x",
        y: "y",
        text: "name",
        fill: "color",
        dx: 10,
        textAnchor: "start",
        fontSize: 14,
      }),
      Plot.text(arrows.slice(1, 2), {
        x: "x",
        y: "y",
        text: "name",
        fill: "color",
        dx: -10,
        dy: -26,
        textAnchor: "end",
        fontSize: 14,
      }),
      Plot.text(arrows.slice(2), {
        x: "x",
        y: "y",
        text: "name",
        fill: "color",
        dx: 10,
        textAnchor: "start",
        fontSize: 14,
      }),
      Plot.text([[-1, 0.55]], {
        text: () => "limit",
        fill: GREEN,
        fontSize: 14,
      }),
    ],
  });
}

// %% [markdown]
// ## What to take along
//
// - A central difference has the error $h^2 f'''/6$ from the curve and about $\delta/h$ from rounding.
// - The best $h$ is about the third root of the precision. Two thirds of the digits are left.
// - A tape writes down local slopes, and hands them back from the end. All slopes cost two more runs, and memory.
// - A rule for a layer is the same, for many numbers at once. What is used twice gets the sum.
// - A gradient check asks the function from outside. Do it at random places, in double precision.
// - A product of many slopes explodes or vanishes. Blocks that add, and clipping, help.
//
// ## What to read next
//
// - [Baydin et al. 2018](https://arxiv.org/abs/1502.05767): all ways to differentiate a program.
// - [Chen et al. 2016](https://arxiv.org/abs/1604.06174): a shorter tape, for a second forward pass.
// - [Pascanu et al. 2013](https://arxiv.org/abs/1211.5063): why slopes explode, and clipping.
// - [Chapter 8](./08-training.md): what a training does with its gradients.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 91`. Each exercise is
// judged on its own.
//
// **1.** A forward difference, $(f(x+h) - f(x))/h$, is off by $h f''/2$, and by rounding of at most $2^{-53}\,|f|$ for
// each of its two values. Which $h$ makes the sum of both bounds smallest for $f = e^x$?

// %%
const forwardStep: Answer = todo;
await exercise("best step of a forward difference", forwardStep);

// %% [markdown]
// **2.** *Write a function.* The tape has no division yet. Which slopes does $a/b$ have, by $a$ and by $b$?
// `(a, b) => [slope by a, slope by b]`.

// %%
type Slopes = (a: number, b: number) => [byA: number, byB: number];
const slopesOfQuotient: Answer<Slopes> = todo;
await exercise("slopes of a quotient", slopesOfQuotient);

// %% [markdown]
// **3.** *Predict, then run.* The program of the beginning starts at 0.5 instead of 0.02, and runs as long. What is its
// slope now?

// %%
const prediction: Answer = todo;
predict(
  "slope from the middle",
  prediction,
  growthOnTape(0.5, 1000).slope,
  0.01,
);

// %% [markdown]
// **4.** *Find the fault.* A tape as a list of edges `[from, to, local slope]`, in the order of the program. The
// function gives the slope of the last of `count` numbers by each. It is right for a chain.

// %%
const readBack = (
  edges: readonly (readonly [number, number, number])[],
  count: number,
) => {
  const slopes = Array<number>(count).fill(0);
  slopes[count - 1] = 1;
  for (const [from, to, local] of [...edges].reverse())
    slopes[from] = slopes[to]! * local;
  return slopes;
};
await repair("reading a tape", readBack);

// %% [markdown]
// **5.** *Reproduce the plot.* The slope of SiLU at $-6, -5.5, \dots, 6$. Answer with 25 points `[x, slope]`, from
// quotients or from the rule.

// %%
const slopeOfSilu: Answer<Points> = todo;
await reproduce("slope of SiLU", slopeOfSilu, {
  caption: "The slope of SiLU",
  height: 260,
  x: { label: "x", grid: true, ticks: [-6, -4, -2, 0, 2, 4] },
  y: { label: "slope", grid: true },
});
