// %% [markdown]
// # Latents
//
// **A picture of 512 x 512 pixels has 786,432 numbers. Must a network denoise all of them, in every step?**
//
// Most of these numbers say what their neighbours say. Stable Diffusion first learns a short language for pictures, the
// *latents*, and then does all its diffusion in this language
// ([Rombach et al. 2022](https://arxiv.org/abs/2112.10752)). This chapter asks how short the language can be. It
// measures what is saved. At its end, Stable Diffusion stands on one screen, and draws exactly what the library draws.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { join } from "node:path";
import {
  CLIPTokenizer,
  loadModel,
  openPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import {
  type AutoencoderKL,
  type CLIPTextModel,
  type CLIPTextModelWithProjection,
  klToStandardNormal,
  type UNet2DConditionModel,
} from "@tfjs-diffusion/core/models";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { kernelCosts } from "../bench/kernel-costs.js";
import { faceBatch } from "../datasets/faces/index.js";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
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

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2036);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const numberOf = (x: tf.Tensor) => x.dataSync()[0]!;
const largest = (x: tf.Tensor) =>
  tf.tidy(() => numberOf(x.abs().max()));
const average = (x: tf.Tensor) => tf.tidy(() => numberOf(x.mean()));
const folder = packagePath("weights", "portraits");
const vae = (await loadModel(join(folder, "vae"))) as AutoencoderKL;
const portraits = (count: number, seed: number) =>
  tf.tensor4d(
    faceBatch(Array(count).keys(), {
      seed,
      split: "seen",
      kind: PORTRAITS_2,
    }).pixels,
    [count, 32, 32, 3],
  );

// %% folded
const album = portraits(48, 5);
{
  const some = album.slice([0, 0, 0, 0], [6, 32, 32, 3]);
  const { mean } = vae.encode(some);
  const shown = tf.tidy(() => {
    const coloured = mean.slice([0, 0, 0, 0], [6, 8, 8, 3]).div(4);
    return tf.concat([
      some,
      tf.image.resizeNearestNeighbor(coloured as tf.Tensor4D, [32, 32]),
      vae.decode(mean),
    ]);
  });
  await image(shown, {
    caption:
      "Above: six portraits, 3072 numbers each. Middle: three of the four channels of their latents, 256 numbers. Below: decoded.",
    columns: 6,
    scale: 3,
  });
}

// %% [markdown]
// ## A twelfth of the numbers
//
// The **encoder** turns a picture of $32 \times 32 \times 3$ numbers into latents of $8 \times 8 \times 4$. The
// **decoder** turns them back. One latent pixel stands for a patch of $4 \times 4$ pixels: 48 numbers become 4. How
// well does it do? Its rival keeps a small picture: $8 \times 8$ pixels of three colours, each the mean of a patch.

// %%
const errorOf = (guess: tf.Tensor) =>
  tf.tidy(() => average(album.sub(guess).square()));
const encoded = vae.encode(album);
const decoded = vae.decode(encoded.mean);
const small = tf.tidy(() =>
  tf.image.resizeNearestNeighbor(
    tf.avgPool(album, 4, 4, "valid"),
    [32, 32],
  ),
);
check(
  "numbers of a picture, over those of its latents",
  album.size / encoded.mean.size,
  12,
  0,
);

// %% [markdown]
// ## The best straight way
//
// Between these two there is a classic. Let encoder and decoder be matrices. Which $4 \times 48$ matrix keeps most of a
// patch? The answer is [Eckart and Young's](https://doi.org/10.1007/BF02288367) of 1936: project on the four
// eigenvectors of the covariance with the largest eigenvalues $\lambda_i$. What is lost is the sum of the other ones,
//
// $$ \mathbb E\,\|x - \hat x\|^2 = \sum_{i > 4} \lambda_i . $$
//
// We find the eigenvectors by multiplying a random basis with the covariance again and again, and making it orthogonal
// each time. The largest eigenvalues win.

