// %% [markdown]
// # Appendix B: Randomness
//
// **A training is stopped in the middle, and goes on the next day. At the end its weights are the same, to the last
// bit, as without the stop. Where was the randomness kept?**
//
// Nowhere. The library's random numbers have no state: each is a function of a **key** and a **counter**. This appendix
// builds that function, turns its bits into normal numbers, and tests them. In the end it also rebuilds the generator
// of PyTorch, which does have a state, to draw the same noise as a program in Python.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import {
  dataOrder,
  train,
  type CheckpointStore,
} from "@tfjs-diffusion/core/training";
import {
  channelsLast,
  keyedNoise,
  keyedRandom,
  torchNoise,
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
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const list = <T>(length: number, f: (i: number) => T) =>
  Array.from({ length }, (_, i) => f(i));
const numbersOf = (x: tf.Tensor) => Array.from(x.dataSync());
/** How many numbers of a pair of lists differ. */
const differing = ([a, b]: readonly [
  readonly number[],
  readonly number[],
]) =>
  Math.abs(a.length - b.length) +
  a.filter((value, i) => value !== b[i]).length;

// %% [markdown]
// Most generators are a **chain**. They keep a state, and each draw changes it. The thousandth number exists only after
// 999 others, and to go on tomorrow, the state must be saved. A counter-based generator is a **table** that nobody
// writes down. Whoever knows the key and the row can compute the entry.

// %% folded
const [BLUE, ORANGE, GREEN] = ["#4269d0", "#d97706", "#2f9e58"];
{
  const columns = list(5, (x) => ({ x }));
  type Column = { x: number };
  const box = (y: number, color: string, size = 0.3) =>
    Plot.rect(columns, {
      x1: ({ x }: Column) => x - size,
      x2: ({ x }: Column) => x + size,
      y1: y - 0.22,
      y2: y + 0.22,
      stroke: color,
      fill: color,
      fillOpacity: 0.15,
      strokeWidth: 2,
    });
  const label = (y: number, text: (x: number) => string) =>
    Plot.text(columns, {
      x: "x",
      y: () => y,
      text: ({ x }: Column) => text(x),
      fontSize: 12,
      fill: "currentColor",
    });
  const arrow = {
    x1: "0",
    y1: "1",
    x2: "2",
    y2: "3",
    stroke: "currentColor",
    headLength: 7,
  };
  plot({
    caption:
      "Above, a chain: state s makes number u and the next state. Below, a table: key k and place make the number.",
    height: 300,
    axis: null,
    x: { domain: [-0.5, 4.5] },
    y: { domain: [-0.4, 4] },
    marks: [
      box(3.6, ORANGE),
      label(3.6, (x) => `s${"₀₁₂₃₄"[x]}`),
      label(2.5, (x) => `u${"₀₁₂₃₄"[x]}`),
      Plot.arrow(
        list(4, (x) => [x + 0.33, 3.6, x + 0.67, 3.6]),
        arrow,
      ),
      Plot.arrow(
        list(5, (x) => [x, 3.33, x, 2.72]),
        arrow,
      ),
      box(1.2, BLUE),
      label(1.2, (x) => `k, ${x}`),
      label(0.05, (x) => `u${"₀₁₂₃₄"[x]}`),
      Plot.arrow(
        list(5, (x) => [x, 0.93, x, 0.3]),
        arrow,
      ),
    ],
  });
}

// %% [markdown]
// ## Twenty rounds
//
// The function is **Threefry** ([Salmon et al. 2011](https://doi.org/10.1145/2063384.2063405)), a cipher, made weaker
// and faster. Key and counter are two words of 32 bits each. A round does three things to the words $a$ and $b$: add
// $b$ to $a$, turn the bits of $b$ around by some places, and take the exclusive or with $a$. After every fourth round,
// parts of the key are added again. All sums drop what does not fit into a word.
//
// The number of bits is an argument here, so that we can look at a small version later.

// %%
type Words = readonly [number, number];
const TURNS = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;

interface Size {
  rounds?: number;
  bits?: number;
}
function threefry(
  [key0, key1]: Words,
  [counter0, counter1]: Words,
  { rounds = 20, bits = 32 }: Size = {},
): Words {
  const wrap = (x: number) => (x & (2 ** bits - 1)) >>> 0;
  const keys = [key0, key1, wrap(PARITY ^ key0 ^ key1)];
  let a = wrap(counter0 + key0);
  let b = wrap(counter1 + key1);
  for (let round = 1; round <= rounds; round++) {
    const turn = TURNS[(round - 1) % 8]! % bits;
    a = wrap(a + b);
    b = wrap(((b << turn) | (b >>> (bits - turn))) ^ a);
    if (round % 4 === 0) {
      const injection = round / 4;
      a = wrap(a + keys[injection % 3]!);
      b = wrap(b + keys[(injection + 1) % 3]! + injection);
    }
  }
  return [a, b];
}

// %% [markdown]
// The authors publish answers. With zeros everywhere the words must be `6b200159 99ba4efe`; with the digits of π as key
// and counter, `c4923a9c 483df7a0`.

// %%
const zeros = threefry([0, 0], [0, 0]);
check("zeros, first word", zeros[0], 0x6b200159, 0);
check("zeros, second word", zeros[1], 0x99ba4efe, 0);
const ofPi = threefry(
  [0x13198a2e, 0x03707344],
  [0x243f6a88, 0x85a308d3],
);
check("digits of π, first word", ofPi[0], 0xc4923a9c, 0);
check("digits of π, second word", ofPi[1], 0x483df7a0, 0);

// %% [markdown]
// Why does such a thing give random numbers? Turn over a single bit of the counter, and see how many of the 64 bits of
// the answer turn over. After no round it is that bit alone. After some rounds each bit turns over with probability ½,
// as if somebody had thrown 64 coins: 32 bits, with a deviation of $\sqrt{64}/2 = 4$.

// %%
const onesIn = (x: number) => x.toString(2).replaceAll("0", "").length;
const COUNTERS = 32;
const turnedAfter = (rounds: number) =>
  list(COUNTERS, (counter) =>
    list(64, (bit) => {
      const flip = (2 ** (bit % 32)) >>> 0;
      const before = threefry([0, 0], [counter, 7], { rounds });
      const after = threefry(
        [0, 0],
        bit < 32
          ? [(counter ^ flip) >>> 0, 7]
          : [counter, (7 ^ flip) >>> 0],
        { rounds },
      );
      return sum(
        [0, 1].map((k) => onesIn((before[k]! ^ after[k]!) >>> 0)),
      );
    }),
  ).flat();
const avalanche = list(21, (rounds) => ({
  rounds,
  turned: mean(turnedAfter(rounds)),
}));
check("bits turned over after no round", avalanche[0]!.turned, 1, 0);
const full = turnedAfter(20);
const fourErrors = (4 * 4) / Math.sqrt(full.length);
check("after 6 rounds", avalanche[6]!.turned, 32, fourErrors);
check("after 20 rounds", mean(full), 32, fourErrors);
check(
  "their deviation",
  Math.sqrt(mean(full.map((count) => (count - 32) ** 2))),
  4,
  fourErrors / Math.SQRT2, // a deviation's standard error is 4 / √2n
);

// %% folded
plot({
  caption:
    "How many of 64 bits turn over if one bit of the counter does. From round 6 on it is half of them.",
  height: 260,
  x: { label: "rounds", grid: true, ticks: [0, 4, 8, 12, 16] },
  y: { label: "bits", grid: true, domain: [0, 36] },
  marks: [
    Plot.ruleY([32], { stroke: ORANGE, strokeDasharray: "5 4" }),
    Plot.line(avalanche, { x: "rounds", y: "turned", stroke: BLUE }),
    Plot.dot(avalanche, { x: "rounds", y: "turned", fill: BLUE }),
  ],
});

// %% [markdown]
// And it never loses anything. Adding, turning and the exclusive or can all be undone, one after the other. So for a
// given key, different counters give different answers. We cannot try all $2^{64}$ counters. But we can try the small
// version with two words of 8 bits: 65,536 counters give 65,536 different answers.

// %%
const answers = new Set(
  list(65_536, (i) => {
    const counter = [i >>> 8, i & 255] as const;
    const [a, b] = threefry([19, 84], counter, { bits: 8 });
    return a * 256 + b;
  }),
);
check(
  "different answers of the small version",
  answers.size,
  65_536,
  0,
);

// %% [markdown]
// ## Keys from names
//
// A program needs many streams: one for the weights, one for the order of the data, one for each step of the training.
// Each gets a key of its own. In the library a stream is a **path**, such as `keyedNoise(7).at("step", 12)`. The seed
// and each part of the path mix the key further, by Threefry itself. A number is a counter of 64 bits. A word goes in
// letter by letter, and its length first, so that no word is the beginning of another one.

// %%
const mixNumber = (key: Words, n: number) =>
  threefry(threefry(key, [0, 0]), [
    n >>> 0,
    Math.floor(n / 2 ** 32) >>> 0,
  ]);
const mixWord = (key: Words, word: string) =>
  [...word].reduce(
    (state, letter, i) => threefry(state, [letter.charCodeAt(0), i]),
    threefry(key, [1, word.length]),
  );
const keyOf = (...path: (number | string)[]) =>
  path.reduce<Words>(
    (key, part) =>
      typeof part === "number"
        ? mixNumber(key, part)
        : mixWord(key, part),
    [0, 0],
  );

// %% [markdown]
// A key gives as many pairs of words as there are counters. A pair holds 64 bits. The upper 53 become a number between
// 0 and 1, because a number in double precision has room for 53. These are the library's plain numbers:

// %%
const uniforms = (count: number, ...path: (number | string)[]) => {
  const key = keyOf(...path, "numbers");
  return list(count, (i) => {
    const [high, low] = threefry(key, [i, 0]);
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  });
};
const libraryUniforms = (
  count: number,
  seed: number,
  ...path: (number | string)[]
) => {
  const random = keyedRandom(seed, ...path);
  return list(count, () => random.uniform());
};
for (const seed of [0, 7, -1, 2 ** 40])
  check(
    `seed ${seed}: numbers that differ from the library's, of 100`,
    differing([
      uniforms(100, seed, "photo", 3),
      libraryUniforms(100, seed, "photo", 3),
    ]),
    0,
    0,
  );

// %% [markdown]
// Why not simply count the seed up, one for each picture or step? Because then streams overlap. If picture $i$ is drawn
// with `seed + i`, the second picture of seed 0 is the first of seed 1. With paths, both have numbers of their own:

// %%
const counted = (seed: number, i: number) => uniforms(20, seed + i);
check(
  "counted seeds: numbers that differ",
  differing([counted(0, 1), counted(1, 0)]),
  0,
  0,
);
check(
  "paths: numbers that differ, of 20",
  differing([uniforms(20, 0, 1), uniforms(20, 1, 0)]),
  20,
  0,
);

// %% [markdown]
// ## From bits to bells
//
// Noise is normal, not uniform. [Box and Muller (1958)](https://doi.org/10.1214/aoms/1177706645) go over the plane.
// Take two independent normal numbers as a point. Its density, $e^{-(x^2+y^2)/2}/2\pi$, depends on the radius only. So
// the **angle** is uniform. And a ring of radius $r$ has the area $2\pi r\,dr$, so the chance of a radius beyond $r$ is
//
// $$ \int_r^\infty s\,e^{-s^2/2}\,ds = e^{-r^2/2} . $$
//
// Set this equal to a uniform number $u$, and solve: $r = \sqrt{-2\ln u}$. Two uniform numbers make two normal ones.

// %%
/** Points of the plane, from a pair of words each. */
const boxMuller = ([a, b]: Words): Words => {
  const radius = Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));
  const angle = (2 * Math.PI * b) / 2 ** 32;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
};
/** The normal numbers of a stream's n-th draw. */
const normals = (
  count: number,
  n: number,
  ...path: (number | string)[]
) => {
  const key = keyOf(...path, "draw", n);
  return list(Math.ceil(count / 2), (i) =>
    boxMuller(threefry(key, [i, 0])),
  )
    .flat()
    .slice(0, count);
};
const stream = keyedNoise(7).at("step", 12);
for (const n of [0, 1])
  check(
    `draw ${n}: numbers that differ from the library's, of 1001`,
    differing([
      normals(1001, n, 7, "step", 12).map(Math.fround),
      numbersOf(stream.normal([1001])),
    ]),
    0,
    0,
  );

