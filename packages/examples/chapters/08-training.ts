// %% [markdown]
// # Training a model that draws
//
// **The loss no longer falls. Is the network finished, is it broken, or does it only know its pictures by heart?**
//
// All three look the same in the log. This chapter trains a denoiser from nothing until it draws faces, and learns to
// tell the three apart. It checks the gradient with two evaluations. It rebuilds the optimiser and the average of the
// weights, and shows that the library's do the same. It computes how low a loss can be. And in the end it breaks
// everything on purpose, so that you know the faults by their looks.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { UNet2DModel } from "@tfjs-diffusion/core/models";
import {
  AdamW,
  clipGradients,
  diagnose,
  Ema,
  globalNorm,
  parameterGradients,
  warmupCosine,
} from "@tfjs-diffusion/core/training";
import {
  DDIMScheduler,
  keyedNoise,
  keyedRandom,
  runPlan,
} from "@tfjs-diffusion/schedulers";
import { renderFace, sampleFace } from "../datasets/faces/index.js";
import {
  check,
  exercise,
  image,
  plot,
  predict,
  repair,
  reproduce,
  show,
  table,
  todo,
  type Answer,
  type Points,
} from "../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2040);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const numberOf = (x: tf.Tensor) => x.dataSync()[0]!;

/** Faces before a white wall, without hats and glasses. */
const PLAIN = {
  background: "white",
  hat: "none",
  eyewear: "none",
  shirt: "plain",
  shirtColor: "blue",
} as const;
function faces(count: number, seed: number): tf.Tensor4D {
  const pictures = Array.from({ length: count }, (_, i) => {
    const face = { ...sampleFace(keyedRandom(seed, i)), ...PLAIN };
    return Array.from(renderFace(face, keyedRandom(seed, i, "draw")));
  });
  return tf.tidy(() =>
    tf
      .tensor4d(pictures.flat(), [count, 16, 16, 3])
      .div<tf.Tensor4D>(127.5)
      .sub<tf.Tensor4D>(1),
  );
}

// %% folded
const PICTURES = 1000;
const album = faces(PICTURES, 0);
const strangers = faces(64, 1);
await image(album.slice([0, 0, 0, 0], [24, 16, 16, 3]), {
  caption: "24 of the thousand pictures that the network will see.",
  columns: 12,
  scale: 3,
});

// %% [markdown]
// ## The loop
//
// A training repeats one step. Take some pictures. Add noise, each to its own level. Let the network guess the clean
// pictures. Compute the loss and its gradient by all weights. Move the weights a little, downhill. That is all.

// %% folded
{
  const [BLUE, ORANGE, GREEN] = ["#4269d0", "#d97706", "#2f9e58"];
  const boxes = [
    { name: "pictures", note: "and noise", x: 0, y: 1, color: GREEN },
    { name: "network", note: "guesses", x: 1, y: 1, color: BLUE },
    { name: "loss", note: "one number", x: 2, y: 1, color: ORANGE },
    { name: "gradient", note: "backwards", x: 2, y: 0, color: ORANGE },
    { name: "weights", note: "a step", x: 1, y: 0, color: BLUE },
    { name: "average", note: "draws", x: 0, y: 0, color: GREEN },
  ];
  type Box = (typeof boxes)[number];
  plot({
    caption:
      "One step of a training. The weights go round. Their average stands aside, and is what draws in the end.",
    height: 240,
    axis: null,
    x: { domain: [-0.5, 2.5] },
    y: { domain: [-0.5, 1.5] },
    marks: [
      Plot.arrow(
        [
          [0.4, 1, 0.6, 1],
          [1.4, 1, 1.6, 1],
          [2, 0.68, 2, 0.32],
          [1.6, 0, 1.4, 0],
          [1, 0.32, 1, 0.68],
          [0.6, 0, 0.4, 0],
        ],
        {
          x1: "0",
          y1: "1",
          x2: "2",
          y2: "3",
          stroke: "currentColor",
          headLength: 8,
        },
      ),
      Plot.rect(boxes, {
        x1: ({ x }: Box) => x - 0.38,
        x2: ({ x }: Box) => x + 0.38,
        y1: ({ y }: Box) => y - 0.3,
        y2: ({ y }: Box) => y + 0.3,
        stroke: "color",
        strokeWidth: 2,
        fill: "color",
        fillOpacity: 0.15,
      }),
      ...[0.1, -0.12].map((dy, i) =>
        Plot.text(boxes, {
          x: "x",
          y: ({ y }: Box) => y + dy,
          text: i === 0 ? "name" : "note",
          fontSize: 13 - 2 * i,
          fill: "currentColor",
        }),
      ),
    ],
  });
}