// %%
const KEPT = 12;
/** Patches of 4 x 4 pixels as rows, [N, 48]. */
const patchesOf = (pictures: tf.Tensor4D) =>
  tf.tidy(() =>
    pictures
      .reshape([-1, 8, 4, 8, 12])
      .transpose([0, 1, 3, 2, 4])
      .reshape<tf.Tensor2D>([-1, 48]),
  );
const patches = patchesOf(album);
const middle = patches.mean(0);
const centred = patches.sub<tf.Tensor2D>(middle);
const covariance = tf
  .matMul(centred, centred, true, false)
  .div(centred.shape[0])
  .arraySync() as number[][];

const dot = (a: readonly number[]) => (b: readonly number[]) =>
  sum(a.map((value, i) => value * b[i]!));
/** Makes each vector orthogonal to those before it, of length 1. */
function orthonormal(vectors: readonly number[][]): number[][] {
  const done: number[][] = [];
  for (let vector of vectors) {
    for (const other of done) {
      const share = dot(vector)(other);
      vector = vector.map((value, i) => value - share * other[i]!);
    }
    const length = Math.sqrt(dot(vector)(vector));
    done.push(vector.map((value) => value / length));
  }
  return done;
}
const timesCovariance = (vector: readonly number[]) =>
  covariance.map((row) => dot(row)(vector));
let basis = noise
  .at("basis")
  .normal([KEPT, 48])
  .arraySync() as number[][];
for (let round = 0; round < 60; round++)
  basis = orthonormal(basis.map(timesCovariance));
const eigenvalues = basis.map((v) => dot(v)(timesCovariance(v)));

const projected = tf.tidy(() => {
  const four = tf.tensor2d(basis.slice(0, 4));
  const z = tf.matMul(centred, four, false, true);
  return tf.matMul(z, four).add(middle);
});
const linearError = tf.tidy(() =>
  average(patches.sub(projected).square()),
);
const variance = sum(covariance.map((row, i) => row[i]!));
check(
  "error of four components, a patch",
  48 * linearError,
  variance - sum(eigenvalues.slice(0, 4)),
  1e-4, // single precision of 48 squares
);
const errors = {
  "a small picture": errorOf(small),
  "four components": linearError,
  "the autoencoder": errorOf(decoded),
};
table(
  Object.entries(errors).map(([way, error]) => ({
    way,
    numbers: way === "a small picture" ? "192" : "256",
    "mean squared error": error,
  })),
  { caption: "Three ways to keep a portrait", digits: 2 },
);
check(
  "the order of the three errors",
  Object.values(errors)
    .map((error, i, all) => Number(error < (all[i - 1] ?? Infinity)))
    .reduce((a, b) => a + b),
  3,
  0,
);

// %% [markdown]
// The autoencoder has as many numbers as the four components, but it is not straight. It also sees the whole picture,
// not a patch. So it errs less.
//
// ## Why the latents are noisy
//
// A good reconstruction is not all. The diffusion model will draw latents, never perfectly. If the decoder makes sense
// of exact latents only, a small mistake ends in a broken picture. So Stable Diffusion's autoencoder is a *variational*
// one ([Kingma and Welling 2014](https://arxiv.org/abs/1312.6114)). The encoder answers with a Gaussian for each
// latent, $\mathcal N(\mu, v)$, and a draw from it is decoded. The noise is a threat: the decoder must be smooth.
// Without a counterweight, the encoder would make $\mu$ huge, so that the noise does not matter. The counterweight is
// the Kullback–Leibler divergence from $\mathcal N(0, 1)$ (their appendix B),
//
// $$ \mathrm{KL} = \tfrac12 \bigl( \mu^2 + v - 1 - \ln v \bigr) . $$
//
// It is the mean of $\ln q(z) - \ln p(z)$ over draws from $q$. We check the formula by such draws, and the library's
// function by the formula.

// %%
const kl = (mu: number, v: number) =>
  (mu ** 2 + v - 1 - Math.log(v)) / 2;
