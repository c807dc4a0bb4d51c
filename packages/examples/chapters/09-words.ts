// %% [markdown]
// # Words: tokenizer and CLIP
//
// **A network multiplies numbers. How can it know what "a red hat" looks like?**
//
// Nobody tells it. It sees pictures with their captions, and plays a game: which caption belongs to which picture? To
// win, it must find numbers for words and numbers for pictures that fit together. This game is called CLIP
// ([Radford et al. 2021](https://arxiv.org/abs/2103.00020)), and its text half is what Stable Diffusion reads with.
// This chapter cuts text into tokens by hand, derives the game's loss and what its temperature is for, and plays it
// with the towers of this library. Then it looks for the game's weak spot: colours.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import {
  CLIPTokenizer,
  loadModel,
  useBackend,
} from "@tfjs-diffusion/core";
import {
  type CLIPTextModelWithProjection,
  type CLIPVisionModelWithProjection,
  contrastiveLoss,
} from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import {
  ATTRIBUTES,
  faceExample,
  type Attribute,
  visible,
} from "../datasets/faces/index.js";
import {
  captionWords,
  PORTRAITS_2,
} from "../datasets/portraits-2/index.js";
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
import { packagePath } from "../src/package-folder.js";
import { clipBatch } from "../train/clip-batch.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2041);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const dot = (a: readonly number[]) => (b: readonly number[]) =>
  sum(a.map((value, i) => value * b[i]!));
const largest = (values: readonly number[]) => Math.max(...values);
const portraits = Array.from({ length: 256 }, (_, i) =>
  faceExample(i, {
    seed: 11,
    split: "seen",
    style: "full",
    kind: PORTRAITS_2,
  }),
);
const pixelsOf = (some: readonly (typeof portraits)[number][]) =>
  tf.tidy(() =>
    tf
      .tensor4d(some.map(({ pixels }) => Array.from(pixels)).flat(), [
        some.length,
        32,
        32,
        3,
      ])
      .div<tf.Tensor4D>(127.5)
      .sub<tf.Tensor4D>(1),
  );

// %% folded
const GUESTS = 5;
await image(pixelsOf(portraits.slice(0, GUESTS)), {
  caption: "Five portraits, numbered from 1.",
  columns: GUESTS,
  scale: 4,
});
table(
  [2, 0, 4, 1, 3].map((i, k) => ({
    caption: "ABCDE"[k]!,
    text: portraits[i]!.caption.text,
  })),
  { caption: "Their captions, shuffled. Which belongs to which?" },
);

// %% [markdown]
// You found the pairs at once: a hat, a beard, a background. So will the network, by the end of this chapter.
//
// ## Byte pairs by hand
//
// A network needs numbers, so each text becomes a list of ids. One id for each letter makes long lists. One id for each
// word makes a list of words that is never complete. **Byte-pair encoding** is between the two
// ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909), algorithm 1). Begin with letters. Count all pairs of
// neighbours. Merge the most frequent pair into one new symbol, and repeat. Frequent words soon are one symbol, and
// rare words remain in pieces.
//
// The paper's own example has four words with their counts. The last letter of a word is marked, as in CLIP, so that
// `t</w>` is another symbol than `t`.