// %%
const scheduler = new DDIMScheduler({
  beta_schedule: "squaredcos_cap_v2",
  prediction_type: "sample",
  clip_sample: true,
  timestep_spacing: "trailing",
});
const { alphaBar } = scheduler;

function newNetwork(name: string) {
  const network = new UNet2DModel({
    in_channels: 3,
    out_channels: 3,
    block_out_channels: [16, 32],
    layers_per_block: 1,
    down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
    up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
    norm_num_groups: 8,
    attention_head_dim: 8,
  });
  network.initialize(noise.at(name));
  return network;
}
type Denoise = (
  x: tf.Tensor4D,
  times: readonly number[],
) => tf.Tensor4D;
const asDenoiser =
  (network: UNet2DModel): Denoise =>
  (x, times) =>
    network.forward(x, tf.tensor1d([...times]));

/** A number for each picture, to multiply it with. */
const column = (values: readonly number[]) =>
  tf.tensor4d([...values], [values.length, 1, 1, 1]);
/** Pictures with noise: each at its own time. */
const noisy = (
  x0: tf.Tensor4D,
  times: readonly number[],
  name: string,
): tf.Tensor4D =>
  x0.mul(column(times.map((t) => Math.sqrt(alphaBar[t]!)))).add(
    noise
      .at(name)
      .at("ε")
      .normal(x0.shape)
      .mul(column(times.map((t) => Math.sqrt(1 - alphaBar[t]!)))),
  );
const timesOf = (count: number, name: string) => {
  const random = noise.at(name).at("t").random();
  return Array.from({ length: count }, () => random.integer(1000));
};
/** The mean squared error of the guesses. */
const lossOf = (denoise: Denoise, x0: tf.Tensor4D, name: string) =>
  tf.tidy(() => {
    const times = timesOf(x0.shape[0], name);
    const guess = denoise(noisy(x0, times, name), times);
    return guess.sub(x0).square().mean<tf.Scalar>();
  });
// At the last time nothing is left of the pictures.
check(
  "variance of pictures with nothing but noise",
  tf.tidy(() =>
    numberOf(
      noisy(album, Array<number>(PICTURES).fill(999), "all")
        .square()
        .mean(),
    ),
  ),
  1,
  0.01, // 768,000 numbers
);

// %% [markdown]
// ## Is the gradient right?
//
// A wrong gradient does not crash. The loss falls more slowly, or stops too early, and nobody knows why. But there is a
// test that needs two evaluations. Walk a little way $h$ along the gradient $g$ itself, in both directions. The slope
// must be the gradient's own length:
//
// $$ \begin{aligned}
//    \hat g &= \frac{g}{\|g\|}, \\
//    \|g\| &\approx \frac{L(w + h\,\hat g) - L(w - h\,\hat g)}{2h} .
//    \end{aligned} $$
//
// It tests all weights at once. How large should $h$ be? The difference quotient is wrong by about $h^2$, because the
// loss is curved. But the loss has only seven digits, and the rounding is divided by $h$. So the error falls with
// $h^2$, and then rises again.

// %%
const network = newNetwork("faces");
const parameters = network.parameters();
const some = album.slice([0, 0, 0, 0], [8, 16, 16, 3]);
const theLoss = () => lossOf(asDenoiser(network), some, "gradient");
const { gradients, loss: start } = parameterGradients(
  theLoss,
  parameters,
);
const slope = tf.tidy(() =>
  numberOf(globalNorm(Object.values(gradients))),
);
/** The loss after a step of length h along the gradient. */
const lossAt = (h: number) =>
  tf.tidy(() => {
    const before = new Map<string, tf.Tensor>();
    for (const [name, gradient] of Object.entries(gradients)) {
      const variable = parameters.get(name)!;
      before.set(name, variable.clone());
      variable.assign(variable.add(gradient.mul(h / slope)));
    }
    const value = numberOf(theLoss());
    for (const [name, values] of before)
      parameters.get(name)!.assign(values);
    return value;
  });