const [mu, v] = [0.8, 0.3];
const logRatios = Array.from(
  noise.at("kl").normal([100_000]).dataSync(),
  (e) => {
    const z = sum([mu, Math.sqrt(v) * e]);
    return (z ** 2 - e ** 2 - Math.log(v)) / 2;
  },
);
const meanOf = (values: readonly number[]) =>
  sum(values) / values.length;
// A draw is a parabola of e, with the variance μ² v + (1 - v)² / 2.
check(
  "KL by 100,000 draws",
  meanOf(logRatios),
  kl(mu, v),
  4 * Math.sqrt((mu ** 2 * v + (1 - v) ** 2 / 2) / 1e5),
);
const means = encoded.mean.flatten().arraySync();
const variances = encoded.logvar.exp().flatten().arraySync();
const klOfAlbum = sum(means.map((mean, i) => kl(mean, variances[i]!)));
check(
  "KL of 48 portraits, over the library's",
  klOfAlbum / numberOf(klToStandardNormal(encoded).sum()),
  1,
  1e-5,
);
show(
  `KL of a latent: ${(klOfAlbum / means.length).toFixed(2)} nats; ` +
    `deviation of its noise: ${Math.sqrt(meanOf(variances)).toFixed(3)}`,
);

// %% [markdown]
// ## KL against reconstruction
//
// How much noise is right? Take the smallest case: one number $x \sim \mathcal N(0, \lambda)$, an encoder
// $z \sim \mathcal N(a x, v)$, a decoder $w z$. The loss weighs the KL with $\beta$:
//
// $$ \begin{aligned}
//    L &= \mathbb E\,(x - w z)^2 + 2\beta\, \mathbb E\,\mathrm{KL} \\
//      &= (1 - w a)^2 \lambda + w^2 v \\
//      &\quad + \beta\, (a^2\lambda + v - 1 - \ln v) .
//    \end{aligned} $$
//
// Set the three derivatives to zero. For $\beta < \lambda$ the solution is
//
// $$ w^2 = \lambda - \beta, \qquad a = \frac{w}{\lambda}, \qquad v = \frac{\beta}{\lambda} , $$
//
// and what comes of it is short:
//
// $$ \boxed{\;\mathbb E\,(x - wz)^2 = \beta, \qquad \mathbb E\,\mathrm{KL} = \tfrac12 \ln \frac{\lambda}{\beta} \;} $$
//
// This is [Shannon's](https://doi.org/10.1002/j.1538-7305.1948.tb00917.x) rate (1948, theorem 22): so many nats are
// needed, by any method, to name a Gaussian number up to the error $\beta$. If $\lambda \le \beta$, the latent gives
// up: $w = 0$, no KL, and the error is $\lambda$. (This is *posterior collapse*, [Lucas et al.
// 2019](https://arxiv.org/abs/1911.02469).) We let gradient descent find it, without the solution.

// %%
/** The loss for an encoder a, a decoder w and a log variance of z. */
const lossOf = (
  [a, w, logV]: readonly number[],
  lambda: number,
  beta: number,
) => {
  const v = Math.exp(logV!);
  const error = (1 - w! * a!) ** 2 * lambda + w! ** 2 * v;
  const rate = (a! ** 2 * lambda + v - 1 - logV!) / 2;
  return { error, rate, loss: error + 2 * beta * rate };
};
/** Walks downhill along slopes between two neighbours. */
function descend(lambda: number, beta: number) {
  let at = [0.5, 0.5, 0];
  for (let step = 0; step < 4000; step++) {
    const slopes = at.map((_, i) => {
      const [up, down] = [1e-5, -1e-5].map((h) =>
        at.map((value, j) => value + (i === j ? h : 0)),
      ) as [number[], number[]];
      const difference =
        lossOf(up, lambda, beta).loss - lossOf(down, lambda, beta).loss;
      return difference / 2e-5;
    });
    at = at.map((value, i) => value - 0.05 * slopes[i]!);
  }
  return lossOf(at, lambda, beta);
}
for (const [lambda, beta] of [
  [1, 0.2],
  [2, 0.5],
  [0.6, 0.8],
] as const) {
  const { error, rate } = descend(lambda, beta);
  check(
    `error for λ = ${lambda}, β = ${beta}`,
    error,
    Math.min(beta, lambda),
    1e-6, // slopes between neighbours are exact to 1e-9
  );
  check(
    `KL for λ = ${lambda}, β = ${beta}`,
    rate,
    Math.max(0, Math.log(lambda / beta) / 2),
    1e-6,
  );
}