// %%
type Symbols = readonly string[];
const spell = (word: string): Symbols => [
  ...word.slice(0, -1),
  `${word.at(-1)}</w>`,
];
/** Merges each left neighbour of a pair with its right one. */
function mergePair(symbols: Symbols, [a, b]: Symbols): string[] {
  const merged: string[] = [];
  for (const symbol of symbols) {
    if (merged.at(-1) === a && symbol === b)
      merged.splice(-1, 1, a! + b);
    else merged.push(symbol);
  }
  return merged;
}
/** The pairs to merge, in their order, with how often each occurred. */
function learnPairs(counts: Readonly<Record<string, number>>) {
  let words = Object.entries(counts).map(
    ([word, count]) => [spell(word), count] as const,
  );
  const learned: { pair: Symbols; count: number }[] = [];
  for (;;) {
    const pairs = new Map<string, number>();
    for (const [symbols, count] of words)
      symbols.slice(1).forEach((symbol, i) => {
        const pair = `${symbols[i]} ${symbol}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      });
    // The most frequent; among equals, the first in the alphabet.
    const best = [...pairs].sort().sort(([, m], [, n]) => n - m)[0];
    if (!best) return learned;
    const pair = best[0].split(" ");
    learned.push({ pair, count: best[1] });
    words = words.map(([symbols, count]) => [
      mergePair(symbols, pair),
      count,
    ]);
  }
}
const COUNTS = { low: 5, lower: 2, newest: 6, widest: 3 };
const pairs = learnPairs(COUNTS);
table(
  pairs.slice(0, 6).map(({ pair, count }, i) => ({
    merge: i + 1,
    pair: pair.join(" + "),
    count,
  })),
  { caption: "The first six merges" },
);
const countOf = (token: string) =>
  pairs.find(({ pair }) => pair.join("") === token)!.count;
check("e and s meet in newest and widest", countOf("es"), 6 + 3, 0);
check("l and o meet in low and lower", countOf("lo"), 5 + 2, 0);
/** Symbols of all words, each counted as often as it occurs. */
const lengthAfter = (merges: number) =>
  sum(
    Object.entries(COUNTS).map(([word, count]) => {
      const symbols = pairs
        .slice(0, merges)
        .reduce((left, { pair }) => mergePair(left, pair), spell(word));
      return symbols.length * count;
    }),
  );
check("symbols before merging", lengthAfter(0), 79, 0);
check(
  "symbols after six merges: each merge saves its count",
  lengthAfter(6),
  79 - sum(pairs.slice(0, 6).map(({ count }) => count)),
  0,
);
check(
  "symbols after all merges: one for each word",
  lengthAfter(pairs.length),
  5 + 2 + 6 + 3,
  0,
);

// %% [markdown]
// To read a new word, we do the same merges in the same order, as far as its letters allow. The word "lowest" was not
// among the four. But its pieces were.

// %%
/** The symbols of a word, by the merges in their order. */
function readWord(word: string, merges: readonly Symbols[]): Symbols {
  let symbols = spell(word);
  for (const pair of merges) symbols = mergePair(symbols, pair);
  return symbols;
}
const merges = pairs.map(({ pair }) => pair);
const lowest = readWord("lowest", merges);
show(`lowest → ${lowest.join(" ")}`);
check("symbols of lowest", lowest.length, 2, 0);

const folder = (name: string) =>
  packagePath("weights", "portraits", name);
const tokenizer = await CLIPTokenizer.fromFolder(folder("tokenizer_2"));
const shippedMerges = tokenizer.merges.map((pair) => pair.split(" "));
const ourIds = (text: string) =>
  text
    .toLowerCase()
    .match(/[a-z]+|[^a-z\s]+/g)!
    .flatMap((word) => readWord(word, shippedMerges))
    .map((symbol) => tokenizer.vocab[symbol]!);
const TEXTS = [
  ...portraits.map(({ caption }) => caption.text),
  "An astronaut, photographed at night",
];
check(
  "texts that the library cuts otherwise than we do",
  TEXTS.filter(
    (text) => ourIds(text).join() !== tokenizer.tokenize(text).join(),
  ).length,
  0,
  0,
);
check(
  "words of the captions that are more than one token",
  captionWords().filter((word) => tokenizer.tokenize(word).length > 1)
    .length,
  0,
  0,
);

// %% folded
table(
  ["smiling woman", "astronaut", "Größe"].map((text) => {
    const ids = tokenizer.tokenize(text);
    return { text, ids: ids.join(" "), tokens: ids.length };
  }),
  { caption: "Known words are one token; any other text takes more." },
);

// %% [markdown]
// Nothing is ever unknown. In the worst case, a sign is read as its bytes, and all 256 bytes have an id. The tokenizer
// then adds a start and an end, and fills up to a fixed length.
//
// ## Two towers
//
// A **text tower** turns ids into one vector, and a **vision tower** turns pixels into another one. Inside, both are
// transformers: [attention](./07-the-unet.md) between tokens, or between patches of the picture. Both vectors are
// scaled to length 1, so they are points on a sphere. How well do two points fit? We take the cosine of the angle
// between them, which is their dot product.

// %% folded
{
  // Lengths are in pixels, so that the circle is round at any width.
  const RADIUS = 100;
  const arrows = [
    { degrees: 68, name: "“a red hat”", color: "#4269d0" },
    { degrees: 50, name: "picture 1", color: "#d97706" },
    { degrees: 184, name: "“a beard”", color: "#4269d0" },
    { degrees: 167, name: "picture 2", color: "#d97706" },
    { degrees: 302, name: "“glasses”", color: "#4269d0" },
    { degrees: 320, name: "picture 3", color: "#d97706" },
  ];
  plot({
    caption:
      "The game, drawn in a plane: each caption (blue) shall point where its picture (orange) points, and away from all others.",
    height: 270,
    axis: null,
    x: { domain: [-1, 1] },
    y: { domain: [-1, 1] },
    marks: [
      Plot.dot([[0, 0]], {
        r: RADIUS,
        stroke: "currentColor",
        strokeOpacity: 0.3,
      }),
      Plot.vector(arrows, {
        x: 0,
        y: 0,
        length: RADIUS,
        rotate: ({ degrees }: { degrees: number }) => 90 - degrees,
        anchor: "start",
        stroke: "color",
        strokeWidth: 2,
      }),
      ...arrows.map(({ degrees, name, color }) => {
        const angle = (degrees * Math.PI) / 180;
        const isLeft = Math.cos(angle) < 0;
        return Plot.text([name], {
          x: 0,
          y: 0,
          dx: (RADIUS + 8) * Math.cos(angle),
          dy: -(RADIUS + 12) * Math.sin(angle),
          textAnchor: isLeft ? "end" : "start",
          fontSize: 13,
          fill: color,
        });
      }),
    ],
  });
}

// %%
const textTower = (await loadModel(
  folder("text_encoder_2"),
)) as CLIPTextModelWithProjection;
const visionTower = (await loadModel(
  packagePath("weights", "portraits-vision"),
)) as CLIPVisionModelWithProjection;
/** Rows scaled to length 1. */
const unit = (rows: tf.Tensor2D) =>
  rows.div<tf.Tensor2D>(rows.square().sum(1, true).sqrt());
const LENGTH = 40;
const embedTexts = (texts: readonly string[]) =>
  tf.tidy(() => {
    const ids = texts.map((text) =>
      tokenizer.encode(text, { maxLength: LENGTH }),
    );
    const all = tf.tensor2d(ids, undefined, "int32");
    return unit(textTower.forward(all).textEmbeds).arraySync();
  });
const embedPictures = (pixels: tf.Tensor4D) =>
  tf.tidy(() =>
    unit(visionTower.forward(pixels).imageEmbeds).arraySync(),
  );
const pictureVectors = embedPictures(pixelsOf(portraits));
const textVectors = embedTexts(
  portraits.map(({ caption }) => caption.text),
);
check(
  "length of a vector",
  dot(textVectors[0]!)(textVectors[0]!),
  1,
  1e-6, // single precision
);

// %% folded
{
  const few = Array.from({ length: GUESTS }, (_, i) => i);
  const cells = few.flatMap((text) =>
    few.map((picture) => ({
      text: `${text + 1}`,
      picture: `${picture + 1}`,
      cosine: dot(textVectors[text]!)(pictureVectors[picture]!),
    })),
  );
  plot({
    caption:
      "Cosines of the five captions (rows) with the five portraits (columns). Each caption is nearest to its own.",
    height: 280,
    padding: 0.06,
    marginLeft: 50,
    x: { label: "portrait", type: "band" },
    y: { label: "caption", type: "band" },
    color: { type: "linear", domain: [-0.6, 0.8], scheme: "blues" },
    marks: [
      Plot.cell(cells, { x: "picture", y: "text", fill: "cosine" }),
      Plot.text(cells, {
        x: "picture",
        y: "text",
        text: ({ cosine }: { cosine: number }) => cosine.toFixed(2),
        fill: ({ cosine }: { cosine: number }) =>
          cosine > 0.3 ? "white" : "black",
        fontSize: 13,
      }),
    ],
  });
}

// %% [markdown]
// ## The loss of the game
//
// Take $N$ pairs. The cosine of caption $i$ and picture $j$, times a scale $s$, is the *logit* $\ell_{ij}$. For each
// caption, a softmax turns its row into chances, one for each picture. The loss is the cross entropy: minus the
// logarithm of the chance of the right one. The same is done for each picture with its column, and the mean of both
// is taken (Radford et al. 2021, figure 3):
//
// $$ \begin{aligned}
//    L = -\frac{1}{2N} \sum_i \Bigl( &\ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ij}}} \\
//      +\; &\ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ji}}} \Bigr) .
//    \end{aligned} $$
//
// Someone who knows nothing gives all the same logit, and pays $\ln N$.

// %%
type Matrix = readonly (readonly number[])[];
const transposed = (m: Matrix): Matrix =>
  m.map((_, i) => m.map((row) => row[i]!));
const surprise = (logits: Matrix) =>
  mean(
    logits.map((row, i) => {
      const all = sum(row.map((value) => Math.exp(value)));
      return Math.log(all) - row[i]!;
    }),
  );
const lossOf = (logits: Matrix) =>
  mean([surprise(logits), surprise(transposed(logits))]);
const libraryLoss = (logits: Matrix) =>
  tf.tidy(
    () =>
      contrastiveLoss(
        tf.tensor2d(logits.map((row) => [...row])),
      ).dataSync()[0]!,
  );

const someLogits = noise
  .at("logits")
  .normal([6, 6])
  .arraySync() as number[][];
check(
  "our loss against the library's",
  lossOf(someLogits),
  libraryLoss(someLogits),
  1e-6, // single precision
);
const square = (
  size: number,
  value: (i: number, j: number) => number,
) =>
  Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => value(i, j)),
  );
check(
  "loss of someone who knows nothing, N = 64",
  lossOf(square(64, () => 0.3)),
  Math.log(64),
  1e-12,
);

// %% [markdown]
// How does it learn? Its gradient is short. Let $p_{ij}$ be the chance of picture $j$ for caption $i$, and $q_{ij}$ the
// chance of caption $i$ for picture $j$. Then
//
// $$ \frac{\partial L}{\partial \ell_{ij}} =
//    \frac{p_{ij} + q_{ij} - 2\,\delta_{ij}}{2N} . $$
//
// Right pairs are pulled together, and wrong ones are pushed apart, each by its chance. A wrong pair that nobody would
// choose is left alone. So **only confusions teach**. Remember this for the colours.

// %%
const chances = (logits: Matrix) =>
  logits.map((row) => {
    const all = sum(row.map((value) => Math.exp(value)));
    return row.map((value) => Math.exp(value) / all);
  });
const gradientAt = (logits: Matrix, i: number, j: number) => {
  const p = chances(logits)[i]![j]!;
  const q = chances(transposed(logits))[j]![i]!;
  return (p + q - (i === j ? 2 : 0)) / (2 * logits.length);
};
const bumped = (logits: Matrix, i: number, j: number, h: number) =>
  logits.map((row, k) =>
    row.map((value, l) => (k === i && l === j ? value + h : value)),
  );
for (const [i, j] of [
  [2, 2],
  [1, 4],
] as const) {
  const up = lossOf(bumped(someLogits, i, j, 1e-4));
  const down = lossOf(bumped(someLogits, i, j, -1e-4));
  check(
    `gradient at ${i}, ${j}, by a small change`,
    gradientAt(someLogits, i, j),
    (up - down) / 2e-4,
    1e-8, // the square of the change, and rounding
  );
}

// %% [markdown]
// And what does it learn? In the best case, the logit of a pair becomes the logarithm of how much more often the two
// occur together than by chance, $\ln \frac{p(x, y)}{p(x)\,p(y)}$. Then the loss tells how much a caption says about
// its picture: the *mutual information* $I$ is at least $\ln N - L$ ([van den Oord et al.
// 2018](https://arxiv.org/abs/1807.03748), appendix A.1). For two Gaussian numbers with the correlation $\rho$ we know
// both:
//
// $$ \begin{aligned}
//    I &= -\tfrac12 \ln(1 - \rho^2), \\
//    \ell(x, y) &= I + \frac{x^2 + y^2}{2} - \frac{x^2 - 2\rho xy + y^2}{2(1 - \rho^2)} .
//    \end{aligned} $$

// %%
const RHO = 0.8;
const information = -Math.log(1 - RHO ** 2) / 2;
const [GAMES, PLAYERS] = [8, 400];
const learned = Array.from({ length: GAMES }, (_, game) => {
  const [xs, fresh] = noise
    .at("pairs", game)
    .normal([2, PLAYERS])
    .arraySync() as [number[], number[]];
  const ys = xs.map(
    (x, i) => RHO * x + Math.sqrt(1 - RHO ** 2) * fresh[i]!,
  );
  const logits = square(PLAYERS, (i, j) => {
    const [x, y] = [xs[i]!, ys[j]!];
    const together = x ** 2 - 2 * RHO * x * y + y ** 2;
    return (
      information +
      (x ** 2 + y ** 2) / 2 -
      together / (2 * (1 - RHO ** 2))
    );
  });
  return Math.log(PLAYERS) - lossOf(logits);
});
// The logit of a pair has the variance ρ².
check(
  "ln N - L with the best logits, against the information",
  mean(learned),
  information,
  3 * Math.sqrt(RHO ** 2 / (GAMES * PLAYERS)),
);

// %% [markdown]
// ## What the temperature is for
//
// A cosine is at most 1. That is too small for a softmax. Suppose the towers are perfect: each caption lies on its own
// picture, and all pairs are as far from each other as $N$ points on a sphere can be. These are the corners of a
// *simplex*, with the cosine $-1/(N-1)$ between any two. Then
//
// $$ L = \ln \Bigl( 1 + (N - 1)\, e^{-s N/(N-1)} \Bigr) . $$
//
// With $s = 1$ even the perfect player pays nearly as much as the ignorant one! So cosines are divided by a
// **temperature** $\tau = 1/s$, and the scale is learned like any weight. CLIP begins with $\tau = 0.07$.

// %%
const PAIRS = 64;
const corner = (i: number) =>
  Array.from(
    { length: PAIRS },
    (_, k) => (i === k ? 1 : 0) - 1 / PAIRS,
  );
const lengthOfCorner = Math.sqrt(dot(corner(0))(corner(0)));
const simplex = square(
  PAIRS,
  (i, j) => dot(corner(i))(corner(j)) / lengthOfCorner ** 2,
);
check(
  "cosine between two corners",
  simplex[0]![1]!,
  -1 / (PAIRS - 1),
  1e-12,
);
const scaled = (cosines: Matrix, s: number): Matrix =>
  cosines.map((row) => row.map((value) => s * value));
const perfect = (s: number) =>
  Math.log(1 + (PAIRS - 1) * Math.exp((-s * PAIRS) / (PAIRS - 1)));
for (const s of [1, 1 / 0.07])
  check(
    `loss of a perfect player, s = ${s.toFixed(1)}`,
    lossOf(scaled(simplex, s)),
    perfect(s),
    1e-9,
  );
check("the ignorant one pays", Math.log(PAIRS) / perfect(1), 1.3, 0.05);

// %% [markdown]
// Now the towers play, with 64 pairs. There are two kinds of rounds. In an easy one the portraits are drawn at random,
// and described in full. In a hard one they come in groups of eight that differ in one to four attributes only, and
// their captions may be short, as in the training. The best scale has a property that we can check. The derivative of
// the loss by $s$ is zero there, and with the gradient from above this means:
//
// $$ \sum_{ij} \frac{p_{ij} + q_{ij}}{2}\, \cos_{ij} = \sum_i \cos_{ii} . $$
//
// The cosine that the players expect is the one that the right pairs have.

// %%
/** Cosines of the captions with the pictures of a round. */
const roundOf = (isHard: boolean) => {
  const { pixels, captions } = clipBatch(noise.at("round"), {
    batchSize: PAIRS,
    groupSize: isHard ? 8 : 1,
    oneWording: !isHard,
    kind: PORTRAITS_2,
  });
  const pictures = embedPictures(
    tf.tensor4d(pixels, [PAIRS, 32, 32, 3]),
  );
  return embedTexts(captions).map((text) =>
    pictures.map((picture) => dot(text)(picture)),
  );
};
/** How many rows have their largest value on the diagonal. */
const hits = (cosines: Matrix) =>
  cosines.filter((row, i) => row[i]! >= largest(row)).length;
/** Where a function of s, with one valley, is smallest. */
function valley(f: (s: number) => number, low: number, high: number) {
  while (high - low > 1e-4) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    if (f(a) < f(b)) high = b;
    else low = a;
  }
  return low;
}
const hard = roundOf(true);
const rounds = { easy: roundOf(false), hard };
const bestScale = valley((s) => lossOf(scaled(hard, s)), 1, 200);
const rowChances = chances(scaled(hard, bestScale));
const columnChances = chances(scaled(transposed(hard), bestScale));
const expected = mean([
  sum(rowChances.map((row, i) => dot(row)(hard[i]!))),
  sum(columnChances.map((row, i) => dot(row)(transposed(hard)[i]!))),
]);
check(
  "expected cosine, over that of the right pairs",
  expected / sum(hard.map((row, i) => row[i]!)),
  1,
  1e-5,
);
table(
  Object.entries(rounds).map(([round, cosines]) => ({
    round,
    pictures: hits(cosines),
    captions: hits(transposed(cosines)),
    loss: lossOf(scaled(cosines, bestScale)),
  })),
  {
    caption: `Of ${PAIRS}: pictures and captions found. The loss is that at the hard round's best scale, ${bestScale.toFixed(1)}.`,
    digits: 2,
  },
);
// Somebody who guesses has one right, with a deviation of one.
check(
  "easy rounds: pictures found, at least 60 of 64",
  Math.min(60, hits(rounds.easy)),
  60,
  0,
);
check(
  "hard rounds: captions found, at least 40 of 64",
  Math.min(40, hits(transposed(hard))),
  40,
  0,
);

// %% [markdown]
// ## Reading without lessons
//
// Nobody taught the towers to answer "does this person have a beard?". But we can ask. We write one sentence for each
// possible answer, and take the one whose vector is nearest to the picture's. This is called *zero-shot* reading. For
// twelve attributes, with sentences as short as possible:

// %%
const SENTENCES: Record<Attribute, (value: string) => string> = {
  background: (color) => `a person on a ${color} background`,
  skin: (tone) => `a person with ${tone} skin`,
  hair: (style) =>
    ({
      bald: "a bald person",
      mohawk: "a person with a mohawk",
      pigtails: "a person with pigtails",
    })[style] ?? `a person with ${style} hair`,
  hairColor: (color) => `a person with ${color} hair`,
  hat: (hat) =>
    `a person with ${hat === "none" ? "no hat" : `a ${hat}`}`,
  hatColor: (color) => `a person with a ${color} hat`,
  eyewear: (kind) =>
    `a person ${kind === "none" ? "without glasses" : `with ${kind}`}`,
  beard: (yes) => `a person with ${yes === "no" ? "no" : "a"} beard`,
  mouth: (mood) => `a ${mood} person`,
  shirt: (pattern) => `a person with a ${pattern} shirt`,
  shirtColor: (color) => `a person with a ${color} shirt`,
  pattern: (pattern) => `a person on a ${pattern} background`,
};
/** The vectors of an attribute's sentences, by value. */
const answersOf = (name: Attribute) => {
  const values = ATTRIBUTES[name];
  const vectors = embedTexts(values.map(SENTENCES[name]));
  return new Map<string, number[]>(
    values.map((value, i) => [value, vectors[i]!]),
  );
};
const names = Object.keys(ATTRIBUTES) as Attribute[];
const answers = new Map(names.map((name) => [name, answersOf(name)]));
/** How well a value's sentence fits picture i. */
const fit = (name: Attribute, value: string, i: number) =>
  dot(answers.get(name)!.get(value)!)(pictureVectors[i]!);

/** How many pictures are read right; or the picture after each. */
const read = (shift: number) =>
  names.map((name) => {
    const values: readonly string[] = ATTRIBUTES[name];
    const asked = portraits.flatMap(({ face }, i) => {
      const truth = visible(face)[name];
      return truth === undefined ? [] : [{ i, truth }];
    });
    const right = asked.filter(({ i, truth }) => {
      const fits = values.map((value) =>
        fit(name, value, (i + shift) % portraits.length),
      );
      return values[fits.indexOf(largest(fits))] === truth;
    });
    const chance = 1 / values.length;
    return {
      attribute: name,
      right: right.length / asked.length,
      chance,
      error: Math.sqrt((chance * (1 - chance)) / asked.length),
    };
  });
const readings = read(0);
table(
  readings.map(({ attribute, right, chance }) => ({
    attribute: attribute.replace("Color", " colour"),
    "right, %": 100 * right,
    "by chance, %": 100 * chance,
  })),
  { caption: "Zero-shot readings of 256 portraits", digits: 3 },
);
const betterThanChance = (some: typeof readings) =>
  some.filter(({ right, chance, error }) => right > chance + 4 * error)
    .length;
check(
  "attributes read better than by chance, by 4 standard errors",
  betterThanChance(readings),
  12,
  0,
);
check(
  "the same, when each is asked about the next portrait",
  betterThanChance(read(1)),
  0,
  0,
);

// %% [markdown]
// Shapes are read nearly without error: beards, mouths, glasses. The three worst are colours, of the hair, the hat and
// the background, although a colour seems so much easier than a mouth. Why?

// %%
const worst = [...readings]
  .sort((a, b) => a.right - b.right)
  .slice(0, 3);
check(
  "of the three worst, those of hair, hat and background",
  worst.filter(({ attribute }) =>
    ["hairColor", "hatColor", "background"].includes(attribute),
  ).length,
  3,
  0,
);

// %% [markdown]
// ## Whose colour is it?
//
// To read "a red hat", it is not enough to see red and to see a hat. The red must be *the hat's*. This is called
// **binding**. Look at the mistakes. For each portrait and each of its four coloured parts, we try all wrong colours
// in the sentence. Some of these colours are elsewhere in the picture, on another part. Which wrong colours win
// against the right one?

// %%
const COLOURED = [
  "hatColor",
  "hairColor",
  "shirtColor",
  "background",
] as const;
const trials = portraits.flatMap(({ face }, i) => {
  const shown = visible(face);
  return COLOURED.flatMap((part) => {
    const own = shown[part];
    if (own === undefined) return [];
    const others = COLOURED.filter((other) => other !== part);
    return ATTRIBUTES[part]
      .filter((color) => color !== own)
      .map((color) => ({
        elsewhere: others.some((other) => shown[other] === color),
        wins: fit(part, color, i) > fit(part, own, i),
      }));
  });
});
const fooled = (elsewhere: boolean) => {
  const some = trials.filter((trial) => trial.elsewhere === elsewhere);
  return some.filter(({ wins }) => wins).length / some.length;
};
show(
  `A wrong colour wins in ${(100 * fooled(true)).toFixed(1)} % of the cases ` +
    `if another part has it, and in ${(100 * fooled(false)).toFixed(1)} % if none has.`,
);
check(
  "a colour of another part wins at least twice as often",
  Math.min(2, fooled(true) / fooled(false)),
  2,
  0,
);

// %% [markdown]
// The towers see which colours are there. They are less sure whose they are. The reason is in the loss.
//
// **A bag of words.** Suppose the text tower adds up one vector for each word. Then "red hat, blue shirt" and "blue
// hat, red shirt" are the same vector. Put both pairs into one round of two. With the logit difference $d$ between the
// two pictures, the loss is
//
// $$ \begin{aligned}
//    L(d) &= \tfrac12 \ln 2 + \tfrac14 \ln(1 + e^{-d}) \\
//         &\quad + \tfrac14 \ln(1 + e^{d}) \;\ge\; \ln 2 .
//    \end{aligned} $$
//
// The bag cannot get below a coin toss, whatever the vision tower does.

// %%
const WORDS = ["red", "blue", "hat", "shirt"];
const wordVectors = WORDS.map((word) =>
  Array.from(noise.at("word", word).normal([8]).dataSync()),
);
const bagOf = (text: string) =>
  text
    .split(" ")
    .map((word) => wordVectors[WORDS.indexOf(word)]!)
    .reduce((a, b) => a.map((value, k) => value + b[k]!));
const pair = ["red hat blue shirt", "blue hat red shirt"].map(bagOf);
const view = [1, 2].map((i) =>
  Array.from(noise.at("view", i).normal([8]).dataSync()),
);
const bagLogits = pair.map((text) =>
  view.map((picture) => dot(text)(picture)),
);
const d = bagLogits[0]![0]! - bagLogits[0]![1]!;
const bagLoss = (d: number) =>
  Math.log(2) / 2 +
  Math.log(1 + Math.exp(-d)) / 4 +
  Math.log(1 + Math.exp(d)) / 4;
check("loss of a bag", lossOf(bagLogits), bagLoss(d), 1e-6);
check("and at best", bagLoss(0), Math.log(2), 1e-12);
check(
  "the best d is 0",
  valley((d) => bagLoss(d), -3, 2),
  0,
  1e-3, // where the valley is flat, rounding decides
);

// %% [markdown]
// But how often does this happen? Only confusions teach. A bag of words confuses two captions if they have the same
// words in another order. In a round of random portraits there is hardly ever such a pair, so binding is not worth
// learning. That is known of the large CLIP, too ([Yuksekgonul et al. 2022](https://arxiv.org/abs/2210.01936)). The
// remedy is a hard round, where colours are swapped on purpose. We count captions that have a partner with the same
// words.

// %%
const ROUNDS = 10;
const withPartner = (groupSize: number) => {
  const partners = Array.from({ length: ROUNDS }, (_, round) => {
    const { captions } = clipBatch(noise.at("bags", round), {
      batchSize: PAIRS,
      groupSize,
      oneWording: true,
      kind: PORTRAITS_2,
    });
    const bags = captions.map((text) =>
      text.split(/[ ,]+/).sort().join(" "),
    );
    return bags.filter((bag, i) =>
      bags.some((other, j) => i !== j && other === bag),
    ).length;
  });
  return sum(partners);
};
const [byLuck, onPurpose] = [withPartner(1), withPartner(8)];
show(
  `Captions with a partner, of ${ROUNDS * PAIRS}: ` +
    `${byLuck} in random rounds, ${onPurpose} in hard ones.`,
);
check(
  "random rounds: share of captions with a partner",
  byLuck / (ROUNDS * PAIRS),
  0,
  0.01, // a lucky pair is two captions, or 0.003
);
// A quarter of the groups swaps, each of its seven other faces with
// a chance of a third at most: 1/4 · (1 + 7/3) / 8 = 0.10 at most.
check(
  "hard rounds: share of captions with a partner",
  onPurpose / (ROUNDS * PAIRS),
  0.06,
  0.04,
);

// %% [markdown]
// The portraits' towers were trained with hard rounds, and they tell a swap from the truth:

// %%
const SWAPS = portraits.flatMap(({ face }, i) => {
  const { hat, hatColor: a, shirtColor: b } = face;
  const known = (ATTRIBUTES.hatColor as readonly string[]).includes(b);
  return hat === "none" || a === b || !known ? [] : [{ i, a, b }];
});
const wearing = (hat: string, shirt: string) =>
  `a person with a ${hat} hat and a ${shirt} shirt`;
const toldApart = SWAPS.filter(({ i, a, b }) => {
  const [truth, swapped] = embedTexts([wearing(a, b), wearing(b, a)]);
  const seen = pictureVectors[i]!;
  return dot(truth!)(seen) > dot(swapped!)(seen);
}).length;
show(`${toldApart} of ${SWAPS.length} swaps are told apart.`);
check(
  "swaps told apart, at least nine of ten",
  Math.min(0.9, toldApart / SWAPS.length),
  0.9,
  0,
);

// %% [markdown]
// ## Adding and subtracting texts
//
// A famous trick: take the vector of "a person with a red hat and a green shirt", subtract "red hat", and add "blue
// hat". Where do we land? We try it for all pairs of six colours, and look for the nearest of the 36 sentences.
// If vectors were sums over attributes, it would never fail. For the bag of words above it is exact. For the towers we
// measure.

// %%
const SIX = ATTRIBUTES.hatColor;
const sentences = SIX.flatMap((hat) =>
  SIX.map((shirt) => ({ hat, shirt })),
);
const sentenceVectors = embedTexts(
  sentences.map(({ hat, shirt }) => wearing(hat, shirt)),
);
const hatVectors = embedTexts(
  SIX.map((c) => `a person with a ${c} hat`),
);
const nearest = (vector: readonly number[]) => {
  const fits = sentenceVectors.map((other) => dot(other)(vector));
  return sentences[fits.indexOf(largest(fits))]!;
};
const changed = (from: readonly number[], a: number, b: number) =>
  from.map((x, k) => x - hatVectors[a]![k]! + hatVectors[b]![k]!);
const sums = sentences.flatMap(({ hat, shirt }, i) =>
  SIX.flatMap((to, b) => {
    if (to === hat) return [];
    const from = sentenceVectors[i]!;
    const found = nearest(changed(from, SIX.indexOf(hat), b));
    const stayed = nearest(from);
    return [
      {
        right: found.hat === to && found.shirt === shirt,
        alone: stayed.hat === hat && stayed.shirt === shirt,
      },
    ];
  }),
);
const lucky = sums.filter(({ right }) => right).length / sums.length;
show(`${sums.length} sums: ${(100 * lucky).toFixed(1)} % are right.`);
// By chance, one of 36.
check(
  "sums that are right, at least 0.9",
  Math.min(0.9, lucky),
  0.9,
  0,
);
check(
  "without a change, the nearest sentence is its own",
  mean(sums.map(({ alone }) => Number(alone))),
  1,
  0,
);

// %% [markdown]
// ## Why three lessons
//
// When both towers of the portraits' CLIP were trained together from the start, they learned colours, and never beards
// or mouths. What is different about a beard? It is small: a few pixels, so its signal $s$ is weak. The smallest model
// of two towers is a product of two numbers. The text tower gives the word a strength $t$, the vision tower gives the
// shape a strength $v$, and the cosine needs $t\,v = s$. With the loss $\tfrac12 (s - tv)^2$ both go downhill:
//
// $$ \dot t = v\,(s - tv), \qquad \dot v = t\,(s - tv) . $$
//
// Each waits for the other: where $t$ is near zero, $v$ does not move, and the other way round. From equal small
// strengths with the product $u_0$, this can be solved
// ([Saxe et al. 2013](https://arxiv.org/abs/1312.6120), eq. 9). Half of $s$ is reached at the time
//
// $$ T = \frac{1}{2s} \ln\Bigl( \frac{s}{u_0} - 1 \Bigr) . $$
//
// A signal ten times as weak takes more than ten times as long. Now hold the text tower fixed at $t = 1$. The rest is
// an ordinary decay, and half of $s$ is reached at the time $\ln 2$: **the same for weak and strong signals**. We
// walk downhill in small steps, and look at the clock.

// %%
/** The time until the product is half of s; t stands still if fixed. */
function halfTime(s: number, start: number, fixed: boolean): number {
  const dt = 1e-4;
  let [t, v] = fixed ? [1, 0] : [Math.sqrt(start), Math.sqrt(start)];
  let steps = 0;
  for (; t * v < s / 2; steps++) {
    const pull = s - t * v;
    [t, v] = [fixed ? t : t + dt * v * pull, v + dt * t * pull];
  }
  return steps * dt;
}
const START = 1e-4;
for (const s of [1, 0.1]) {
  check(
    `both learn, s = ${s}: time to half`,
    halfTime(s, START, false),
    Math.log(s / START - 1) / (2 * s),
    2e-3, // steps of Euler's method
  );
  check(
    `text fixed, s = ${s}: time to half`,
    halfTime(s, START, true),
    Math.LN2,
    2e-4,
  );
}

// %% [markdown]
// In real towers there is noise on top. A tower that sees no use in a word forgets it, and then the other one has
// nothing to hold on to. So the library trains in three lessons: first the vision tower with a text tower that stays
// random, where all words have about the same strength; then the text tower with a vision tower that stays fixed
// ([Zhai et al. 2022](https://arxiv.org/abs/2111.07991)); and at last both.
// In the table above, beards and mouths are read.

// %%
const shapes = readings.filter(({ attribute }) =>
  ["beard", "mouth", "eyewear"].includes(attribute),
);
check(
  "beards, mouths and glasses: read at least 9 times of 10",
  Math.min(...shapes.map(({ right }) => right), 0.9),
  0.9,
  0,
);
for (const tower of [textTower, visionTower]) tower.dispose();

// %% [markdown]
// ## What to take along
//
// - A tokenizer merges frequent neighbours. Frequent words become one id, and no text is ever unknown.
// - Two towers put texts and pictures on one sphere. The loss asks for the right pair among $N$.
// - Cosines are too small for a softmax. A learned scale, one over the temperature, makes them large enough.
// - Only confusions teach. What no round confuses, such as swapped colours, is not learned.
// - Two towers that wait for each other learn strong signals only. Hold one of them fixed, and weak ones are learned.
//
// ## What to read next
//
// - [Radford et al. 2021](https://arxiv.org/abs/2103.00020): CLIP. Section 2 is the method.
// - [Wang and Isola 2020](https://arxiv.org/abs/2005.10242): the loss as two wishes, alignment and uniformity.
// - [Lewis et al. 2022](https://arxiv.org/abs/2212.10537): does CLIP bind concepts?
// - [Zhai et al. 2023](https://arxiv.org/abs/2303.15343): the same game with a sigmoid, pair by pair.
// - [Chapter 10](./10-guidance.md): how a denoiser is made to do what the words say.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 9`. Each exercise is
// judged on its own.
//
// **1.** A perfect player with 64 pairs: which scale $s$ brings the loss to 0.01?

// %%
const scaleNeeded: Answer = todo;
await exercise("a scale", scaleNeeded);

// %% [markdown]
// **2.** *Predict, then run.* The four words of the paper's example, "low", "lower", "newest" and "widest", are merged
// until each is one symbol. How many merges does that take?

// %%
const prediction: Answer = todo;
predict("merges", prediction, pairs.length, 1);

// %% [markdown]
// **3.** *Write a function.* The loss of a bag of words in a round with all orders: $n$ captions with the same words in
// $n$ different orders, one picture each. What does it pay at best? `(n) => …`

// %%
type BagLoss = (n: number) => number;
const bestOfBag: Answer<BagLoss> = todo;
await exercise("a bag at its best", bestOfBag);

// %% [markdown]
// **4.** *Find the fault.* This looks for the caption that fits a picture best. It likes some captions too much.

// %%
type Fit = (
  caption: readonly number[],
  picture: readonly number[],
) => number;
const fitOf: Fit = (caption, picture) =>
  sum(caption.map((x, i) => x * picture[i]!)) /
  Math.sqrt(sum(picture.map((x) => x ** 2)));
await repair("how well a caption fits", fitOf);

// %% [markdown]
// **5.** *Reproduce the plot.* The loss of a perfect player with 64 pairs, for the scales 0, 1, …, 16. Answer with its
// 17 points `[s, loss]`.

// %%
const perfectCurve: Answer<Points> = todo;
await reproduce("a perfect player", perfectCurve, {
  caption: "The loss of a perfect player, for each scale.",
  height: 260,
  x: { label: "scale s", grid: true },
  y: { label: "loss", grid: true },
});