const quotient = (h: number) => (lossAt(h) - lossAt(-h)) / (2 * h);
const errorAt = (h: number) => Math.abs(quotient(h) - slope);
// drawing
const widths = Array.from({ length: 12 }, (_, i) => 0.2 / 2 ** i);
// drawing
const slopes = widths.map((h) => ({ h, error: errorAt(h) }));
check(
  "slope along the gradient, over its length",
  quotient(0.0125) / slope,
  1,
  2e-3,
);
check(
  "half as wide: the error, times 4",
  (4 * errorAt(0.05)) / errorAt(0.1),
  1,
  0.25, // the next term of the series
);
check("nothing has moved", lossAt(0), numberOf(start), 0);

// %% folded
plot({
  caption:
    "Error of the slope for each width h. From the right it falls with h². Then rounding takes over.",
  height: 260,
  marginLeft: 55,
  x: { label: "h", type: "log", ticks: 4, tickFormat: "~g" },
  y: {
    label: "error",
    type: "log",
    ticks: 4,
    tickFormat: "~g",
    grid: true,
  },
  marks: [
    Plot.line(slopes, { x: "h", y: "error", stroke: "#4269d0" }),
    Plot.dot(slopes, { x: "h", y: "error", fill: "#4269d0" }),
  ],
});

// %% [markdown]
// ## The step
//
// Plain descent moves by the gradient times a rate. But some weights have large gradients and some have small ones.
// **Adam** ([Kingma and Ba 2014](https://arxiv.org/abs/1412.6980), algorithm 1) keeps two running means, of the
// gradient and of its square. It divides one by the root of the other:
//
// $$ \begin{aligned}
//    m &\leftarrow \beta_1 m + (1 - \beta_1)\, g, \\
//    v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \\
//    w &\leftarrow w - \eta\, \frac{m / (1 - \beta_1^k)}{\sqrt{v / (1 - \beta_2^k)} + \epsilon} - \eta\,\lambda\, w .
//    \end{aligned} $$
//
// Both means begin at 0 and are too small at first. The divisions by $1 - \beta^k$ mend this at step $k$. The last term
// pulls all weights to 0 a little. It stands apart, which is the W of AdamW
// ([Loshchilov and Hutter 2017](https://arxiv.org/abs/1711.05101), algorithm 2). The first step has the same length
// $\eta$ for every weight, whatever its gradient.

// %%
const [BETA1, BETA2, EPS, DECAY] = [0.9, 0.99, 1e-8, 0.01];
/** Adam for one weight: its values after each gradient. */
function adamByHand(
  from: number,
  slopes: readonly number[],
  rate: number,
  decay: number,
) {
  let [w, m, v] = [from, 0, 0];
  return slopes.map((g, i) => {
    const k = i + 1;
    m = BETA1 * m + (1 - BETA1) * g;
    v = BETA2 * v + (1 - BETA2) * g ** 2;
    const size = Math.sqrt(v / (1 - BETA2 ** k)) + EPS;
    w = w - rate * (m / (1 - BETA1 ** k) / size) - rate * decay * w;
    return w;
  });
}
const weight = tf.variable(tf.scalar(0.7));
const weights = new Map([["w", weight]]);
const optimizer = new AdamW(weights, {
  beta1: BETA1,
  beta2: BETA2,
  eps: EPS,
  weightDecay: DECAY,
});
const SLOPES = [0.3, -2, 0.05, 0.4];
const walk = adamByHand(0.7, SLOPES, 0.1, DECAY);
for (const [i, g] of SLOPES.entries()) {
  tf.tidy(() => optimizer.step({ w: tf.scalar(g) }, 0.1));
  check(
    `AdamW after step ${i + 1}, the library's and ours`,
    numberOf(weight),
    walk[i]!,
    1e-6, // single precision
  );
}
for (const g of [1e-3, 50])
  check(
    `length of the first step for the gradient ${g}`,
    1 - adamByHand(1, [g], 0.1, 0)[0]!,
    0.1,
    1e-5, // ε beside the gradient
  );