// %% [markdown]
// Several numbers at once behave like **water in a vessel**: $\beta$ is the level. Directions with a variance above the
// level get a latent, and are kept up to the error $\beta$. Those below drown. The ground of the vessel are the
// eigenvalues. Here are the largest of a portrait's patches.

// %% folded
{
  const level = 0.5;
  const bars = eigenvalues.map((value, i) => ({
    i: i + 1,
    value,
    kept: value > level,
  }));
  plot({
    caption:
      "The largest eigenvalues of portraits' patches, and a water level β. Orange: the error. Blue: KL (on this scale, twice the nats).",
    height: 300,
    x: {
      label: "component",
      domain: [0.5, 13.4],
      ticks: [1, 3, 5, 7, 9],
    },
    y: {
      label: "variance",
      type: "log",
      grid: true,
      tickFormat: "~g",
      ticks: 4,
    },
    marks: [
      Plot.rect(bars, {
        x1: ({ i }: { i: number }) => i - 0.35,
        x2: ({ i }: { i: number }) => i + 0.35,
        y1: 0.01,
        y2: ({ value }: { value: number }) => Math.min(value, level),
        fill: "#d97706",
        fillOpacity: 0.7,
      }),
      Plot.rect(
        bars.filter(({ kept }) => kept),
        {
          x1: ({ i }: { i: number }) => i - 0.35,
          x2: ({ i }: { i: number }) => i + 0.35,
          y1: level,
          y2: "value",
          fill: "#4269d0",
        },
      ),
      Plot.ruleY([level], {
        stroke: "currentColor",
        strokeDasharray: "5 4",
      }),
      Plot.text([[13, level]], {
        text: () => "β",
        dy: -10,
        fontSize: 16,
        fill: "currentColor",
      }),
    ],
  });
}

// %% [markdown]
// Stable Diffusion's $\beta$ is tiny, about a millionth (Rombach et al. 2022, appendix G). It keeps the latents near
// zero, and hardly makes them noisy. How fine the latents must be is then decided by the diffusion model.
//
// ## The scaling factor
//
// A schedule is made for data of variance 1: with variance $s^2$, the signal-to-noise ratio at each timestep is $s^2$
// times as large, and all is decided later than planned ([chapter 5](./05-learning-in-two-dimensions.md)). So latents
// are divided by their deviation before diffusion, and multiplied again before decoding. The number stands in the
// config as `scaling_factor`. Stable Diffusion's is 0.18215, one over 5.49. For the portraits we measure it, on
// pictures that we have not used yet.

// %%
const drawLatents = (count: number, seed: number) =>
  tf.tidy(() => {
    const { mean, logvar } = vae.encode(portraits(count, seed));
    const e = noise.at("latents", seed).normal(mean.shape);
    return mean.add<tf.Tensor4D>(logvar.div(2).exp().mul(e));
  });
const latents = drawLatents(96, 6);
const deviation = Math.sqrt(average(latents.square()));
// 96 portraits, each with 256 numbers that go together: some per cent.
check(
  "deviation of latents, times scaling_factor",
  deviation * vae.config.scaling_factor,
  1,
  0.05,
);
show(
  `deviation ${deviation.toFixed(3)}; scaling_factor ${vae.config.scaling_factor}`,
);

// %% [markdown]
// ## What it saves
//
// Now the price. The portraits' UNet reads latents of $8 \times 8$. We let it read larger pictures, up to the full
// $32 \times 32$, and count operations. From [chapter 7](./07-the-unet.md) we know what to expect for $N$ pixels:
// convolutions grow with $N$, attention between pixels with $N^2$, and the time costs the same each time:
//
// $$ \text{operations} = c_0 + c_1 N + c_2 N^2 . $$
//
// Three sizes give the three coefficients. The fourth is predicted.