// %% folded
{
  const N = 1400;
  const bands = list(N, (i) => {
    const [a, b] = threefry([92, 0], [i, 0]);
    const [x, y] = boxMuller([a, b]);
    const u = a / 2 ** 32;
    return { u, v: b / 2 ** 32, x, y, band: Math.floor(4 * u) };
  });
  type Band = (typeof bands)[number];
  const colors = [ORANGE, GREEN, BLUE, "#8b5cf6"];
  plot({
    caption:
      "Left: pairs of uniform numbers, in four bands of u (upwards). Right: the same pairs as radius and angle.",
    height: 330,
    axis: null,
    x: { domain: [-0.1, 2.6] },
    y: { domain: [-0.15, 1.1] },
    marks: [
      Plot.dot(bands, {
        x: "v",
        y: "u",
        r: 1.4,
        fill: ({ band }: Band) => colors[band],
      }),
      Plot.dot(bands, {
        x: ({ x }: Band) => 1.85 + 0.2 * x,
        y: ({ y }: Band) => 0.5 + 0.16 * y,
        r: 1.4,
        fill: ({ band }: Band) => colors[band],
        clip: true,
      }),
      Plot.text(
        [
          { x: 0.5, text: "angle →" },
          { x: 1.85, text: "a point of the plane" },
        ],
        { x: "x", y: -0.1, text: "text", fontSize: 13 },
      ),
    ],
  });
}