// %% [markdown]
// ## The average draws
//
// Each batch pulls the weights another way, so they tremble around a good place. Their **moving average** trembles less
// ([Song and Ermon 2020](https://arxiv.org/abs/2006.09011), section 3.4):
//
// $$ \bar w \leftarrow d\, \bar w + (1 - d)\, w . $$
//
// How much less? If each $w$ is the good place plus fresh noise of the deviation $s$, the average sums it with the
// weights $(1-d),\ (1-d)d,\ (1-d)d^2, \dots$ The sum of their squares is a geometric series:
//
// $$ \operatorname{Var} \bar w = s^2 (1-d)^2 \sum_k d^{2k} = s^2\, \frac{1-d}{1+d} . $$
//
// With $d = 0.99$ a two-hundredth of the variance is left. And the average is late by about $1/(1-d)$ steps. So
// early in a training it is worse, and later it is better.

// %%
const averageOf = (values: readonly number[], d: number, from = 0) => {
  let average = from;
  return values.map((w) => (average = d * average + (1 - d) * w));
};
const D = 0.9;
const trembling = Array.from(
  noise.at("tremble").normal([40_000]).dataSync(),
);
const calm = averageOf(trembling, D).slice(100);
const variance = (values: readonly number[]) =>
  mean(values.map((value) => value ** 2));
// Neighbours go together, over about ten steps: 4000 free numbers.
check(
  "variance of the average, over that of the weights",
  variance(calm) / variance(trembling),
  (1 - D) / (1 + D),
  3 * Math.sqrt(2 / 4000) * ((1 - D) / (1 + D)),
);
// It begins with shorter memories, so that the start is forgotten.
const early = (n: number) => Math.min(D, (1 + n) / (10 + n));
const moving = tf.variable(tf.scalar(1));
const libraryEma = new Ema(new Map([["w", moving]]), D);
let ourAverage = 1;
[3, 9, 4, 1, 5].forEach((value, n) => {
  moving.assign(tf.scalar(value));
  libraryEma.update();
  [ourAverage] = averageOf([value], early(n), ourAverage) as [number];
});
check(
  "average of five values, the library's and ours",
  numberOf(libraryEma.values().get("w")!),
  ourAverage,
  1e-6,
);
// A ramp 1, 2, 3, …: the average is late by d / (1 - d).
const ramp = Array.from({ length: 300 }, (_, i) => i);
check(
  "how late the average of a ramp is",
  299 - averageOf(ramp, D).at(-1)!,
  D / (1 - D),
  1e-9,
);

// %% [markdown]
// ## How low can a loss be?
//
// Two numbers belong into every log, and are missing in most. The **ignorant** denoiser always answers with the mean
// picture. Its loss is the variance of the pictures. The **memoriser** knows the thousand pictures by heart, and
// answers with the exact formula of [chapter 2](./02-the-best-denoiser.md): the mean of all pictures, weighted by how
// well each explains what is seen. On its own pictures, no network can be better.
//
// But we want pictures that are *not* in the album. There the memoriser is not the best.

// %%
const flat = (x: tf.Tensor4D) => x.reshape<tf.Tensor2D>([-1, 768]);
/** Squared distances [a, b] between pictures. */
const distances = (a: tf.Tensor2D, b: tf.Tensor2D) =>
  tf.tidy(() =>
    a
      .square()
      .sum(1, true)
      .add(b.square().sum(1))
      .sub<tf.Tensor2D>(tf.matMul(a, b, false, true).mul(2)),
  );
const memoriser =
  (pictures: tf.Tensor4D, answers = pictures): Denoise =>
  (x, times) => {
    const roots = times.map((t) => Math.sqrt(alphaBar[t]!));
    const scale = tf.tensor2d(roots.map((root) => [root]));
    const variance = tf.tensor2d(times.map((t) => [1 - alphaBar[t]!]));
    // The distance of x to a picture times root is that of x / root.
    const far = distances(flat(x).div(scale), flat(pictures)).mul(
      scale.square(),
    );
    const chances = far.div<tf.Tensor2D>(variance.mul(-2)).softmax();
    return tf.matMul(chances, flat(answers)).reshape(x.shape);
  };