// %%
const unet = (await loadModel(
  join(folder, "unet"),
)) as UNet2DConditionModel;
const context = noise.at("context").normal([1, 40, 256]) as tf.Tensor3D;
const added = {
  textEmbeds: noise.at("pooled").normal([1, 128]) as tf.Tensor2D,
  timeIds: tf.tensor2d([[32, 32, 0, 0, 32, 32]]),
};
const operations = async (body: () => void) =>
  sum(
    (await kernelCosts(() => tf.tidy(body), 1)).map(({ flop }) => flop),
  );
const unetAt = (side: number) =>
  operations(() => {
    const x = tf.zeros<tf.Rank.R4>([1, side, side, 4]);
    unet.forward(x, 500, context, added);
  });
const [at4, at8, at16, at32] = [
  await unetAt(4),
  await unetAt(8),
  await unetAt(16),
  await unetAt(32),
];
// Through the points (16, at4), (64, at8) and (256, at16).
const slope = (at8 - at4) / (64 - 16);
const bend = ((at16 - at8) / (256 - 64) - slope) / (256 - 16);
check(
  "operations for 32 x 32, predicted from smaller ones, over counted",
  (at4 + slope * (1024 - 16) + bend * (1024 - 16) * (1024 - 64)) / at32,
  1,
  1e-12,
);
const decoding = await operations(() => {
  vae.decode(tf.zeros<tf.Rank.R4>([1, 8, 8, 4]));
});
const CALLS = 2 * 10; // ten steps, with guidance
table(
  [
    { part: "UNet, 8 x 8", each: at8, calls: CALLS },
    { part: "decoder", each: decoding, calls: 1 },
    { part: "UNet, 32 x 32", each: at32, calls: CALLS },
  ].map(({ part, each, calls }) => ({
    part,
    millions: each / 1e6,
    calls,
    "in all": (each * calls) / 1e6,
  })),
  { caption: "Operations of ten steps, with guidance", digits: 3 },
);
const saved = (CALLS * at32) / (CALLS * at8 + decoding);
check("operations saved, a factor", saved, 17, 2);

// %% [markdown]
// A sixteenth of the pixels, and less than a sixteenth of the work: attention saves more than its share. What is added
// is one call of the decoder at the end. And the latents of a real picture of $512 \times 512$ are $64 \times 64$,
// so that the same holds there, with larger numbers.
//
// ## Stable Diffusion on one screen
//
// All parts are known by now. **Tokenizer**: text to numbers. **Text encoder**: numbers to vectors. **UNet**: noisy
// latents and vectors to a velocity. **Scheduler**: one step. **Decoder**: latents to a picture.

// %% folded
{
  const box = (
    name: string,
    x: number,
    y: number,
    note: string,
    color = "#4269d0",
  ) => ({ name, x, y, note, color });
  const boxes = [
    box("tokenizer", 0, 3, "text → 40 ids"),
    box("text encoders", 0, 2, "→ [40, 256]"),
    box("UNet", 0, 1, "→ v [8, 8, 4]", "#c2410c"),
    box("DDIM step", 1, 1, "less noise", "#2f9e58"),
    box("noise", 1, 2, "[8, 8, 4]", "#6b7280"),
    box("decoder", 1, 0, "→ [32, 32, 3]"),
  ];
  const link = (x1: number, y1: number, x2: number, y2: number) => ({
    x1,
    y1,
    x2,
    y2,
  });
  plot({
    caption:
      "The flow of data. The UNet and the step call each other once for each noise level; all else happens once.",
    height: 330,
    axis: null,
    x: { domain: [-0.5, 1.5] },
    y: { domain: [-0.45, 3.45] },
    marks: [
      Plot.arrow(
        [
          link(0, 2.7, 0, 2.32),
          link(0, 1.7, 0, 1.32),
          link(0.37, 1.12, 0.63, 1.12),
          link(0.63, 0.88, 0.37, 0.88),
          link(1, 1.7, 1, 1.32),
          link(1, 0.7, 1, 0.32),
        ],
        {
          x1: "x1",
          y1: "y1",
          x2: "x2",
          y2: "y2",
          stroke: "currentColor",
          headLength: 8,
        },
      ),
      Plot.rect(boxes, {
        x1: ({ x }: { x: number }) => x - 0.35,
        x2: ({ x }: { x: number }) => x + 0.35,
        y1: ({ y }: { y: number }) => y - 0.28,
        y2: ({ y }: { y: number }) => y + 0.28,
        stroke: "color",
        strokeWidth: 2,
        fill: "color",
        fillOpacity: 0.15,
      }),
      Plot.text(boxes, {
        x: "x",
        y: ({ y }: { y: number }) => y + 0.1,
        text: "name",
        fontSize: 14,
        fill: "currentColor",
      }),
      Plot.text(boxes, {
        x: "x",
        y: ({ y }: { y: number }) => y - 0.13,
        text: "note",
        fontSize: 13,
        fill: "currentColor",
      }),
    ],
  });
}