// %% [markdown]
// The `a + 1` keeps $u$ away from 0, whose logarithm is infinite. The smallest $u$ is $2^{-32}$. So no number is larger
// than $\sqrt{64 \ln 2} = 6.66$. A true bell passes $x$, on either side, with a chance of about
// $2\,e^{-x^2/2} (1 - 1/x^2) / (x \sqrt{2\pi})$: once in 37 billion draws.

// %%
const [far] = boxMuller([0, 0]);
check(
  "the largest normal number",
  far,
  Math.sqrt(64 * Math.LN2),
  1e-12,
);
check("the smallest radius", boxMuller([2 ** 32 - 1, 5])[0], 0, 0);
const tail =
  ((2 * Math.exp(-(far ** 2) / 2)) / (far * Math.sqrt(2 * Math.PI))) *
  (1 - 1 / far ** 2);
// The next term of the tail is 3 / x⁴, a six hundredth.
check("billion draws for a larger one", 1 / tail / 1e9, 36.6, 0.1);

// %% [markdown]
// ## Are they random?
//
// No test proves it. But each can refuse. Begin with the **moments**: the means of $x$, $x^2$, $x^3$ and $x^4$, which
// for a bell are 0, 1, 0 and 3. The mean of $n$ draws of $x^k$ has the variance
// $(\mathbb E[x^{2k}] - \mathbb E[x^k]^2)/n$. The even moments of a bell are 1, 3, 15, 105 for $k = 1 \dots 4$, so the
// variances are 1, 2, 15 and 96 over $n$.