const middle = album.mean<tf.Tensor4D>(0, true);
const ignorant: Denoise = (x) => tf.tile(middle, [x.shape[0], 1, 1, 1]);
const known = album.slice([0, 0, 0, 0], [128, 16, 16, 3]);
const lossBy = (denoise: Denoise, x0: tf.Tensor4D) =>
  numberOf(lossOf(denoise, x0, "test"));
const firstOf = (pictures: tf.Tensor4D, count: number) =>
  pictures.slice([0, 0, 0, 0], [count, 16, 16, 3]);
const sizes = [10, 100, PICTURES].map((size) => {
  const own = firstOf(album, size);
  return {
    pictures: size,
    "on its own": lossBy(
      memoriser(own),
      firstOf(own, Math.min(size, 128)),
    ),
    "on strangers": lossBy(memoriser(own), strangers),
  };
});
const ignorance = lossBy(ignorant, strangers);
table(sizes, { caption: "Loss of the memoriser", digits: 3 });
show(`Loss of the ignorant denoiser: ${ignorance.toFixed(3)}`);
check(
  "loss of the ignorant on its own pictures: their variance",
  lossBy(ignorant, known),
  tf.tidy(() => numberOf(known.sub(middle).square().mean())),
  1e-6,
);
// Each step of the table is a descent: more pictures, fewer strangers.
check(
  "of two steps, those that help with strangers",
  sizes.filter(
    (row, i) =>
      row["on strangers"] < (sizes[i - 1]?.["on strangers"] ?? 0),
  ).length,
  2,
  0,
);

// %% [markdown]
// By heart, ten pictures cost nearly nothing. But on strangers even the ignorant one is better! The distance
// between the two columns is what **overfitting** means. It does not show in the training loss.
//
// The memoriser's guess is an average over chances, so it can say how unsure it is. If it is honest, its squared error
// is the variance that it claims, on its own pictures. This tests the formula and the code at once.

// %%
const claimed = tf.tidy(() => {
  const times = timesOf(128, "test");
  const x = noisy(known, times, "test");
  const guess = memoriser(album)(x, times);
  // E|x₀|² - |E x₀|², with the memoriser of squares for the first.
  const squares = memoriser(album, album.square())(x, times);
  return numberOf(squares.sub(guess.square()).mean());
});
check(
  "claimed variance, over the squared error",
  claimed / sizes[2]!["on its own"],
  1,
  0.3, // 128 pictures, of which half are found at once
);

// %% [markdown]
// ## The run
//
// Now the real thing: 350 steps of 16 pictures. At the marked steps we draw with the average, each time from the same
// noise.

// %%
const STEPS = 300;
const SHOWN = [15, 60, STEPS];
type Look = (step: number, ema: Ema) => Promise<void>;
/** Trains, and calls `look` after each step. */
async function train(
  network: UNet2DModel,
  pictures: tf.Tensor4D,
  { steps = STEPS, batch = 16, rate = 5e-3 },
  look?: Look,
) {
  const parameters = network.parameters();
  const optimizer = new AdamW(parameters, { beta2: BETA2 });
  const ema = new Ema(parameters, 0.98);
  const rateAt = warmupCosine({
    learningRate: rate,
    warmupSteps: 20,
    totalSteps: steps,
  });
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    tf.tidy(() => {
      const random = noise.at("batch", step).random();
      const chosen = Array.from({ length: batch }, () =>
        random.integer(pictures.shape[0]),
      );
      const x0 = tf.gather(pictures, tf.tensor1d(chosen, "int32"));
      const { loss, gradients } = parameterGradients(
        () => lossOf(asDenoiser(network), x0, `step ${step}`),
        parameters,
      );
      const clipped = clipGradients(gradients, 1).gradients;
      optimizer.step(clipped, rateAt(step));
      losses.push(numberOf(loss));
    });
    ema.update();
    await look?.(step, ema);
  }
  return { losses, ema };
}
/** Draws with a denoiser, each time from the same noise. */
const DRAWN = 10;
const draw = (
  denoise: Denoise,
  {
    steps = 12,
    by = scheduler,
  }: { steps?: number; by?: DDIMScheduler } = {},
) =>
  tf.tidy(() =>
    runPlan(
      by.plan(steps),
      denoise,
      noise.at("draw").normal([DRAWN, 16, 16, 3]) as tf.Tensor4D,
      noise.at("steps"),
    ),
  );