// %% [markdown]
// The portraits model is a small Stable Diffusion XL ([Podell et al. 2023](https://arxiv.org/abs/2307.01952), section
// 2). So there are two text encoders. Their states before the last layer are joined. The second encoder adds one
// vector for the whole sentence. And the UNet is told the size of the picture. The step is DDIM ([chapter
// 3](./03-ddpm-and-ddim.md)) for a network that answers with $v$ ([chapter 2](./02-the-best-denoiser.md)).

// %%
const part = (name: string) => join(folder, name);
const tokenizers = [
  await CLIPTokenizer.fromFolder(part("tokenizer")),
  await CLIPTokenizer.fromFolder(part("tokenizer_2")),
] as const;
const encoders = [
  (await loadModel(part("text_encoder"))) as CLIPTextModel,
  (await loadModel(
    part("text_encoder_2"),
  )) as CLIPTextModelWithProjection,
] as const;
const { alphaBar } = new DDIMScheduler({
  beta_schedule: "squaredcos_cap_v2",
});

/** What the UNet reads of a text. */
function read(text: string) {
  const [ids, ids2] = tokenizers.map((tokenizer) =>
    tf.tensor2d([tokenizer.encode(text)], undefined, "int32"),
  ) as [tf.Tensor2D, tf.Tensor2D];
  const [first, second] = [
    encoders[0].forward(ids),
    encoders[1].forward(ids2),
  ];
  return {
    context: tf.concat<tf.Tensor3D>(
      [first.hiddenStates.at(-2)!, second.hiddenStates.at(-2)!],
      2,
    ),
    textEmbeds: second.textEmbeds,
    timeIds: tf.tensor2d([[32, 32, 0, 0, 32, 32]]),
  };
}

function draw(
  text: string,
  start: tf.Tensor4D,
  steps: number,
  guidance: number,
): tf.Tensor4D {
  return tf.tidy(() => {
    const [wanted, empty] = [read(text), read("")];
    let x = start;
    for (let i = steps; i > 0; i--) {
      const t = (1000 / steps) * i - 1;
      const [a, next] = [alphaBar[t]!, alphaBar[t - 1000 / steps] ?? 1];
      const [yes, no] = [wanted, empty].map((text) =>
        unet.forward(x, t, text.context, text),
      ) as [tf.Tensor4D, tf.Tensor4D];
      const v = no.add(yes.sub(no).mul(guidance));
      const x0 = x.mul(Math.sqrt(a)).sub(v.mul(Math.sqrt(1 - a)));
      const e = x.mul(Math.sqrt(1 - a)).add(v.mul(Math.sqrt(a)));
      x = x0
        .mul(Math.sqrt(next))
        .add<tf.Tensor4D>(e.mul(Math.sqrt(1 - next)));
    }
    return vae.decode(x.div(vae.config.scaling_factor));
  });
}

const sentence = "a smiling woman with long red hair and glasses";
const start = noise.at("start").normal([1, 8, 8, 4]) as tf.Tensor4D;
const ours = draw(sentence, start, 10, 3);