// %%
const N = 100_000;
const bell = normals(N, 0, 7, "moments");
[0, 1, 0, 3].forEach((want, i) => {
  const k = i + 1;
  const even = [1, 1, 3, 15, 105];
  check(
    `moment ${k} of ${N} numbers`,
    mean(bell.map((x) => x ** k)),
    want,
    4 * Math.sqrt((even[k]! - want ** 2) / N),
  );
});

// %% [markdown]
// Next, **counts**. Divide what can happen into $k$ cells of equal chance. If $n_j$ of $n$ draws fall into cell $j$,
// and $e = n/k$ are expected,
//
// $$ \chi^2 = \sum_j \frac{(n_j - e)^2}{e} $$
//
// has the mean $k - 1$ and the variance $2(k-1)$. A sum far above says that some cells are preferred. A sum far *below*
// says that the numbers are too even, which is not random either.
//
// Which cells? Take two numbers that come from *different* pairs of words, $x_i$ and $x_{i+2}$. If both are normal and
// independent, $e^{-(x^2+y^2)/2}$ and the angle are uniform again. We cut each into eight: 64 cells in the plane.

// %%
const chiSquare = (cells: readonly number[], k: number) => {
  const counts = Array<number>(k).fill(0);
  for (const cell of cells) counts[cell]!++;
  const expected = cells.length / k;
  return sum(counts.map((n) => (n - expected) ** 2 / expected));
};
check(
  "χ² of the counts 6, 4",
  chiSquare([0, 0, 0, 1, 0, 1, 0, 1, 0, 1], 2),
  0.4,
  1e-12,
);
const polarCell = (x: number, y: number) => {
  const u = Math.exp(-(x * x + y * y) / 2);
  const turn = Math.atan2(y, x) / (2 * Math.PI) + 0.5;
  return 8 * Math.floor(8 * u) + Math.floor(8 * turn);
};
const cells = bell
  .slice(2)
  .map((x, i) => polarCell(x, bell[i]!))
  .filter((_, i) => i % 4 < 2); // no number twice
check("pairs", cells.length, N / 2, 0);
check(
  "χ² of 64 cells",
  chiSquare(cells, 64),
  63,
  4 * Math.sqrt(2 * 63),
);