const denoise = asDenoiser(network);
const sheets: tf.Tensor4D[] = [];
const moments: { step: number; average: number; last: number }[] = [];
const { losses, ema } = await train(
  network,
  album,
  {},
  async (step, ema) => {
    if (step % 50 !== 0 && !SHOWN.includes(step)) return;
    const last = lossBy(denoise, strangers);
    const average = await ema.use(() => lossBy(denoise, strangers));
    moments.push({ step, average, last });
    if (SHOWN.includes(step))
      sheets.push(await ema.use(() => draw(denoise)));
  },
);
await image(tf.concat(sheets), {
  caption: `After ${SHOWN.join(", ")} steps, from the same noise.`,
  columns: DRAWN,
  scale: 3,
});

// %% [markdown]
// First come the colours that all pictures share, the white wall and the blue shirt. Then a dark shape where hair may
// be. Then eyes, which need a place. This order is always the same: what explains most of the squared error is learned
// first.

// %% folded
{
  const smooth = losses.map((_, i) =>
    mean(losses.slice(Math.max(0, i - 9), i + 1)),
  );
  const lines = [
    { y: ignorance, name: "ignorant" },
    { y: sizes[1]!["on strangers"], name: "memoriser of 100" },
    { y: sizes[2]!["on strangers"], name: "memoriser of 1000" },
  ];
  plot({
    caption:
      "The loss of the batches (grey, mean of ten) and on strangers (orange), between three bounds that need no training.",
    height: 320,
    x: { label: "step", ticks: 4 },
    y: { label: "loss", domain: [0, 0.4], grid: true, ticks: 5 },
    marks: [
      Plot.ruleY(lines, {
        y: "y",
        stroke: "#4269d0",
        strokeDasharray: "5 4",
      }),
      Plot.text(lines, {
        x: STEPS,
        y: "y",
        dy: -8,
        text: "name",
        textAnchor: "end",
        fill: "#4269d0",
        fontSize: 13,
      }),
      Plot.line(
        smooth.map((loss, i) => [i + 1, loss]),
        { stroke: "currentColor", strokeOpacity: 0.45, clip: true },
      ),
      Plot.line(moments, {
        x: "step",
        y: "average",
        stroke: "#d97706",
        strokeWidth: 2.5,
      }),
    ],
  });
}

// %%
const end = moments.at(-1)!;
const finalLoss = end.average;
check("steps of the run", losses.length, STEPS, 0);
const ownLoss = await ema.use(() => lossBy(denoise, known));
check(
  "loss on strangers, over that of the ignorant",
  finalLoss / ignorance,
  0.5,
  0.05,
);
check(
  "loss on strangers, over that on its own pictures",
  finalLoss / ownLoss,
  1.05,
  0.1,
);
check(
  "the last weights, over the average: at the end nothing",
  end.last / end.average,
  1,
  0.02,
);
check(
  "loss on strangers, over that of the memoriser of 100",
  finalLoss / sizes[1]!["on strangers"],
  1,
  0.1,
);

// %% [markdown]
// The network has looked at 4800 pictures with noise. It is as good with strangers as somebody who knows a hundred
// faces by heart. But it does not know them by heart: its losses on strangers and on its own pictures are nearly the
// same. **So it is not overfitted, and not finished. More steps would help.** With a longer run, the shipped faces
// model draws [sharp faces](./03-ddpm-and-ddim.md).
//
// At the end the average is no better than the last weights, because the rate has fallen to 0 and nothing trembles any
// more. With a constant rate it would be.
//
// ## By heart
//
// Now the same network gets four pictures only, and half as much time.

// %%
const few = firstOf(album, 4);
const parrot = newNetwork("parrot");
const parroted = await train(parrot, few, {
  steps: 160,
  batch: 8,
  rate: 1e-2,
});
const parrotLoss = await parroted.ema.use(() => ({
  own: lossBy(asDenoiser(parrot), few),
  strangers: lossBy(asDenoiser(parrot), strangers),
}));
check(
  "four pictures: loss on strangers, over that on its own",
  parrotLoss.strangers / parrotLoss.own,
  2,
  0.5,
);

