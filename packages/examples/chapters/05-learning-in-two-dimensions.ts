// %% [markdown]
// # Learning in two dimensions
//
// **A network trains, and its loss stops at 0.3. Is it a bad network, or is 0.3 as good as anyone can be?**
//
// For pictures nobody knows. In the plane we do: for points from a known drawing, the best denoiser has a formula
// ([chapter 2](./02-the-best-denoiser.md)), and so has its loss. This chapter trains small networks on a letter, a
// spiral and two moons, and measures how far each is from the best. Then it looks at four choices that every training
// makes: what to predict, how to weight the noise levels, where the schedule ends, and whether to clip.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import {
  AdamW,
  minSnrWeights,
  parameterGradients,
  warmupCosine,
} from "@tfjs-diffusion/core/training";
import {
  DDIMScheduler,
  DDPMScheduler,
  impliedX0,
  keyedNoise,
  mixtureDenoiser,
  runPlan,
  sampleMixture,
  trainingLevel,
  type KeyedNoise,
} from "@tfjs-diffusion/schedulers";
import {
  check,
  exercise,
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
const noise = keyedNoise(2030);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const largest = (x: tf.Tensor) =>
  tf.tidy(() => x.abs().max().dataSync()[0]!);
const average = (x: tf.Tensor) =>
  tf.tidy(() => x.mean().dataSync()[0]!);

// %% [markdown]
// ## Three drawings
//
// A data set here is a pen stroke: 100 places along a line, each blurred with the deviation $s = 0.04$. To draw a
// point, choose a place at random and add the blur. Such a mixture of Gaussians never runs out of fresh points, and we
// know everything about it.

// %% folded
const [K, S] = [100, 0.04];
type Point = [x: number, y: number];

/** K places at equal distances along strokes (lists of corners). */
function along(strokes: readonly (readonly Point[])[]): Point[] {
  const pieces = strokes.flatMap((corners) =>
    corners.slice(1).map((to, i) => {
      const from = corners[i]!;
      const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
      return { from, to, length };
    }),
  );
  const total = sum(pieces.map(({ length }) => length));
  return Array.from({ length: K }, (_, k) => {
    let left = ((k + 0.5) / K) * total;
    const piece = pieces.find(({ length }) => (left -= length) <= 0)!;
    const share = 1 + left / piece.length;
    return [0, 1].map(
      (i) => piece.from[i]! + share * (piece.to[i]! - piece.from[i]!),
    ) as Point;
  });
}

const curve = (f: (u: number) => Point) =>
  Array.from({ length: 201 }, (_, i) => f(i / 200));
const bow = (side: number) =>
  curve((u) => [
    side * (0.6 * Math.cos(Math.PI * u) - 0.3),
    side * (0.6 * Math.sin(Math.PI * u) - 0.15),
  ]);
const DRAWINGS = {
  letter: along([
    [
      [-0.5, -0.8],
      [-0.5, 0.8],
    ],
    curve((u) => [
      -0.5 + 0.9 * Math.sin(Math.PI * u),
      0.4 + 0.4 * Math.cos(Math.PI * u),
    ]),
    [
      [-0.1, 0],
      [0.5, -0.8],
    ],
  ]),
  spiral: along([
    curve((u) => [
      (0.1 + 0.8 * u) * Math.cos(4 * Math.PI * u),
      (0.1 + 0.8 * u) * Math.sin(4 * Math.PI * u),
    ]),
  ]),
  moons: along([bow(1), bow(-1)]),
};
type Name = keyof typeof DRAWINGS;
const NAMES = Object.keys(DRAWINGS) as Name[];

/** Points of a drawing, [count, 2]. */
function pointsOf(name: Name, count: number, source: KeyedNoise) {
  return tf.tidy(() => {
    const random = source.at("place").random();
    const places = Array.from(
      { length: count },
      () => DRAWINGS[name][random.integer(K)]!,
    );
    const blur = source.at("blur").normal([count, 2]).mul(S);
    return tf.tensor2d(places).add<tf.Tensor2D>(blur);
  });
}

const BLUE = "#4269d0";
const ORANGE = "#d97706";
const GREEN = "#2f9e58";
const VIOLET = "#8b5cf6";
/** Points side by side, a panel each; more than three in two rows. */
function panels(
  caption: string,
  drawn: readonly { name: string; points: readonly number[][] }[],
) {
  const columns = drawn.length > 3 ? drawn.length / 2 : drawn.length;
  const dots = drawn.flatMap(({ points }, k) =>
    points.map(([x, y]) => ({ x, y, k })),
  );
  plot({
    caption,
    height: drawn.length > 3 ? 480 : 260,
    axis: null,
    x: { domain: [-1.3, 1.3] },
    y: { domain: [-1.2, 1.45] },
    marks: [
      Plot.dot(dots, {
        x: "x",
        y: "y",
        fx: ({ k }: { k: number }) => k % columns,
        fy: ({ k }: { k: number }) => Math.floor(k / columns),
        r: 1.2,
        fill: BLUE,
        clip: true,
      }),
      Plot.text(drawn, {
        x: 0,
        y: 1.32,
        text: "name",
        fx: (_: unknown, k: number) => k % columns,
        fy: (_: unknown, k: number) => Math.floor(k / columns),
        fill: "currentColor",
        fontSize: 14,
      }),
    ],
  });
}
panels(
  "600 points of each drawing.",
  NAMES.map((name) => ({
    name,
    points: pointsOf(name, 600, noise.at("show", name)).arraySync(),
  })),
);

// %% [markdown]
// ## The best answer, and its loss
//
// We see $x = \alpha x_0 + \sigma\varepsilon$, with $\alpha = \sqrt{\bar\alpha_t}$ and
// $\sigma = \sqrt{1-\bar\alpha_t}$. If $x_0$ came from the place $\mu_k$, then $x$ is Gaussian around $\alpha\mu_k$,
// with the variance $V = \alpha^2 s^2 + \sigma^2$. So the chance of each place is a softmax, as in chapter 2. From the
// place to the guess it is a shrunken distance, as in [chapter 0](./00-before-you-start.md):
//
// $$ \begin{aligned}
//    w_k &= \operatorname{softmax}_k\bigl(-\|x - \alpha\mu_k\|^2 / 2V\bigr), \\
//    D(x) &= \sum_k w_k \Bigl( \mu_k + \frac{\alpha s^2}{V}\,(x - \alpha\mu_k) \Bigr) .
//    \end{aligned} $$
//
// (Karras et al. 2022, [appendix B.3](https://arxiv.org/abs/2206.00364), have it for points, which is $s = 0$.)

// %%
const { alphaBar } = new DDPMScheduler({
  beta_schedule: "squaredcos_cap_v2",
});
const levelOf = (a: number) => ({
  alpha: Math.sqrt(a),
  sigma: Math.sqrt(1 - a),
});
type Level = ReturnType<typeof levelOf>;
const widthOf = ({ alpha, sigma }: Level) =>
  Math.sqrt((alpha * S) ** 2 + sigma ** 2);

/** Squared distances of points [B, 2] to the scaled places, [B, K]. */
const distances = (x: tf.Tensor2D, name: Name, scale: number) =>
  tf.tidy(() => {
    const places = tf.tensor2d(DRAWINGS[name]).mul(scale);
    return x.expandDims(1).sub(places).square().sum<tf.Tensor2D>(2);
  });

/** The best guess at x₀ for points of one drawing, [B, 2]. */
const best = (x: tf.Tensor2D, name: Name, level: Level) =>
  tf.tidy(() => {
    const V = widthOf(level) ** 2;
    const places = tf.tensor2d(DRAWINGS[name]);
    const w = distances(x, name, level.alpha)
      .div(-2 * V)
      .softmax();
    const place = tf.matMul(w, places);
    const pull = (level.alpha * S ** 2) / V;
    return place.add<tf.Tensor2D>(
      x.sub(place.mul(level.alpha)).mul(pull),
    );
  });

const some = pointsOf("spiral", 50, noise.at("some"));
const at300 = levelOf(alphaBar[300]!);
check(
  "our best guess against the library's, largest difference",
  largest(
    best(some, "spiral", at300).sub(
      mixtureDenoiser(
        { means: DRAWINGS.spiral, deviation: S },
        some,
        at300,
      ),
    ),
  ),
  0,
  1e-5, // single precision; exponents up to 100
);

// %% [markdown]
// Even the best guess has an error: a noisy point could have come from many places. Its mean square, per number,
// is the **floor** of the loss. As $D$ is a mean of what $x_0$ can be, the error is what the mean takes away from the
// square (half of it, because a point has two numbers):
//
// $$ \tfrac12\,\mathbb E\,\|x_0 - D\|^2 = \tfrac12\,\bigl( \mathbb E\,\|x_0\|^2 - \mathbb E\,\|D(x)\|^2 \bigr) . $$
//
// The first mean we know: it is that of $\|\mu_k\|^2$, plus $2s^2$. The second is an integral over the plane, with the
// density of $x$. It is smooth, so a sum over a grid is nearly exact if the grid is finer than the blur. We test it in
// three ways. The density must sum to 1. Random draws must agree. And where nothing is left of the picture, the best
// guess is the mean, and its error is the data's variance.

// %%
/** By how much the density of a grid misses 1, for each floor. */
const missed: number[] = [];
/** The smallest possible mean squared error of x₀, per number. */
function floorOf(name: Name, level: Level): number {
  const width = widthOf(level);
  const reach = level.alpha + 6 * width;
  const count = Math.ceil((2 * reach) / (0.6 * width));
  const cell = (2 * reach) / count;
  const axis = Array.from(
    { length: count },
    (_, i) => i * cell - reach,
  );
  const norm = cell ** 2 / (2 * Math.PI * width ** 2 * K);
  const [total, ofD] = tf.tidy(() => {
    const x = tf.tensor2d(axis.flatMap((x) => axis.map((y) => [x, y])));
    const density = distances(x, name, level.alpha)
      .div(-2 * width ** 2)
      .exp()
      .sum(1)
      .mul(norm);
    const squares = best(x, name, level).square().sum(1);
    return [density, density.mul(squares)].map(
      (y) => y.sum().dataSync()[0]!,
    ) as Point;
  });
  missed.push(total - 1);
  const ofX0 =
    mean(DRAWINGS[name].map(([x, y]) => x ** 2 + y ** 2)) + 2 * S ** 2;
  return (ofX0 - ofD) / 2;
}
const floorAt300 = floorOf("letter", at300);

const DRAWS = 20_000;
const clean = pointsOf("letter", DRAWS, noise.at("draws"));
const epsilon = noise.at("draws", "ε").normal([DRAWS, 2]);
const noisy = clean
  .mul(at300.alpha)
  .add<tf.Tensor2D>(epsilon.mul(at300.sigma));
const perDraw = clean
  .sub(best(noisy, "letter", at300))
  .square()
  .mean(1);
const standardError = (x: tf.Tensor) =>
  Math.sqrt(average(x.sub(average(x)).square()) / x.size);
check(
  "floor at t = 300 against 20,000 draws",
  average(perDraw),
  floorAt300,
  4 * standardError(perDraw),
);

const [middleX, middleY] = [0, 1].map((i) =>
  mean(DRAWINGS.letter.map((place) => place[i]!)),
) as Point;
check(
  "floor in pure noise, the variance",
  floorOf("letter", levelOf(0)),
  mean(
    DRAWINGS.letter.map(
      ([x, y]) => (x - middleX) ** 2 + (y - middleY) ** 2,
    ),
  ) /
    2 +
    S ** 2,
  1e-5,
);

// %% [markdown]
// ## Floor and excess
//
// Chapter 2 has shown Pythagoras for random variables. The error of the best guess is at right angles to all that can
// be computed from $x$. So for any network $R$
//
// $$ \underbrace{\mathbb E\,\|x_0 - R\|^2}_{\text{loss}} =
//    \underbrace{\mathbb E\,\|x_0 - D\|^2}_{\text{floor}} +
//    \underbrace{\mathbb E\,\|D - R\|^2}_{\text{excess}} . $$
//
// Training cannot change the floor. Only the **excess** says how good a network is. And it can be measured with few
// draws, because the noise of $x_0$ is not in it.

// %% folded
{
  const [X0, D, R] = [
    [1.1, 2.6],
    [1.1, 0],
    [4.2, 0],
  ] as const;
  const side = (from: readonly number[], to: readonly number[]) => ({
    x1: from[0]!,
    y1: from[1]!,
    x2: to[0]!,
    y2: to[1]!,
  });
  const sides = [
    { ...side(X0, D), color: ORANGE },
    { ...side(D, R), color: GREEN },
    { ...side(X0, R), color: BLUE },
  ];
  plot({
    caption:
      "All that can be computed from x lies in one plane (grey line). D is the foot of the perpendicular from x₀.",
    height: 250,
    axis: null,
    x: { domain: [-0.6, 5.6] },
    y: { domain: [-0.7, 3.1] },
    marks: [
      Plot.link([[0, 0]], {
        x1: -0.4,
        x2: 5.4,
        y1: 0,
        y2: 0,
        stroke: "gray",
        strokeOpacity: 0.5,
        strokeWidth: 6,
      }),
      Plot.link(sides, {
        x1: "x1",
        y1: "y1",
        x2: "x2",
        y2: "y2",
        stroke: "color",
        strokeWidth: 2.5,
      }),
      Plot.line(
        [
          [1.1, 0.3],
          [1.4, 0.3],
          [1.4, 0],
        ],
        { stroke: "currentColor" },
      ),
      Plot.dot([X0, D, R], { fill: "currentColor", r: 4 }),
      Plot.text(
        [
          { x: 0.8, y: 2.75, text: "x₀" },
          { x: 1.1, y: -0.4, text: "D, the best" },
          { x: 4.2, y: -0.4, text: "R, a network" },
        ],
        {
          x: "x",
          y: "y",
          text: "text",
          fontSize: 15,
          fill: "currentColor",
        },
      ),
      Plot.text(
        [
          { x: 0.95, y: 1.3, text: "√floor", color: ORANGE, end: true },
          { x: 2.35, y: 0.22, text: "√excess", color: GREEN },
          { x: 2.9, y: 1.4, text: "√loss", color: BLUE },
        ].filter(({ end }) => !end),
        {
          x: "x",
          y: "y",
          text: "text",
          fill: "color",
          fontSize: 15,
          textAnchor: "start",
        },
      ),
      Plot.text([[0.95, 1.3]], {
        text: () => "√floor",
        fill: ORANGE,
        fontSize: 15,
        textAnchor: "end",
      }),
    ],
  });
}

// %% [markdown]
// ## Four targets
//
// What should a network answer with? Chapter 2 had the picture $x_0$, the noise $\varepsilon$ and the velocity
// $v = \alpha\varepsilon - \sigma x_0$. Flow matching ([Lipman et al. 2023](https://arxiv.org/abs/2210.02747)) adds
// $u = \varepsilon - x_0$. Each is a mixture of picture and noise, as $x$ itself is:
//
// $$ \begin{aligned}
//    x &= \alpha\, x_0 + \sigma\,\varepsilon, \\
//    y &= p\, x_0 + q\,\varepsilon .
//    \end{aligned} $$
//
// Two equations, two unknowns. Multiply the first by $q$, the second by $\sigma$, and subtract:
//
// $$ x_0 = \frac{q\,x - \sigma\, y}{\Delta}, \qquad \Delta = \alpha q - \sigma p . $$
//
// $\Delta$ is the determinant. In the plane of picture and noise it is the area between the arrow that we see and the
// arrow that the network names. If the two arrows are nearly parallel, the network repeats what we see already, and
// $x_0$ hangs on a tiny difference.

// %%
const TARGETS = {
  ε: () => [0, 1],
  "x₀": () => [1, 0],
  v: ({ alpha, sigma }) => [-sigma, alpha],
  u: () => [-1, 1],
} satisfies Record<string, (level: Level) => [p: number, q: number]>;
type Target = keyof typeof TARGETS;
const TARGET_NAMES = Object.keys(TARGETS) as Target[];

const determinant = (target: Target, level: Level) => {
  const [p, q] = TARGETS[target](level);
  return level.alpha * q - level.sigma * p;
};
/** The picture that follows from what is seen and what is said. */
const pictureFrom = (
  target: Target,
  level: Level,
  x: tf.Tensor,
  y: tf.Tensor,
) =>
  tf.tidy(() => {
    const [, q] = TARGETS[target](level);
    return x
      .mul(q)
      .sub(y.mul(level.sigma))
      .div(determinant(target, level));
  });

// %% folded
{
  const angle = (62 * Math.PI) / 180;
  const seen = [Math.cos(angle), Math.sin(angle)] as const;
  const level = { alpha: seen[0], sigma: seen[1] };
  const colors = { ε: ORANGE, "x₀": BLUE, v: GREEN, u: VIOLET };
  const arrows = TARGET_NAMES.map((name) => {
    const [x, y] = TARGETS[name](level);
    return { name, x, y, color: colors[name] };
  });
  const [vx, vy] = TARGETS.v(level);
  plot({
    caption:
      "What is seen (black), and four targets. The grey area between x and a target is its determinant; here it is that of v, a square.",
    height: 330,
    axis: null,
    aspectRatio: 1,
    x: { domain: [-1.45, 1.45] },
    y: { domain: [-0.25, 1.55] },
    marks: [
      Plot.line(
        [[0, 0], seen, [seen[0] + vx, seen[1] + vy], [vx, vy], [0, 0]],
        { fill: "gray", fillOpacity: 0.2, stroke: "none" },
      ),
      Plot.arrow(arrows, {
        x1: 0,
        y1: 0,
        x2: "x",
        y2: "y",
        stroke: "color",
        strokeWidth: 2.5,
        headLength: 7,
      }),
      Plot.arrow([seen], {
        x1: 0,
        y1: 0,
        x2: (d: Point) => d[0],
        y2: (d: Point) => d[1],
        stroke: "currentColor",
        strokeWidth: 3,
        headLength: 7,
      }),
      Plot.text(arrows, {
        x: ({ x }: Point & { x: number }) => 1.13 * x,
        y: ({ y }: Point & { y: number }) => 1.1 * y + 0.03,
        text: "name",
        fill: "color",
        fontSize: 16,
      }),
      Plot.text([[1.15 * seen[0], 1.1 * seen[1]]], {
        text: () => "x",
        fill: "currentColor",
        fontSize: 16,
      }),
    ],
  });
}

// %% [markdown]
// Now errors. If the network's answer is off by $\delta$, the picture is off by $\delta\sigma/\Delta$. So a squared
// error in the picture costs $\Delta^2/\sigma^2$ in the loss. Insert the four targets, with
// $\mathrm{SNR} = \alpha^2/\sigma^2$:
//
// $$ \begin{aligned}
//    \varepsilon&: \mathrm{SNR}, & x_0&: 1, \\
//    v&: \mathrm{SNR} + 1, & u&: (\sqrt{\mathrm{SNR}} + 1)^2 .
//    \end{aligned} $$
//
// This is the list of [Salimans and Ho 2022](https://arxiv.org/abs/2202.00512), section 4, with flow matching added.
// The same factor turns a floor in $x_0$ into the floor of each loss. We check both on the 20,000 draws.

// %%
const price = (target: Target, level: Level) =>
  (determinant(target, level) / level.sigma) ** 2;
const snrAt300 = alphaBar[300]! / (1 - alphaBar[300]!);
check("price of ε", price("ε", at300), snrAt300, 1e-12);
check("price of x₀", price("x₀", at300), 1, 1e-12);
check("price of v", price("v", at300), snrAt300 + 1, 1e-12);
check(
  "price of u",
  price("u", at300),
  (Math.sqrt(snrAt300) + 1) ** 2,
  1e-12,
);

const guess = best(noisy, "letter", at300);
const guessedNoise = noisy.sub(guess.mul(at300.alpha)).div(at300.sigma);
const LIBRARY = {
  ε: "epsilon",
  "x₀": "sample",
  v: "v_prediction",
  u: "flow_prediction",
} as const;
for (const target of TARGET_NAMES) {
  const [p, q] = TARGETS[target](at300);
  const say = (x0: tf.Tensor, epsilon: tf.Tensor) =>
    x0.mul(p).add(epsilon.mul(q));
  const bestSaid = say(guess, guessedNoise);
  const errors = say(clean, epsilon).sub(bestSaid).square().mean(1);
  check(
    `smallest loss in ${target}`,
    average(errors),
    price(target, at300) * floorAt300,
    4 * standardError(errors),
  );
  const rule = trainingLevel(LIBRARY[target], at300, 300);
  check(
    `picture from ${target}, against the library's`,
    largest(
      pictureFrom(target, at300, noisy, bestSaid).sub(
        impliedX0(Array(DRAWS).fill(rule), noisy, bestSaid),
      ),
    ),
    0,
    1e-5, // numbers up to 4, in single precision
  );
}

// %% [markdown]
// ## Six networks
//
// A network here gets five numbers, the point and three features of the time, and has three hidden layers of 48. We
// train six: on the letter with each target, on the other drawings with $v$. All six have the same shape. So they can
// train side by side: each weight gets an axis more, and one matrix product serves six networks.

// %%
const TASKS: { name: Name; target: Target }[] = [
  ...TARGET_NAMES.map((target) => ({
    name: "letter" as const,
    target,
  })),
  { name: "spiral", target: "v" },
  { name: "moons", target: "v" },
];
const N = TASKS.length;
const WIDTHS = [5, 48, 48, 48, 2];

const weights = new Map<string, tf.Variable>();
WIDTHS.slice(1).forEach((out, i) => {
  const into = WIDTHS[i]!;
  // The same start for all. Kaiming's scale keeps activations' sizes.
  const kernel = tf.tidy(() =>
    tf.tile(
      noise
        .at("kernel", i)
        .normal([1, into, out])
        .mul(Math.sqrt(2 / into)),
      [N, 1, 1],
    ),
  );
  weights.set(`kernel${i}`, tf.variable(kernel));
  weights.set(`bias${i}`, tf.variable(tf.zeros([N, 1, out])));
});

/** What the networks say to points [N, B, 2] at timesteps [B]. */
const forward = (x: tf.Tensor3D, timesteps: readonly number[]) =>
  tf.tidy(() => {
    const features = timesteps.map((t) => {
      const angle = (2 * Math.PI * t) / 1000;
      return [t / 1000, Math.sin(angle), Math.cos(angle)];
    });
    const time = tf.tile(tf.tensor2d(features).expandDims(0), [
      N,
      1,
      1,
    ]);
    let h: tf.Tensor = tf.concat([x, time], 2);
    for (let i = 0; i < WIDTHS.length - 1; i++) {
      if (i > 0) h = h.mul(h.sigmoid()); // SiLU
      h = tf.matMul(h, weights.get(`kernel${i}`)!);
      h = h.add(weights.get(`bias${i}`)!);
    }
    return h as tf.Tensor3D;
  });

const numbersInAll = sum([...weights.values()].map(({ size }) => size));
check(
  "weights of one network, by hand",
  numbersInAll / N,
  5 * 48 + 48 + 2 * (48 * 48 + 48) + 48 * 2 + 2,
  0,
);

// %% [markdown]
// The training is that of [Ho et al. 2020](https://arxiv.org/abs/2006.11239), algorithm 1: a point, a noise, a time,
// the squared error. All six see the same noise and the same times, so that only the task differs.

// %%
const STEPS = 1000;
const BATCH = 128;

/** One share for each network and time, [N, B, 1]. */
const shares = (
  timesteps: readonly number[],
  of: (level: Level, task: (typeof TASKS)[number]) => number,
) =>
  tf.tensor3d(
    TASKS.map((task) =>
      timesteps.map((t) => [of(levelOf(alphaBar[t]!), task)]),
    ),
  );
/** Points of each task's drawing, [N, count, 2]. */
const cleanFor = (count: number, source: KeyedNoise) =>
  tf.stack(
    TASKS.map(({ name }) => pointsOf(name, count, source)),
  ) as tf.Tensor3D;

/** Noisy points at random times, and what the networks should say. */
function examples(count: number, source: KeyedNoise) {
  return tf.tidy(() => {
    const random = source.at("t").random();
    const timesteps = Array.from({ length: count }, () =>
      random.integer(1000),
    );
    const x0 = cleanFor(count, source);
    const epsilon = source.at("ε").normal([1, count, 2]);
    const mix = (f: Parameters<typeof shares>[1], g: typeof f) =>
      tf.addN([
        x0.mul(shares(timesteps, f)),
        epsilon.mul(shares(timesteps, g)),
      ]) as tf.Tensor3D;
    return {
      timesteps,
      x: mix(
        ({ alpha }) => alpha,
        ({ sigma }) => sigma,
      ),
      target: mix(
        (level, { target }) => TARGETS[target](level)[0],
        (level, { target }) => TARGETS[target](level)[1],
      ),
    };
  });
}

/** The six mean squared errors, [N]. */
const losses = (batch: ReturnType<typeof examples>) =>
  forward(batch.x, batch.timesteps)
    .sub(batch.target)
    .square()
    .mean<tf.Tensor1D>([1, 2]);

const optimizer = new AdamW(weights, { weightDecay: 0 });
const rate = warmupCosine({
  learningRate: 1.2e-2,
  warmupSteps: 20,
  totalSteps: STEPS,
});
const learning: { step: number; loss: number }[] = [];
for (let step = 0; step < STEPS; step++) {
  tf.tidy(() => {
    const batch = examples(BATCH, noise.at("step", step));
    // Of the sum, each network gets the gradient of its own loss.
    const { gradients } = parameterGradients(
      () => losses(batch).sum(),
      weights,
    );
    if (step % 5 === 0)
      learning.push({ step, loss: losses(batch).arraySync()[2]! });
    optimizer.step(gradients, rate(step + 1));
  });
}

// %% [markdown]
// Where does the loss stop? The third network learns the letter with $v$. Its floor is the mean of
// $(\mathrm{SNR} + 1)\cdot\text{floor}$ over all times, because all times are equally likely.

// %%
const timesTested = Array.from({ length: 25 }, (_, i) => 20 + 40 * i);
const floors = timesTested.map((t) =>
  floorOf("letter", levelOf(alphaBar[t]!)),
);
const meanFloor = (target: Target) =>
  mean(
    timesTested.map(
      (t, i) => price(target, levelOf(alphaBar[t]!)) * floors[i]!,
    ),
  );

/** Squared distances of the networks' pictures to the best ones. */
const excessAt = timesTested.map((t) =>
  tf.tidy(() => {
    const level = levelOf(alphaBar[t]!);
    const source = noise.at("excess", t);
    const epsilon = source.at("ε").normal([1, 500, 2]);
    const x = cleanFor(500, source)
      .mul(level.alpha)
      .add<tf.Tensor3D>(epsilon.mul(level.sigma));
    const said = forward(x, Array<number>(500).fill(t)).unstack();
    return x.unstack().map((x, k) => {
      const { name, target } = TASKS[k]!;
      const guess = pictureFrom(target, level, x, said[k]!);
      const D = best(x as tf.Tensor2D, name, level);
      return average(guess.sub(D).square());
    });
  }),
);
const meanExcess = (k: number) =>
  mean(
    timesTested.map(
      (t, i) =>
        price(TASKS[k]!.target, levelOf(alphaBar[t]!)) *
        excessAt[i]![k]!,
    ),
  );
check(
  "density on the grids, largest distance of the sum from 1",
  Math.max(...missed.map(Math.abs)),
  0,
  1e-5, // what lies beyond 6 deviations, and the rounding of a long sum
);
table(
  TASKS.slice(0, 4).map(({ target }, k) => ({
    target,
    floor: meanFloor(target),
    excess: meanExcess(k),
    percent: (100 * meanExcess(k)) / meanFloor(target),
  })),
  { caption: "Floor and excess, mean over all times" },
);
check("floor of the loss in v", meanFloor("v"), 0.36, 0.01);
check(
  "where the loss in v stops",
  meanFloor("v") + meanExcess(2),
  0.39,
  0.01,
);

// Pythagoras, at t = 300, for the network that learned v.
const answers = tf.tidy(() => {
  const six = tf.tile(noisy.expandDims<tf.Tensor3D>(0), [N, 1, 1]);
  const said = forward(six, Array<number>(DRAWS).fill(300));
  return pictureFrom("v", at300, noisy, said.unstack()[2]!);
});
const lossPerDraw = clean.sub(answers).square().mean(1);
check(
  "loss at t = 300, as floor and excess",
  average(lossPerDraw),
  floorAt300 + average(guess.sub(answers).square()),
  4 * standardError(lossPerDraw),
);

// %% folded
{
  const floor = meanFloor("v");
  plot({
    caption:
      "The loss of the network that learns v, a batch at a time (dots), and the floor (line): it is nearly there.",
    height: 300,
    x: { label: "training step", grid: true },
    y: { label: "loss", grid: true, domain: [0, 0.8] },
    marks: [
      Plot.dot(learning, {
        x: "step",
        y: "loss",
        r: 2,
        fill: BLUE,
        fillOpacity: 0.6,
      }),
      Plot.ruleY([floor], { stroke: ORANGE, strokeWidth: 2.5 }),
      Plot.text([[STEPS * 0.8, floor - 0.2]], {
        text: () => "floor",
        fill: ORANGE,
        fontSize: 15,
      }),
    ],
  });
}

// %% [markdown]
// The loss of a batch jumps, because some batches hold more hard times than others. Its mean stops near 0.39, and no
// network could go below 0.36. So the answer to the first question: look at the excess, not at the loss. Where nobody
// knows the floor, compare two networks on the *same* points, noises and times. The floor cancels.
//
// ## Who is good where
//
// Do not compare the excess in $\varepsilon$ with that in $v$: the units differ. Compare the *pictures* that follow
// from them.

// %% folded
{
  const COLORS = { ε: ORANGE, "x₀": BLUE, v: GREEN, u: VIOLET };
  const rows = timesTested.flatMap((t, i) =>
    TARGET_NAMES.map((target, k) => ({
      t,
      target,
      excess: excessAt[i]![k]!,
    })),
  );
  plot({
    caption:
      "How far the guessed pictures are from the best ones (mean square), for four targets. Grey: the floor.",
    marginLeft: 52,
    x: {
      label: "t",
      grid: true,
      domain: [0, 1000],
      ticks: [0, 250, 500, 750],
    },
    y: {
      label: "excess",
      type: "log",
      grid: true,
      tickFormat: "~g",
      ticks: 6,
    },
    color: {
      domain: TARGET_NAMES,
      range: TARGET_NAMES.map((k) => COLORS[k]),
    },
    marks: [
      Plot.line(
        timesTested.map((t, i) => [t, floors[i]!]),
        { stroke: "gray", strokeDasharray: "5 4", strokeWidth: 1.5 },
      ),
      Plot.line(rows, {
        x: "t",
        y: "excess",
        stroke: "target",
        strokeWidth: 2,
      }),
      Plot.text(
        [
          { target: "ε", t: 830, excess: 0.05 },
          { target: "x₀", t: 930, excess: 0.00014 },
          { target: "v", t: 620, excess: 0.0013 },
          { target: "u", t: 530, excess: 0.00022 },
        ],
        {
          x: "t",
          y: "excess",
          text: "target",
          fill: "target",
          fontSize: 16,
        },
      ),
    ],
  });
}

// %% [markdown]
// All four had the same letter, the same noise and the same number of steps.
//
// - The network for $\varepsilon$ is useless at the end. Its price there is $\mathrm{SNR} \approx 0$: training did not
//   ask for the picture, and $\Delta = \alpha \approx 0$ blows up what is left of the error.
// - The network for $x_0$ is the worst one with little noise, where its floor is tiny beside other times.
// - $v$ and $u$ are good everywhere. Their $\Delta$ is 1 and $\alpha + \sigma \ge 1$: never small.
//
// These are experiments, not theorems. But the seeds are written down, so they come out the same each time.

// %%
const [atStart, atEnd] = [excessAt[0]!, excessAt.at(-1)!];
check(
  "t = 980: excess of ε over the largest other one, as a power of 10",
  Math.log10(atEnd[0]! / Math.max(...atEnd.slice(1))),
  3,
  0.5,
);
check("t = 20: excess of x₀", atStart[1]!, 7.4e-4, 2e-4);
check(
  "t = 20: the largest excess of the four is that of x₀",
  Math.max(...atStart.slice(0, 4)),
  atStart[1]!,
  0,
);
check(
  "largest excess of v and u, and of spiral and moons",
  Math.max(...excessAt.flatMap((all) => all.slice(2))),
  0,
  0.1 * floors.at(-1)!, // a tenth of the data's variance
);

// %% [markdown]
// ## Weights
//
// A weight $\lambda(t)$ on the squared error changes which times training cares for. It does not change the best
// network: at each time the best answer is the mean, whatever the weight. And target and weight are one choice in two
// forms: the loss in $y$ is the loss in $x_0$ with the weight $\Delta^2/\sigma^2$. So say what an error in the
// *picture* shall cost, and divide by the price. [Hang et al. 2023](https://arxiv.org/abs/2303.09556), section 3.4,
// choose $\min(\mathrm{SNR}, \gamma)$ with $\gamma = 5$. It is the price of $\varepsilon$, but never so high that the
// easy times with little noise take all the attention:
//
// $$ \lambda_y(t) = \frac{\min(\mathrm{SNR}, \gamma)}{\Delta^2 / \sigma^2} . $$
//
// The library's `minSnrWeights` has a formula for each target. Ours has one for all.

// %%
const minSnr = (target: Target, a: number, gamma = 5) =>
  Math.min(a / (1 - a), gamma) / price(target, levelOf(a));
for (const target of ["ε", "x₀", "v"] as const) {
  const theirs = minSnrWeights(alphaBar, LIBRARY[target]);
  const off = theirs.map((weight, t) =>
    Math.abs(weight - minSnr(target, alphaBar[t]!)),
  );
  check(
    `weights for ${target}, against the library's`,
    Math.max(...off),
    0,
    1e-9,
  );
}

// %% [markdown]
// ## Draw
//
// Now the networks draw, with DDIM in 40 steps ([chapter 3](./03-ddpm-and-ddim.md)): guess the picture, find the noise
// that belongs to it, mix both again with less noise. All six start from the same noise.

// %%
const drawingSteps = 40;
const sampler = (clip_sample: boolean) =>
  new DDIMScheduler({
    beta_schedule: "squaredcos_cap_v2",
    prediction_type: "v_prediction",
    timestep_spacing: "trailing",
    clip_sample,
  });
const { timesteps } = sampler(false).plan(drawingSteps);
const start = noise.at("start").normal([600, 2]) as tf.Tensor2D;

/** 600 points for each network; `limit` clips the guesses. */
function draw(limit = Infinity): tf.Tensor2D[] {
  return tf.tidy(() => {
    let x = TASKS.map(() => start);
    timesteps.forEach((t, i) => {
      const level = levelOf(alphaBar[t]!);
      const next = levelOf(alphaBar[timesteps[i + 1]!] ?? 1);
      const said = forward(
        tf.stack(x) as tf.Tensor3D,
        Array<number>(600).fill(t),
      ).unstack();
      x = x.map((x, k) => {
        const { target } = TASKS[k]!;
        const guess = pictureFrom(target, level, x, said[k]!);
        const noise = x.sub(guess.mul(level.alpha)).div(level.sigma);
        return guess
          .clipByValue(-limit, limit)
          .mul(next.alpha)
          .add<tf.Tensor2D>(noise.mul(next.sigma));
      });
    });
    return x;
  });
}
const [free, clipped] = [draw(), draw(1)];

const spiralNetwork = (x: tf.Tensor2D, timesteps: number[]) =>
  tf.tidy(
    () =>
      forward(
        tf.tile(x.expandDims<tf.Tensor3D>(0), [N, 1, 1]),
        timesteps,
      ).unstack()[4]! as tf.Tensor2D,
  );
for (const [limit, ours] of [
  [false, free],
  [true, clipped],
] as const) {
  const theirs = runPlan(
    sampler(limit).plan(drawingSteps),
    spiralNetwork,
    start,
    noise,
  );
  check(
    `spiral, ${limit ? "" : "not "}clipped, against the library`,
    largest(theirs.sub(ours[4]!)),
    0,
    2e-4, // 40 steps in single precision, through a network
  );
}

/** The share of points within 4 s of a place of their drawing. */
const onLine = (x: tf.Tensor2D, name: Name) =>
  tf.tidy(() =>
    average(
      distances(x, name, 1)
        .min(1)
        .less((4 * S) ** 2)
        .toFloat(),
    ),
  );
const exactly = (scheduler: DDIMScheduler, scale = 1) =>
  sampleMixture(
    scheduler.plan(drawingSteps),
    {
      means: DRAWINGS.letter.map(([x, y]) => [scale * x, scale * y]),
      deviation: scale * S,
    },
    start,
    noise,
    "v_prediction",
  );
const byBest = exactly(sampler(false));
const drawn = [
  ...TASKS.map(({ name, target }, k) => ({
    drawing: name,
    target: target,
    free: onLine(free[k]!, name),
    clipped: onLine(clipped[k]!, name),
  })),
  {
    drawing: "letter",
    target: "(the best)",
    free: onLine(byBest, "letter"),
    clipped: onLine(exactly(sampler(true)), "letter"),
  },
];
table(
  drawn.map(({ drawing, target, free, clipped }) => ({
    drawing,
    target,
    free: `${(100 * free).toFixed(0)} %`,
    clipped: `${(100 * clipped).toFixed(0)} %`,
  })),
  {
    caption:
      "How many of 600 points lie within 4 s of the line, without and with clipped guesses",
  },
);

// %% folded
panels(
  "What the six networks drew, with clipped guesses.",
  TASKS.map(({ name, target }, k) => ({
    name: `${name}, ${target}`,
    points: clipped[k]!.arraySync(),
  })),
);

// %% [markdown]
// A short training of a network with 5000 weights draws a letter that one can read. The best denoiser draws it
// perfectly, so what is missing is the network's excess, not the sampler's fault.
//
// ## What clipping does
//
// `clip_sample` limits the guessed picture to $[-1, 1]$ in each step. Pictures lie in this range, and so does a mean of
// pictures. So the best denoiser never leaves it, and clipping changes nothing. It saves the network for
// $\varepsilon$: at the first step $\Delta = \alpha = 0.00005$, and an error of 0.05 in the noise is one of 1000 in the
// picture. Without clipping, all its points are lost.
//
// But clipping is right only for data that lie in the range. Make the letter twice as large, and even the best
// denoiser draws nonsense. This is why Stable Diffusion, whose latents go up to about 4, has `clip_sample: false`.

// %%
check(
  "the best denoiser, clipped, on the line",
  drawn.at(-1)!.clipped,
  drawn.at(-1)!.free,
  0,
);
check(
  "Δ of ε at the first step",
  determinant("ε", levelOf(alphaBar[999]!)),
  0.00005,
  1e-6,
);
check("ε without clipping, on the line", drawn[0]!.free, 0, 0.02);
check("ε with clipping, on the line", drawn[0]!.clipped, 0.8, 0.1);

const large = [false, true].map((clip) => exactly(sampler(clip), 2));
panels("A letter of twice the size, drawn by the best denoiser.", [
  {
    name: "without clipping",
    points: large[0]!.div<tf.Tensor2D>(2).arraySync(),
  },
  {
    name: "clipped to [−1, 1]",
    points: large[1]!.div<tf.Tensor2D>(2).arraySync(),
  },
]);
check("largest number, clipped", largest(large[1]!), 1, 0);
check(
  "largest number, without clipping",
  largest(large[0]!),
  1.75,
  0.15,
);

// %% [markdown]
// ## The end of the schedule
//
// Drawing starts from pure noise. Does training end there? The cosine schedule does, almost. The schedule of Stable
// Diffusion does not: its last $\alpha$ is 0.068. In one number of a picture nobody sees 7 % of a signal. But all
// numbers together testify. A picture of $n$ numbers has a mean brightness $b$. Look along the axis on which all
// numbers grow alike, in the direction $(1, \dots, 1)/\sqrt n$. There the picture stands at $\sqrt n\, b$. The noise
// has the deviation 1 there, as in each direction. So at the last step the brightness can be read with a
// signal-to-noise ratio of $\alpha^2 n\, b^2$, and a good network reads it.
//
// In drawing, it reads the brightness of the starting noise, which is always near 0. So the picture becomes grey
// ([Lin et al. 2023](https://arxiv.org/abs/2305.08891), section 3.1). How grey? Let the brightness of the data be
// $\mathcal N(0, s_b^2)$, so that $S = \sqrt n\,s_b$ is the deviation on the axis. The best flow only rescales: it
// leads the deviation $\sqrt{\alpha^2 S^2 + \sigma^2}$, where training ended, to $S$. It starts with 1 instead. So it
// draws
//
// $$ S' = \frac{S}{\sqrt{\alpha^2 S^2 + 1 - \alpha^2}} \;\longrightarrow\; \frac1\alpha
//    \quad\text{for large } n . $$

// %%
const stableDiffusion = {
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  beta_end: 0.012,
} as const;
const lastAlpha = Math.sqrt(
  new DDIMScheduler(stableDiffusion).alphaBar[999]!,
);
check(
  "α at the end of Stable Diffusion's schedule",
  lastAlpha,
  0.068,
  5e-4,
);

/** How much the brightness of drawn pictures varies, on paper. */
const drawnBrightness = (ofData: number, n: number, alpha: number) => {
  const S = Math.sqrt(n) * ofData;
  return ofData / Math.sqrt((alpha * S) ** 2 + 1 - alpha ** 2);
};
/** The same by the best denoiser, in 1000 steps. */
const measuredBrightness = (
  ofData: number,
  n: number,
  rescale_betas_zero_snr: boolean,
) =>
  tf.tidy(() => {
    const scheduler = new DDIMScheduler({
      ...stableDiffusion,
      prediction_type: "v_prediction",
      timestep_spacing: "trailing",
      clip_sample: false,
      rescale_betas_zero_snr,
    });
    const end = sampleMixture(
      scheduler.plan(1000),
      { means: [[0]], deviation: Math.sqrt(n) * ofData },
      tf.tensor2d([[1]]),
      noise,
      "v_prediction",
    );
    return end.dataSync()[0]! / Math.sqrt(n);
  });
const SIZE = 64 * 64;
const grey = drawnBrightness(0.4, SIZE, lastAlpha);
const cure = measuredBrightness(0.4, SIZE, true);
// DDIM is of first order; these are its errors with 1000 steps.
check(
  "brightness of 64 x 64 numbers, drawn by the best denoiser",
  measuredBrightness(0.4, SIZE, false),
  grey,
  1.5e-4,
);
check("the same, with the schedule mended", cure, 0.4, 0.004);
show(
  `data: 0.4; drawn: ${grey.toFixed(3)}; mended: ${cure.toFixed(3)}`,
);

// %% folded
{
  const sizes = Array.from({ length: 61 }, (_, i) => 10 ** (i / 10));
  plot({
    caption:
      "How much the brightness of drawn pictures varies if Stable Diffusion's schedule is taken as it is. The data: 0.4.",
    height: 280,
    marginRight: 30,
    x: {
      label: "numbers in a picture",
      type: "log",
      grid: true,
      tickFormat: "~s",
      ticks: 6,
    },
    y: { label: "deviation", grid: true, domain: [0, 0.45] },
    marks: [
      Plot.ruleY([0.4], { stroke: GREEN, strokeDasharray: "5 4" }),
      Plot.line(
        sizes.map((n) => [n, drawnBrightness(0.4, n, lastAlpha)]),
        { stroke: BLUE, strokeWidth: 2.5 },
      ),
      Plot.dot([[SIZE, grey]], { fill: ORANGE, r: 5 }),
      Plot.text([[SIZE, grey]], {
        text: () => "64 x 64",
        fill: ORANGE,
        fontSize: 14,
        textAnchor: "start",
        dx: 10,
        dy: -6,
      }),
    ],
  });
}

// %% [markdown]
// Half of the variety in brightness is lost, although the denoiser is perfect. The cure moves the schedule so that its
// last $\alpha$ is 0 (Lin et al. 2023, algorithm 1): subtract the last $\alpha$ from all, and stretch, so that the
// first one stays.
//
// $$ \alpha_t' = (\alpha_t - \alpha_T)\, \frac{\alpha_0}{\alpha_0 - \alpha_T} . $$
//
// And now the network cannot answer with $\varepsilon$ any more. With $\alpha = 0$, its determinant is 0: it repeats
// what it sees, and says nothing about the picture. That is why such models predict $v$.

// %%
const old = new DDIMScheduler(stableDiffusion).alphaBar;
const moved = Array.from(old, (a) => {
  const [first, last] = [Math.sqrt(old[0]!), Math.sqrt(old[999]!)];
  return (((Math.sqrt(a) - last) * first) / (first - last)) ** 2;
});
const theirs = new DDIMScheduler({
  ...stableDiffusion,
  rescale_betas_zero_snr: true,
}).alphaBar;
check(
  "mended schedule, against the library's",
  Math.max(...moved.map((a, t) => Math.abs(a - theirs[t]!))),
  0,
  1e-6, // the library keeps betas in single precision
);
for (const [target, size] of [
  ["ε", 0],
  ["v", 1],
] as const)
  check(
    `Δ of ${target} at the mended end`,
    determinant(target, levelOf(moved[999]!)),
    size,
    1e-12,
  );

// %% [markdown]
// ## What to take along
//
// - A loss is a floor plus an excess. The floor belongs to the data and the noise; only the excess is the network's.
// - $\varepsilon$, $x_0$, $v$ and $u$ are mixtures of picture and noise. One determinant,
//   $\Delta = \alpha q - \sigma p$, turns each into the picture, and $\Delta^2/\sigma^2$ is what an error costs.
// - The target is a weight in disguise. Weights move a network's attention, not the best answer.
// - $\varepsilon$ fails where almost no picture is left. Clipping hides that for pictures, and harms other data.
// - A schedule that keeps a little signal at its end draws grey pictures, the more so the larger they are.
//
// ## What to read next
//
// - [Salimans and Ho 2022](https://arxiv.org/abs/2202.00512), section 4: targets, weights, and where $v$ comes from.
// - [Karras et al. 2022](https://arxiv.org/abs/2206.00364), section 5: target, weight and times chosen on purpose.
// - [Lin et al. 2023](https://arxiv.org/abs/2305.08891): four flaws at the end of the schedule, and their cures.
// - [Chapter 6](./06-flow-matching.md) follows $u$ further, to straight paths.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 5`. Each exercise is
// judged on its own.
//
// **1.** The data are $\mathcal N(0, 0.5^2)$, and $\bar\alpha = 0.5$. What is the smallest possible mean squared error
// of a network that names the noise?

// %%
const floorOfNoise: Answer = todo;
await exercise("floor of ε", floorOfNoise);

// %% [markdown]
// **2.** *Predict, then run.* The deviation of the brightness is 0.4 in the data. Pictures have 256 x 256 numbers now.
// What does Stable Diffusion's schedule leave of it?

// %%
const prediction: Answer = todo;
predict(
  "brightness of large pictures",
  prediction,
  drawnBrightness(0.4, 256 * 256, lastAlpha),
  0.02,
);

// %% [markdown]
// **3.** *Write a function.* The noise that follows from what we see, $x$, and what a network says, $y$, for any target
// $y = p\,x_0 + q\,\varepsilon$: single numbers.

// %%
type NoiseFrom = (
  x: number,
  y: number,
  level: { alpha: number; sigma: number; p: number; q: number },
) => number;
const noiseFrom: Answer<NoiseFrom> = todo;
await exercise("the noise from any target", noiseFrom);

// %% [markdown]
// **4.** *Find the fault.* Min-SNR weights for a network that answers with $v$. With these, the times with much noise
// weigh most.

// %%
const weightOfV = (snr: number, gamma: number) =>
  Math.min(snr, gamma) / snr + 1;
await repair("a weight for v", weightOfV);

// %% [markdown]
// **5.** *Reproduce the plot.* The floor of the loss in $v$ for data from $\mathcal N(0, 0.5^2)$, at
// $\bar\alpha = 0.05, 0.1, \dots, 0.95$. Answer with its 19 points `[alphaBar, floor]`.

// %%
const floorsOfV: Answer<Points> = todo;
await reproduce("floors of v", floorsOfV, {
  caption: "The smallest possible loss in v.",
  height: 260,
  x: { label: "ᾱ", grid: true },
  y: { label: "floor", grid: true },
});