// %% [markdown]
// And the whole curve at once: **Kolmogorov's** test. Sort $n$ uniform numbers. The share below $x$ should be $x$. Let
// $D$ be the largest difference. For large $n$, $\sqrt n\,D$ has a distribution that does not depend on anything:
//
// $$ P(\sqrt n\,D > z) = 2 \sum_{j \ge 1} (-1)^{j-1} e^{-2 j^2 z^2} . $$
//
// Its mean is $\sqrt{\pi/2}\,\ln 2 = 0.869$, its variance $\pi^2/12 - (\pi/2) \ln^2 2$. One value of $D$ says little.
// But 400 streams, one for each seed, should show the whole distribution.

// %%
const rootD = (draws: readonly number[]) => {
  const n = draws.length;
  const sorted = [...draws].sort((a, b) => a - b);
  const gaps = sorted.map((x, i) =>
    Math.max(x - i / n, (i + 1) / n - x),
  );
  return Math.sqrt(n) * Math.max(...gaps);
};
check("√n D of 0.1, 0.7", rootD([0.7, 0.1]), 0.4 * Math.SQRT2, 1e-12);
const STREAMS = 400;
const ds = list(STREAMS, (seed) => rootD(uniforms(1000, seed)));
const kolmogorovMean = Math.sqrt(Math.PI / 2) * Math.LN2;
const kolmogorovVariance =
  Math.PI ** 2 / 12 - (Math.PI / 2) * Math.LN2 ** 2;
check(
  "mean of √n D, 400 streams",
  mean(ds),
  kolmogorovMean,
  // Four standard errors, and 1/(6√n) for a finite n.
  4 * Math.sqrt(kolmogorovVariance / STREAMS) + 0.0053,
);
const beyond = (z: number) =>
  2 *
  sum(
    list(20, (i) => (-1) ** i * Math.exp(-2 * (i + 1) ** 2 * z ** 2)),
  );
check("chance beyond 1.36, the usual limit", beyond(1.36), 0.05, 0.001);
const overTheLimit = ds.filter((d) => d > 1.36).length;
check(
  "streams beyond it, of 400",
  overTheLimit,
  400 * beyond(1.36),
  4 * Math.sqrt(400 * 0.05 * 0.95),
);

// %% folded
{
  const sorted = [...ds].sort((a, b) => a - b);
  const steps = sorted.map((d, i) => ({
    d,
    share: (i + 0.5) / STREAMS,
  }));
  const curve = list(91, (i) => ({ d: 0.3 + i / 50 })).map(({ d }) => ({
    d,
    share: 1 - beyond(d),
  }));
  plot({
    caption:
      "The share of 400 streams whose √n D is below z (dots), and Kolmogorov's distribution (line).",
    height: 280,
    x: { label: "z", grid: true, ticks: [0.4, 0.8, 1.2, 1.6] },
    y: { label: "share", grid: true },
    marks: [
      Plot.line(curve, {
        x: "d",
        y: "share",
        stroke: ORANGE,
        strokeWidth: 3,
        strokeOpacity: 0.7,
      }),
      Plot.dot(steps, { x: "d", y: "share", r: 1.5, fill: BLUE }),
    ],
  });
}

// %% [markdown]
// ## A bad one
//
// Do the tests refuse anything? For years many computers had **RANDU**: $s \leftarrow 65539\,s \bmod 2^{31}$. Its
// moments are fine. But $65539 = 2^{16} + 3$, and squaring it modulo $2^{31}$ gives $6 \cdot 65539 - 9$. So of any
// three successive numbers, $9u_0 - 6u_1 + u_2$ is a **whole number**. All triples lie on 15 planes.

// %%
function randu(count: number): number[] {
  let state = 1;
  return list(count, () => {
    state = (65_539 * state) % 2 ** 31;
    return state / 2 ** 31;
  });
}
const bad = randu(N);
check("mean of RANDU", mean(bad), 1 / 2, 4 / Math.sqrt(12 * N));
check(
  "its mean square",
  mean(bad.map((u) => u ** 2)),
  1 / 3,
  4 * Math.sqrt(4 / 45 / N),
);
const combination = (u: readonly number[]) =>
  u.slice(2).map((last, i) => 9 * u[i]! - 6 * u[i + 1]! + last);
check(
  "planes, the whole numbers from -5 to 9",
  new Set(combination(bad)).size,
  15,
  0,
);
const plain = uniforms(N, 7, "triples");
/** Which of 64 parts of a unit. */
const partOf = (x: number) => Math.floor(64 * (x - Math.floor(x)));
check(
  "χ² of RANDU: all of n in one cell, n · 63",
  chiSquare(combination(bad).map(partOf), 64),
  (N - 2) * 63,
  1e-4,
);
check(
  "χ² of Threefry",
  chiSquare(combination(plain).map(partOf), 64),
  63,
  4 * Math.sqrt(2 * 63),
);