// %% [markdown]
// The gap between the two losses gives it away. But often there is no second set of pictures, or somebody has only the
// drawings. Then look for **neighbours**: which training picture is nearest to a drawing, and how near is it, compared
// with a stranger? Below each drawing is its nearest neighbour.

// %%
/** The nearest of some pictures, and its mean squared distance. */
const nearest = (drawn: tf.Tensor4D, pictures: tf.Tensor4D) =>
  tf.tidy(() => {
    const far = distances(flat(drawn), flat(pictures)).div(768);
    const ids = far.argMin<tf.Tensor1D>(1).arraySync();
    return { ids, far: mean(Array.from(far.min(1).dataSync())) };
  });
const byParrot = await parroted.ema.use(() => draw(asDenoiser(parrot)));
const byHeart = draw(memoriser(few));
const neighbours = nearest(byParrot, few);
check(
  "the memoriser draws copies: distance to the nearest picture",
  nearest(byHeart, few).far,
  0,
  1e-3,
);
check(
  "distance to the nearest of the four: drawn, over strangers",
  neighbours.far / nearest(strangers, few).far,
  0.75,
  0.15,
);
// drawing
const beside = tf.gather(few, tf.tensor1d(neighbours.ids, "int32"));
await image(tf.concat([byParrot, beside, byHeart]), {
  caption:
    "Drawn by the network of four pictures; the nearest of the four; drawn by the exact memoriser of the four.",
  columns: DRAWN,
  scale: 3,
});

// %% [markdown]
// ## What goes wrong, and how it looks
//
// Most failures are not in the training at all. Here the trained network draws again from the same noise, each time
// with one mistake in the program around it.
//
// 1. *The right program.*
// 2. *Wrong target.* The network answers with the clean picture, and the sampler reads the answer as noise.
// 3. *Wrong clock.* The network is always told the time 0, "nearly clean".
// 4. *Wrong range.* The pictures are right, but shown as if they went from 0 to 1.
// 5. *Too few steps.* One: the mean of all that the noise might be.
// 6. *Stopped too early.* The weights after 15 steps.

// %%
const other = new DDIMScheduler({
  ...scheduler.config,
  prediction_type: "epsilon",
});
const wrongClock: Denoise = (x, times) =>
  denoise(
    x,
    times.map(() => 0),
  );
const mistakes = await ema.use(() => ({
  right: draw(denoise),
  target: draw(denoise, { by: other }),
  clock: draw(wrongClock),
  range: draw(denoise).add<tf.Tensor4D>(1).div<tf.Tensor4D>(2),
  steps: draw(denoise, { steps: 1 }),
  early: sheets[0]!,
}));
await image(tf.concat(Object.values(mistakes)), {
  caption: "One row for each line of the list.",
  columns: DRAWN,
  scale: 3,
});
/** The deviation of the pictures from each other: their variety. */
const variety = (drawn: tf.Tensor4D) =>
  tf.tidy(() =>
    Math.sqrt(numberOf(drawn.sub(drawn.mean(0)).square().mean())),
  );
const looks = Object.entries(mistakes).map(([mistake, drawn]) => ({
  mistake,
  mean: tf.tidy(() => numberOf(drawn.mean())),
  variety: variety(drawn),
  "to the nearest": nearest(drawn, album).far,
}));
table(
  [
    ...looks,
    {
      mistake: "(real pictures)",
      mean: tf.tidy(() => numberOf(strangers.mean())),
      variety: variety(strangers),
      "to the nearest": nearest(strangers, album).far,
    },
  ],
  { caption: "Three numbers that see most mistakes", digits: 2 },
);
check(
  "wrong range: the variety, over the right one",
  looks[3]!.variety / looks[0]!.variety,
  1 / 2,
  1e-5,
);
check(
  "one step: the variety, over the right one",
  looks[4]!.variety / looks[0]!.variety,
  0.3,
  0.1,
);
check(
  "wrong target: distance to the nearest, over the right one",
  looks[1]!["to the nearest"] / looks[0]!["to the nearest"],
  4,
  1,
);

// %% [markdown]
// Read the last column with care: the blurred row of the single step is *nearer* to real pictures than the sharper
// faces! A mean is near to everything. No single number tells whether a model is good. So one looks at sheets.
//
// The library has a function that looks for such faults by itself. It tests the data, the settings, and single noise
// levels, and then a drawing.