// %% [markdown]
// That is all of it. Now the library's pipeline, with the same text, noise, steps and guidance:

// %%
const pipeline = await openPipeline(folder);
const theirs = await pipeline.generate({
  prompt: sentence,
  latents: start,
  numInferenceSteps: 10,
  guidanceScale: 3,
});
const inUnits = tf.tidy(() => ours.add(1).div(2).clipByValue(0, 1));
check(
  "our picture against the pipeline's, largest difference",
  largest(inUnits.sub(theirs.images)),
  0,
  1e-4, // a tenth of the smallest step of a PNG would be 4e-4
);
await image(
  tf.concat([ours, theirs.images.mul(2).sub<tf.Tensor4D>(1)]),
  {
    caption: `"${sentence}": ours, and the pipeline's.`,
    scale: 5,
  },
);
tf.dispose(theirs);
pipeline.dispose();
for (const network of [vae, unet, ...encoders]) network.dispose();

// %% [markdown]
// ## What to take along
//
// - An autoencoder turns a picture into a twelfth of the numbers, with hardly any loss. A straight one cannot.
// - The KL keeps latents small and the decoder smooth. Its weight $\beta$ is a water level: what varies less is lost.
// - `scaling_factor` brings latents to the deviation 1, for which schedules are made.
// - A UNet on latents costs a sixteenth of one on pixels, and less, because of attention.
// - Stable Diffusion is five parts and a loop of ten lines.
//
// ## What to read next
//
// - [Rombach et al. 2022](https://arxiv.org/abs/2112.10752): latent diffusion, sections 3 and 4.1.
// - [Kingma and Welling 2019](https://arxiv.org/abs/1906.02691): variational autoencoders, as a small book.
// - [Alemi et al. 2018](https://arxiv.org/abs/1711.00464): KL against reconstruction as rate against distortion.
// - [Podell et al. 2023](https://arxiv.org/abs/2307.01952): Stable Diffusion XL, with a better autoencoder.
// - [Chapter 12](./12-editing.md): what else one can do with these parts.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 11`. Each exercise is
// judged on its own.
//
// **1.** An encoder answers with $\mathcal N(1, 0.5^2)$. How large is its KL from $\mathcal N(0, 1)$?

// %%
const klOfOne: Answer = todo;
await exercise("a KL", klOfOne);

// %% [markdown]
// **2.** *Predict, then run.* In a drawing of ten steps with guidance on latents, which share of the operations has the
// decoder, in per cent?

// %%
const prediction: Answer = todo;
predict(
  "the decoder's share",
  prediction,
  (100 * decoding) / (CALLS * at8 + decoding),
  3,
);

// %% [markdown]
// **3.** *Write a function.* Water in a vessel: the sum of KLs of the best linear autoencoder for data with these
// eigenvalues and this $\beta$: `(eigenvalues, beta) => …`.

// %%
type Rate = (eigenvalues: readonly number[], beta: number) => number;
const rateOf: Answer<Rate> = todo;
await exercise("water in a vessel", rateOf);

// %% [markdown]
// **4.** *Find the fault.* A program encodes a picture for diffusion and decodes it again. With $s = 0.5$, its pictures
// come back pale.

// %%
type Ways = (
  latent: number,
  factor: number,
) => readonly [forDiffusion: number, forDecoder: number];
const scaledAndBack: Ways = (latent, factor) => {
  const forDiffusion = latent * factor;
  return [forDiffusion, forDiffusion * factor];
};
await repair("to diffusion and back", scaledAndBack);

// %% [markdown]
// **5.** *Reproduce the plot.* KL against error for one number of variance 1, at the errors 0.05, 0.1, …, 1. Answer
// with its 20 points `[error, KL]`.

// %%
const rateCurve: Answer<Points> = todo;
await reproduce("rate and distortion", rateCurve, {
  caption: "The least KL for each error: rate against distortion.",
  height: 260,
  x: { label: "error", grid: true },
  y: { label: "KL, nats", grid: true },
});