// %% folded
{
  const panels = [
    { name: "RANDU", draws: bad, left: 0 },
    { name: "Threefry", draws: plain, left: 17 },
  ];
  const dots = panels.flatMap(({ draws, left }) =>
    list(1200, (i) => ({
      x: left + 9 * draws[3 * i]! - 6 * draws[3 * i + 1]! + 6,
      y: draws[3 * i + 2]!,
    })),
  );
  plot({
    caption:
      "Triples seen from the side: 9u₀ − 6u₁ to the right, u₂ upwards. The planes of RANDU are lines from here.",
    height: 260,
    axis: null,
    x: { domain: [-0.5, 32.5] },
    y: { domain: [-0.02, 1.15] },
    marks: [
      Plot.dot(dots, { x: "x", y: "y", r: 1.2, fill: BLUE }),
      Plot.text(panels, {
        x: ({ left }: { left: number }) => left + 7.5,
        y: 1.1,
        text: "name",
        fontSize: 14,
      }),
    ],
  });
}

// %% [markdown]
// ## Independent keys
//
// Neighbouring seeds differ in one bit, and so do neighbouring steps. Do their streams know of each other? Take 12
// streams, of six seeds and two words, and all 66 pairs. A correlation of $n$ independent numbers has the variance
// $1/n$. So the sum of the 66 squares, times $n$, is a $\chi^2$ with 66 degrees of freedom.

// %%
const LENGTH = 5000;
const streams = list(12, (i) =>
  normals(LENGTH, 0, i % 6, ["noise", "order"][Math.floor(i / 6)]!),
);
const correlations = streams.flatMap((a, i) =>
  streams
    .slice(i + 1)
    .map((b) => mean(a.map((value, k) => value * b[k]!))),
);
check("pairs of streams", correlations.length, (12 * 11) / 2, 0);
check(
  "sum of the squared correlations, times n",
  LENGTH * sum(correlations.map((r) => r ** 2)),
  66,
  4 * Math.sqrt(2 * 66),
);

// %% [markdown]
// ## A training that stops
//
// Back to the first question. Three weights learn the mean of a noisy cloud, by the library's `train`: Adam, and 30
// batches, each with noise of its own. First in one go. Then with a stop after step 12: a new run reads the checkpoint,
// which holds weights, moments and the number 12, but no state of any generator.

// %%
const SEED = 2045;
const firstNumbers: number[] = [];
async function trained(steps: number, store?: CheckpointStore) {
  const place = tf.variable(tf.zeros([3]));
  const run = train({
    parameters: new Map([["place", place]]),
    steps,
    batchSize: 4,
    seed: SEED,
    schedule: 0.1,
    ...(store && { checkpoint: { to: store, every: 6 } }),
    loss: ({ noise, step }) => {
      const cloud = noise.normal([4, 3]).add([1, 2, 3]);
      firstNumbers[step] = numbersOf(cloud)[0]! - 1;
      return cloud.sub(place).square().mean<tf.Scalar>();
    },
  });
  let made = 0;
  for await (const _ of run) made++;
  const weights = numbersOf(place);
  place.dispose();
  return { weights, made };
}
/** A checkpoint in memory. */
const memory = (): CheckpointStore => {
  let kept: Uint8Array | undefined;
  return {
    name: "memory",
    read: async () => kept,
    write: async (bytes) => void (kept = bytes),
  };
};

const inOneGo = await trained(30);
const store = memory();
const until12 = await trained(12, store);
const onwards = await trained(30, store);
check("steps of the second run", onwards.made, 30 - until12.made, 0);
check(
  "weights that differ after the stop, of 3",
  differing([onwards.weights, inOneGo.weights]),
  0,
  0,
);
check(
  "weights that the second run has changed",
  differing([onwards.weights, until12.weights]),
  3,
  0,
);

// %% [markdown]
// The noise of step 20 has the path `"train", 20, 0`: the step, and the part of the step for a training with several
// batches a step. We can compute it without any training:

// %%
check(
  "first number of step 20, by hand",
  firstNumbers[20]!,
  normals(1, 0, SEED, "train", 20, 0)[0]!,
  3e-7, // 1 was added and taken away, in single precision
);

// %% [markdown]
// The **order of the data** works in the same way. Each epoch is a shuffled deck, and its key is the number of the
// epoch. Fisher and Yates shuffle so: from the last card on, change places with a card that is chosen among this one
// and all before it. The library's `dataOrder` then knows the 10,000th picture at once.