// %%
const doctor = (by: DDIMScheduler) =>
  diagnose({
    scheduler: by,
    model: denoise,
    x0: firstOf(strangers, 32),
    noise: noise.at("doctor"),
    steps: 5,
  }).faults;
const [healthy, ill] = await ema.use(
  () => [doctor(scheduler), doctor(other)] as const,
);
for (const { evidence, remedy } of [...healthy, ...ill])
  show(`${evidence}\n→ ${remedy}`);
const ofTarget = (faults: typeof ill) =>
  faults.filter(({ kind }) => kind === "target").length;
check("wrong target: it is found", ofTarget(ill), 1, 0);
check("right program: nothing like that", ofTarget(healthy), 0, 0);

// %% [markdown]
// It has an objection to the right program, too: the drawings are not like the data yet. We know: train longer.
//
// One fault is in the training itself, and is the most frequent of all: **a rate that is too large.** The loss jumps up
// in the first steps, and stays where the ignorant denoiser is, or above.

// %%
const wild = await train(newNetwork("wild"), album, {
  steps: 30,
  batch: 8,
  rate: 0.5,
});
check(
  "rate 0.5: the last losses, at least those of the ignorant",
  Math.min(1, mean(wild.losses.slice(-10)) / ignorance),
  1,
  0,
);
for (const trained of [network, parrot]) trained.dispose();

// %% [markdown]
// ## What to take along
//
// - Test a gradient along itself: two evaluations, one number, all weights.
// - Adam gives each weight steps of the same size. The average of the weights trembles less, and is late.
// - Put two bounds beside each loss: that of the mean picture, and that of the exact memoriser.
// - Overfitting is a gap between two losses, or a drawing with a near neighbour. The training loss never shows it.
// - Draw from the same noise at every look. Each fault has a face: speckles, wrong colours, paleness, blur.
//
// ## What to read next
//
// - [Karpathy 2019](https://karpathy.github.io/2019/04/25/recipe/): a recipe for training networks.
// - [Karras et al. 2023](https://arxiv.org/abs/2312.02696): averages of weights, chosen after the training.
// - [Kadkhodaie et al. 2023](https://arxiv.org/abs/2310.02557): from which number of pictures on a network generalises.
// - [Carlini et al. 2023](https://arxiv.org/abs/2301.13188): training pictures found in drawings of large models.
// - [Appendix A](./91-gradients-by-hand.md): where gradients come from, and how to check each number.
// - [Chapter 9](./09-words.md): how a network learns to read what to draw.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 8`. Each exercise is
// judged on its own.
//
// **1.** Which share of the variance is left in an average with $d = 0.999$?

// %%
const shareLeft: Answer = todo;
await exercise("the share that is left", shareLeft);

// %% [markdown]
// **2.** *Predict, then run.* After 15 steps, the average of the weights is still late. How large is its loss on
// strangers, over that of the ignorant denoiser?

// %%
const prediction: Answer = todo;
predict(
  "the loss after 15 steps",
  prediction,
  moments[0]!.average / ignorance,
  0.1,
);

// %% [markdown]
// **3.** *Write a function.* Gradients are clipped to a longest length: `(gradient, most) => …` gives a gradient of the
// same direction that is not longer than `most`.

// %%
type Clip = (
  gradient: readonly number[],
  most: number,
) => readonly number[];
const clip: Answer<Clip> = todo;
await exercise("clipping", clip);

// %% [markdown]
// **4.** *Find the fault.* This moving average trembles as much as the weights themselves.

// %%
type Update = (average: number, weight: number, d: number) => number;
const update: Update = (average, weight, d) =>
  (1 - d) * average + d * weight;
await repair("a moving average", update);

// %% [markdown]
// **5.** *Reproduce the plot.* A weight jumps from 0 to 1 and stays there. Its average with $d = 0.9$ was 0. Answer
// with the points `[n, average]` after $n = 0, 1, \dots, 30$ updates.

// %%
const lateness: Answer<Points> = todo;
await reproduce("a late average", lateness, {
  caption: "The average after a jump of the weight from 0 to 1.",
  height: 260,
  x: { label: "updates", grid: true },
  y: { label: "average", grid: true },
});