// %%
function shuffled(size: number, epoch: number): number[] {
  const draws = uniforms(size, SEED, "epoch", epoch);
  const deck = list(size, (i) => i);
  for (let last = size - 1; last > 0; last--) {
    const other = Math.floor(draws[size - 1 - last]! * (last + 1));
    [deck[last], deck[other]] = [deck[other]!, deck[last]!];
  }
  return deck;
}
const CARDS = 52;
const order = dataOrder(SEED, CARDS);
check(
  "cards that differ from the library's, four epochs",
  differing([
    list(4, (epoch) => shuffled(CARDS, epoch)).flat(),
    list(4 * CARDS, order),
  ]),
  0,
  0,
);

// %% [markdown]
// ## The numbers of PyTorch
//
// Published pictures name a seed, and mean a seed of PyTorch. Its generator for processors is a chain: the **Mersenne
// twister** ([Matsumoto and Nishimura 1998](https://doi.org/10.1145/272991.272995)). Its state has 624 words. Each new
// word is mixed from three old ones, and tempered before it is handed out.

// %%
function* mersenne(seed: number): Generator<number, never> {
  const words = [seed >>> 0];
  for (let i = 1; i < 624; i++) {
    const last = words[i - 1]!;
    words.push(
      (Math.imul(1_812_433_253, last ^ (last >>> 30)) + i) >>> 0,
    );
  }
  for (let i = 0; ; i = (i + 1) % 624) {
    const mixed =
      (words[i]! & 0x80000000) | (words[(i + 1) % 624]! & 0x7fffffff);
    const twist = mixed & 1 ? 0x9908b0df : 0;
    words[i] = (words[(i + 397) % 624]! ^ (mixed >>> 1) ^ twist) >>> 0;
    let y = words[i]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    yield (y ^ (y >>> 18)) >>> 0;
  }
}
const take = (words: Iterator<number>, count: number) =>
  list(count, () => words.next().value as number);

// %% [markdown]
// The standard of C++ prescribes that the 10,000th word of seed 5489 is 4123659995. To learn it, there is no other way
// than to draw 9,999 words before.

// %%
check(
  "the 10,000th word of seed 5489",
  take(mersenne(5489), 10_000)[9999]!,
  4_123_659_995,
  0,
);

// %% [markdown]
// PyTorch makes its uniform numbers from the lower 24 bits of a word. For 16 normal numbers or more, it fills the whole
// list with uniform numbers. Then it goes through it in blocks of 16, and gives number $j$ and number $j + 8$ of a
// block to Box and Muller, all in single precision. In Python, `torch.manual_seed(0)` and `torch.rand(5)` print 0.4963,
// 0.7682, 0.0885, 0.1320, 0.3074. And `torch.randn(16)` begins with −1.1258, −1.1524, −0.2506, −0.4339.

// %%
const torchUniforms = (words: Iterator<number>, count: number) =>
  take(words, count).map((word) => (word % 2 ** 24) / 2 ** 24);
[
  0.49625659, 0.768221796, 0.0884774327, 0.132030487, 0.307422817,
].forEach((want, i) =>
  check(
    `torch.rand, number ${i}`,
    torchUniforms(mersenne(0), 5)[i]!,
    want,
    5e-9, // as many digits as we have
  ),
);

const f32 = Math.fround;
/** A block of 16 normal numbers. */
function torchBlock(u: readonly number[]): number[] {
  const points = list(8, (j) => {
    const log = f32(Math.log(f32(1 - u[j]!)));
    const radius = f32(Math.sqrt(f32(-2 * log)));
    const angle = f32(f32(2 * Math.PI) * u[j + 8]!);
    return [
      f32(radius * f32(Math.cos(angle))),
      f32(radius * f32(Math.sin(angle))),
    ] as const;
  });
  return [
    ...points.map(([cosine]) => cosine),
    ...points.map(([, sine]) => sine),
  ];
}
const blocks = (seed: number, count: number) => {
  const u = torchUniforms(mersenne(seed), 16 * count);
  return list(count, (k) => torchBlock(u.slice(16 * k, 16 * k + 16)));
};
const RANDN = [
  -1.12583983, -1.1523602, -0.250578582, -0.433878839, 0.848710358,
  0.692009211, -0.31601277, -2.11521935, 0.322275013, -1.26333475,
  0.349983186, 0.30813393, 0.119841509, 1.2376579, 1.11677718,
  -0.247277722,
];
check(
  "torch.randn(16), largest difference",
  Math.max(
    ...blocks(0, 1)[0]!.map((value, i) => Math.abs(value - RANDN[i]!)),
  ),
  0,
  5e-7, // two units in the last place: PyTorch's cosine is another one
);
check(
  "torchNoise(42): numbers that differ from ours, of 320",
  differing([
    blocks(42, 20).flat(),
    numbersOf(torchNoise(42).normal([320])),
  ]),
  0,
  0,
);

// %% [markdown]
// One trap is left. PyTorch draws a picture channel by channel, `[B, C, H, W]`. Our pictures have the channels last.
// The same numbers in the same order would be another picture. So the library draws in PyTorch's shape, and swaps the
// axes. Row 2, column 3, channel 1 of a picture of 8 x 8 pixels with four channels is number
// $1 \cdot 64 + 2 \cdot 8 + 3 = 83$:

// %%
const picture = numbersOf(
  channelsLast(torchNoise(42)).normal([1, 8, 8, 4]),
);
check(
  "row 2, column 3, channel 1",
  picture[(2 * 8 + 3) * 4 + 1]!,
  blocks(42, 16).flat()[83]!,
  0,
);
table(
  [
    {
      generator: "Threefry, with keys",
      "to be saved": "nothing",
      "the 10,000th number takes": "1 call",
      "a stream for each step": "yes, by name",
    },
    {
      generator: "Mersenne twister",
      "to be saved": "624 words and a place",
      "the 10,000th number takes": "10,000 words",
      "a stream for each step": "no",
    },
  ],
  { caption: "A table and a chain" },
);

// %% [markdown]
// ## What to take along
//
// - A counter-based generator is a function of key and counter. It has no state that could be lost.
// - Name a stream by what it is for. Never add numbers to seeds.
// - Box and Muller turn two uniform numbers into a point of the plane: an angle and a radius.
// - Test numbers by moments, counts, and the whole curve, each with its own standard error. Too even is wrong, too.
// - A training that resumes bit for bit takes noise and order from the number of the step.
// - To draw what PyTorch draws, replay its chain, in its precision and in its order of axes.
//
// ## What to read next
//
// - [Salmon et al. 2011](https://doi.org/10.1145/2063384.2063405): parallel random numbers, as easy as 1, 2, 3.
// - [L'Ecuyer and Simard 2007](https://doi.org/10.1145/1268776.1268777): a whole battery of tests.
// - [JAX's design of random numbers](https://docs.jax.dev/en/latest/jep/263-prng.html): the same idea in Python.
// - [Chapter 8](./08-training.md): the training that is resumed.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 92`. Each exercise is
// judged on its own.
//
// **1.** A uniform number with 24 bits is at least $2^{-24}$, if 1 is added as above. What is the largest normal number
// that Box and Muller can make of it?

// %%
const largestOf24: Answer = todo;
await exercise("largest number of 24 bits", largestOf24);

// %% [markdown]
// **2.** *Write a function.* Times between two raindrops have the density $e^{-t}$. Make one from a uniform number `u`
// in $[0, 1)$: `(u) => …`. It must grow with `u`, and must never be infinite.

// %%
type Waiting = (u: number) => number;
const waiting: Answer<Waiting> = todo;
await exercise("time between raindrops", waiting);

// %% [markdown]
// **3.** *Predict, then run.* The small version of Threefry gave 65,536 different answers to 65,536 counters. Now draw
// 65,536 times a random number from 0 to 65,535. Which share of all numbers comes up at least once?

// %%
const seen = new Set(
  uniforms(65_536, 3, "seen").map((u) => Math.floor(65_536 * u)),
);
const prediction: Answer = todo;
predict("share that comes up", prediction, seen.size / 65_536, 0.01);

// %% [markdown]
// **4.** *Find the fault.* A server draws up to 1000 pictures for each request, and makes one number of both for a
// chain's seed. Two of its customers got the same picture.

// %%
const seedOf = (request: number, picture: number) =>
  request * 100 + picture;
await repair("a seed for each picture", seedOf);

// %% [markdown]
// **5.** *Reproduce the plot.* How are the radii of Box and Muller distributed? Answer with the density at
// $r = 0, 0.25, \dots, 4$: 17 points `[r, density]`.

// %%
const radii: Answer<Points> = todo;
await reproduce("density of the radius", radii, {
  caption: "The density of the radius",
  height: 260,
  x: { label: "r", grid: true, ticks: [0, 1, 2, 3] },
  y: { label: "density", grid: true },
});
