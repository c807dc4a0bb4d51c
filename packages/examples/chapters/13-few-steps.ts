// %% [markdown]
// # Few steps
//
// **A picture takes twenty steps, because the way from noise is curved. Can a network learn to jump?**
//
// The samplers of [chapter 3](./03-ddpm-and-ddim.md) walk. They ask the denoiser for a direction, go a little way, and
// ask again. Yet each start leads to one picture: there *is* a function from the noise to the picture. If a network
// learns that function itself, one call is enough. This chapter derives the three ways to teach it: distillation of a
// trajectory, consistency without a teacher, and halving the number of steps again and again.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import {
  StableDiffusionXLPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import {
  consistencyFunction,
  consistencyLoss,
  progressiveDistillationLoss,
} from "@tfjs-diffusion/core/training";
import {
  CMStochasticIterativeScheduler,
  DDIMScheduler,
  karrasSigmas,
  keyedNoise,
  runPlan,
  schedulerFromConfig,
  type Denoise,
  type Network,
} from "@tfjs-diffusion/schedulers";
import { loadClassifier } from "../classifier/classifier-files.js";
import { learn } from "../methods/learn.js";
import { PLANE_SETS } from "../methods/plane/sets.js";
import { planeSubject } from "../methods/plane/study.js";
import {
  check,
  exercise,
  image,
  plot,
  repair,
  reproduce,
  table,
  todo,
  type Answer,
  type Points,
} from "../src/chapter/index.js";
import { packagePath } from "../src/package-folder.js";

await useBackend("wasm", { threads: 1 });
const noise = keyedNoise(2038);

// %%
const pipeline = await StableDiffusionXLPipeline.fromPretrained(
  packagePath("weights", "portraits"),
);
const prompt = "a smiling woman with long blonde hair and glasses";
const draw = async (options: object) => {
  const drawn = await pipeline.generate({
    prompt,
    numImages: 8,
    seed: 2,
    ...options,
  });
  drawn.latents.dispose();
  return drawn.images;
};
const walked = await draw({ numInferenceSteps: 20, guidanceScale: 3 });
const hurried = await draw({ numInferenceSteps: 1, guidanceScale: 1 });
await pipeline.loras.load(
  packagePath("weights", "portraits-loras", "few-steps"),
);
const scheduler = schedulerFromConfig({
  ...pipeline.parts.scheduler.config,
  _class_name: "LCMScheduler",
});
const jumped = await draw({
  scheduler,
  numInferenceSteps: 1,
  guidanceScale: 1,
});
await image(tf.concat([walked, hurried, jumped]).mul(2).sub(1), {
  caption:
    "20 guided steps (40 calls of the network); one call of it; one call of a network that learned to jump.",
  columns: 8,
  scale: 2,
});

// %% [markdown]
// ## Why one step is not enough
//
// Our world is the plane: eight narrow bells on a circle, with standard deviation 0.04. Its best denoiser is a formula
// ([chapter 2](./02-the-best-denoiser.md)): a softmax over the bells. In EDM's coordinates,
// $x = x_0 + \sigma\varepsilon$.

// %%
const BELLS = 8;
const WIDTH = 0.04;
const centres = tf.tensor2d(
  Array.from({ length: BELLS }, (_, k) => [
    0.75 * Math.cos((2 * Math.PI * k) / BELLS),
    0.75 * Math.sin((2 * Math.PI * k) / BELLS),
  ]),
);
/** The best guess of x₀ for points [B, 2], each at its own noise level. */
const exact: Denoise<tf.Tensor2D> = (x, sigmas) =>
  tf.tidy(() => {
    const variance = tf.tensor2d(
      sigmas.map((sigma) => [WIDTH ** 2 + sigma ** 2]),
    );
    const distances = x.expandDims(1).sub(centres).square().sum(2);
    const chances = distances
      .div(variance.mul(-2))
      .softmax() as tf.Tensor2D;
    const mean = tf.matMul(chances, centres);
    return mean.add<tf.Tensor2D>(
      x
        .sub(mean)
        .mul(WIDTH ** 2)
        .div(variance),
    );
  });

const N = 500;
const starts = noise.at("starts").normal([N, 2]) as tf.Tensor2D;
const MOST = 4;
const LEAST = 0.01;
/** Euler steps of dx/dσ = (x - D)/σ. */
const euler = (levels: readonly number[]) =>
  tf.tidy(() => {
    let x = starts.mul<tf.Tensor2D>(levels[0]!);
    for (let i = 0; i + 1 < levels.length; i++) {
      const [here, next] = [levels[i]!, levels[i + 1]!];
      const guess = exact(x, Array<number>(N).fill(here));
      x = guess.add<tf.Tensor2D>(x.sub(guess).mul(next / here));
    }
    return x;
  });
const nearBell = (points: tf.Tensor2D) =>
  tf.tidy(() => {
    const distances = points
      .expandDims(1)
      .sub(centres)
      .square()
      .sum(2)
      .sqrt();
    return (
      distances
        .min(1)
        .lessEqual(3 * WIDTH)
        .sum()
        .dataSync()[0]! / N
    );
  });
const walks = [1, 2, 4, 8, 16, 32].map((steps) => ({
  steps,
  points: euler([
    ...(steps === 1 ? [MOST] : karrasSigmas(steps, MOST, LEAST)),
    0,
  ]),
}));
table(
  walks.map(({ steps, points }) => ({
    steps,
    "at a bell": `${(100 * nearBell(points)).toFixed(1)} %`,
  })),
  {
    caption:
      "Share of 500 points that end within three deviations of a bell",
  },
);
// At σ = 4 a point says little about its bell. The guess is near the mean of all, which is 0.
const lengths = walks[0]!.points.norm("euclidean", 1);
check(
  "mean distance from 0 after one step",
  lengths.mean().dataSync()[0]!,
  0,
  0.3,
);
check("at a bell after one step", nearBell(walks[0]!.points), 0, 0);
// For a Gaussian in two dimensions, three deviations hold 1 - e^(-9/2) = 98.9 %.
check(
  "at a bell after 32 steps",
  nearBell(walks[5]!.points),
  1 - Math.exp(-4.5),
  4 * Math.sqrt((0.989 * 0.011) / N) + 0.01,
);

// %% [markdown]
// One step gives the denoiser's answer to pure noise: the mean of all bells, where no data are. It is the right answer
// to the wrong question. We want the *end of the way*, not the mean.
//
// ## The function that jumps
//
// The **consistency function** $f(x, \sigma)$ ([Song et al. 2023](https://arxiv.org/abs/2303.01469)) takes any point of
// a trajectory to its end. Two facts define it:
//
// 1. At the end it is the identity: $f(x, \sigma_{\min}) = x$.
// 2. It is the same for all points of one trajectory.
//
// For data $\mathcal N(0, s^2)$ we know it: the flow keeps the position in units of the standard deviation, so
//
// $$ f(x, \sigma) = \frac{s}{\sqrt{s^2 + \sigma^2}}\; x . $$

// %%
const s = 0.5;
const jump = (x: number, sigma: number) =>
  (x * s) / Math.sqrt(s ** 2 + sigma ** 2);
/** Factor of one Euler step of N(0, s²) from `here` to `next`. */
const eulerFactor = (here: number, next: number) =>
  1 + ((next - here) * here) / (s ** 2 + here ** 2);
const levelsOf = (steps: number, from = MOST) =>
  Array.from({ length: steps + 1 }, (_, i) => from * (1 - i / steps));
const along: { sigma: number; x: number }[] = [{ sigma: MOST, x: 3 }];
for (const [i, sigma] of levelsOf(40_000).entries()) {
  if (i === 0) continue;
  const { sigma: here, x } = along.at(-1)!;
  along.push({ sigma, x: x * eulerFactor(here, sigma) });
}
const ends = along.map(({ sigma, x }) => jump(x, sigma));
// Euler's error in 40,000 steps, measured by halving them: below 1e-4.
check(
  "largest end of one trajectory",
  Math.max(...ends),
  jump(3, MOST),
  2e-4,
);
check(
  "smallest end of the same",
  Math.min(...ends),
  jump(3, MOST),
  2e-4,
);
check("identity at σ = 0", jump(0.7, 0), 0.7, 0);

// %% folded
const BLUE = "#4269d0";
const RED = "#c2410c";
const GREEN = "#2f9e58";
const curves = [-3, -1.5, 1.5, 3].map((start) => ({
  start,
  points: along
    .filter((_, i) => i % 400 === 0)
    .map(({ sigma, x }) => ({ sigma, x: (x * start) / 3 })),
}));
plot({
  caption:
    "Trajectories (lines). The consistency function goes from any point straight to the end (arrows).",
  x: { label: "noise level σ", reverse: true, domain: [0, 4.1] },
  y: { label: "x", grid: true },
  marks: [
    ...curves.map(({ points }) =>
      Plot.line(points, {
        x: "sigma",
        y: "x",
        stroke: BLUE,
        strokeWidth: 2,
      }),
    ),
    ...[10, 40, 70].map((i) =>
      Plot.arrow(
        curves.map(({ points }) => ({
          ...points[i]!,
          end: points.at(-1)!.x,
        })),
        {
          x1: "sigma",
          y1: "x",
          x2: 0,
          y2: "end",
          stroke: RED,
          strokeOpacity: 0.7,
          bend: 8,
        },
      ),
    ),
  ],
});

// %% [markdown]
// The first fact should never have to be learned. Any network $F$ becomes a function that is right at the end:
//
// $$ f(x, \sigma) = c_{\text{skip}}(\sigma)\, x + c_{\text{out}}(\sigma)\, F(x, \sigma), \qquad
//    c_{\text{skip}} = \frac{s^2}{(\sigma - \sigma_{\min})^2 + s^2}, \quad
//    c_{\text{out}} = \frac{s\,(\sigma - \sigma_{\min})}{\sqrt{s^2 + \sigma^2}} $$
//
// (their equation 5 and appendix C). At $\sigma_{\min}$ the first factor is 1 and the second is 0.

// %%
const skip = (sigma: number, least: number) =>
  s ** 2 / ((sigma - least) ** 2 + s ** 2);
const out = (sigma: number, least: number) =>
  (s * (sigma - least)) / Math.sqrt(s ** 2 + sigma ** 2);
const anyNetwork: Network<tf.Tensor2D> = (x) => x.square().add(5);
const jumping = consistencyFunction(anyNetwork, {
  sigmaMin: LEAST,
  sigmaData: s,
});
const few = starts.slice([0, 0], [4, 2]);
const atTheEnd = jumping(few, Array<number>(4).fill(LEAST));
check(
  "at σ_min, any network",
  atTheEnd.sub(few).abs().max().dataSync()[0]!,
  0,
  1e-6,
);
const [x1, sigma1] = [few.dataSync()[0]!, 0.9];
const byHand =
  skip(sigma1, LEAST) * x1 +
  out(sigma1, LEAST) *
    ((x1 / Math.sqrt(s ** 2 + sigma1 ** 2)) ** 2 + 5);
const byLibrary = jumping(
  few,
  Array<number>(4).fill(sigma1),
).dataSync()[0]!;
check("consistencyFunction() of the library", byLibrary, byHand, 2e-6);

// %% [markdown]
// ## Learning from a teacher
//
// **Consistency distillation.** Take a noisy sample at level $\sigma_{n+1}$. Let the teacher make *one* small step down
// to $\sigma_n$. Both points lie on one trajectory, so the student should answer the same at both. Make its answer at
// the upper point like its answer at the lower one, and hold the lower one fixed. The identity at the end then spreads
// upwards, from level to level.
//
// What will the student have learned? In the Gaussian world let it be $f(x, \sigma_n) = a_n\, x$. Then the perfect
// student obeys $a_{n+1}\, x = a_n \cdot (\text{step factor}) \cdot x$, with $a_0 = 1$. So $a_n$ is the *product of the
// teacher's steps*. A perfect student does in one call what its teacher's sampler does in $n$, with the same error.

// %%
const learnedFactor = (levels: readonly number[]) => {
  let a = 1;
  // From the end upwards, as learning does.
  for (let n = levels.length - 1; n > 0; n--)
    a *= eulerFactor(levels[n - 1]!, levels[n]!);
  return a;
};
const exactFactor = jump(1, MOST);
const studentErrors = [100, 200, 400].map(
  (n) => learnedFactor(levelsOf(n)) - exactFactor,
);
check(
  "error with 100 levels, over that with 200",
  studentErrors[0]! / studentErrors[1]!,
  2,
  0.1,
);
check(
  "error with 200 levels, over that with 400",
  studentErrors[1]! / studentErrors[2]!,
  2,
  0.05,
);

// %% [markdown]
// ## No teacher at all
//
// **Consistency training** replaces the teacher's step by something that looks too simple: take *the same noise* at
// both levels, $x_0 + \sigma_{n+1}\varepsilon$ and $x_0 + \sigma_n\varepsilon$. These two points do not lie on one
// trajectory. But *on average* they do: given the upper point, the mean of the lower one is
// $x + (\sigma_n - \sigma_{n+1})\,\mathbb E[\varepsilon \mid x]$. That is exactly an Euler step with the best denoiser.
// The squared error turns a noisy target into its mean, as always. We check it by regression over 200,000 pairs.

// %%
const PAIRS = 200_000;
const [high, low] = [0.9, 0.7];
const [clean, epsilon] = ["clean", "epsilon"].map((name) =>
  noise.at(name).normal([PAIRS]).dataSync(),
);
let [product, square, residual] = [0, 0, 0];
for (let i = 0; i < PAIRS; i++) {
  const upper = s * clean![i]! + high * epsilon![i]!;
  product += upper * (s * clean![i]! + low * epsilon![i]!);
  square += upper ** 2;
}
const regressed = product / square;
for (let i = 0; i < PAIRS; i++) {
  const upper = s * clean![i]! + high * epsilon![i]!;
  residual +=
    (s * clean![i]! + low * epsilon![i]! - regressed * upper) ** 2;
}
// Standard error of a regression: √(residual variance / sum of squares).
check(
  "mean of the lower point, over the upper one",
  regressed,
  eulerFactor(high, low),
  4 * Math.sqrt(residual / PAIRS / square),
);

// %% [markdown]
// ## Halving
//
// **Progressive distillation** ([Salimans and Ho 2022](https://arxiv.org/abs/2202.00512)) needs no identity at the end.
// A student learns to do in *one* step of DDIM what its teacher does in *two*. Then it becomes the teacher of a student
// with half as many steps. From 1024 to 1 takes ten rounds.
//
// Which answer makes one step of DDIM lead where two have led? DDIM goes from $z_t = \alpha_t x + \sigma_t\varepsilon$
// to $z_u = \alpha_u x + \sigma_u\varepsilon$ with the same $x$ and $\varepsilon$. These are two equations for two
// unknowns. Eliminate $\varepsilon$ (their equation 8):
//
// $$ \tilde x = \frac{z_u - (\sigma_u/\sigma_t)\, z_t}{\alpha_u - (\sigma_u/\sigma_t)\,\alpha_t} . $$

// %%
const ddim = new DDIMScheduler({
  beta_schedule: "squaredcos_cap_v2",
  timestep_spacing: "trailing",
});
const { alphaBar } = ddim;
const levelAt = (t: number) => {
  const a = t < 0 ? 1 : alphaBar[t]!;
  return { alpha: Math.sqrt(a), sigma: Math.sqrt(1 - a) };
};
type Guess = (z: number, t: number) => number;
/** The best guess of x₀ in N(0, s²). */
const teacherGuess: Guess = (z, t) => {
  const { alpha, sigma } = levelAt(t);
  return (alpha * s ** 2 * z) / (alpha ** 2 * s ** 2 + sigma ** 2);
};
/** One step of DDIM, from the guess of x₀. */
function move(z: number, x: number, t: number, u: number): number {
  const [from, to] = [levelAt(t), levelAt(u)];
  return to.alpha * x + to.sigma * ((z - from.alpha * x) / from.sigma);
}
/** A student that does two steps of its teacher in one; `stride` is the student's step. */
const studentOf =
  (teacher: Guess, stride: number): Guess =>
  (z, t) => {
    const [middle, end] = [t - stride / 2, t - stride];
    const there = move(z, teacher(z, t), t, middle);
    const target = move(there, teacher(there, middle), middle, end);
    const [from, to] = [levelAt(t), levelAt(end)];
    const ratio = to.sigma / from.sigma;
    return (target - ratio * z) / (to.alpha - ratio * from.alpha);
  };
const sample = (guess: Guess, steps: number) => {
  let z = 1;
  for (let i = steps; i > 0; i--)
    z = move(
      z,
      guess(z, (i * 1000) / steps - 1),
      (i * 1000) / steps - 1,
      ((i - 1) * 1000) / steps - 1,
    );
  return z;
};
let student = teacherGuess;
for (let steps = 4; steps >= 1; steps /= 2)
  student = studentOf(student, 1000 / steps);
check(
  "one step of the student of the student of …",
  sample(student, 1),
  sample(teacherGuess, 8),
  1e-9,
);
check("one step of the teacher", sample(teacherGuess, 1), 0, 1e-4);
check(
  "the teacher's 1000 steps reach the flow's end",
  sample(teacherGuess, 1000),
  s,
  2e-3,
);

// %% [markdown]
// Three rounds, eight steps in one, nothing lost. Real students lose a little in each round.
//
// The library's loss must be 0 for this student, and only for it:

// %%
const batch = {
  x0: noise.at("x0").normal([64, 1]).mul<tf.Tensor2D>(s),
  noise: noise.at("loss"),
};
/** The network that answers with the noise that belongs to a guess of x₀. */
const asNetwork =
  (guess: Guess): Network<tf.Tensor2D> =>
  (z, timesteps) =>
    tf.tensor2d(
      Array.from(z.dataSync(), (value, i) => {
        const { alpha, sigma } = levelAt(timesteps[i]!);
        return [(value - alpha * guess(value, timesteps[i]!)) / sigma];
      }),
    );
const lossOf = (guess: Guess) => {
  const loss = progressiveDistillationLoss({
    scheduler: ddim,
    teacher: asNetwork(teacherGuess),
    student: asNetwork(guess),
    steps: 4,
    ...batch,
  });
  return loss.dataSync()[0]!;
};
// Squares of errors of single precision.
check(
  "loss of the right student",
  lossOf(studentOf(teacherGuess, 250)),
  0,
  1e-9,
);
check(
  "its teacher has a larger one",
  Number(lossOf(teacherGuess) > 1e-5),
  1,
  0,
);

// %% [markdown]
// ## A network that jumps
//
// Now a real network. It learns the eight bells by consistency distillation. The teacher is the formula above, so that
// what falls short is the student's fault alone. To draw in two or four calls, one jumps, adds some noise again, and
// jumps once more.

// %%
const RISING = karrasSigmas(18, MOST, LEAST).reverse();
const data = { sigmaMin: LEAST, sigmaData: 0.53 };
const network = await learn(
  {
    subject: planeSubject(PLANE_SETS.bells!),
    steps: 1500,
    batchSize: 256,
    seed: 5,
  },
  {
    name: "student",
    learningRate: 3e-3,
    loss: (plane, { x0, noise }) =>
      consistencyLoss({
        student: consistencyFunction(
          (x, t) => plane.forward(x, t),
          data,
        ),
        teacher: exact,
        x0,
        noise,
        sigmas: RISING,
      }),
  },
);
const cm = new CMStochasticIterativeScheduler({
  sigma_min: LEAST,
  sigma_max: MOST,
  sigma_data: data.sigmaData,
  clip_denoised: false,
  num_train_timesteps: 40,
});
const results = [1, 2, 4].map((calls) => {
  const points = runPlan<tf.Tensor2D>(
    cm.plan(calls),
    (x, t) => network.forward(x, t),
    starts,
    noise.at("jumps"),
  );
  return {
    calls,
    points,
    jumps: nearBell(points),
    walks: nearBell(walks.find(({ steps }) => steps === calls)!.points),
  };
});
table(
  results.map(({ calls, jumps, walks }) => ({
    calls,
    "student, at a bell": `${(100 * jumps).toFixed(1)} %`,
    "exact denoiser, Euler": `${(100 * walks).toFixed(1)} %`,
  })),
  { caption: "Eight bells, by the number of network calls" },
);
check(
  "student with one call: most are at a bell",
  Number(results[0]!.jumps > 0.6),
  1,
  0,
);
check("Euler with one call: none is", results[0]!.walks, 0, 0);
check(
  "student with four calls is better",
  Number(results[2]!.jumps > results[0]!.jumps),
  1,
  0,
);

// %% folded
const pointsOf = (points: tf.Tensor2D, panel: string) =>
  (points.arraySync() as [number, number][]).map(([x, y]) => ({
    x,
    y,
    panel,
  }));
plot({
  caption:
    "500 points each: Euler with one call and with four, and the student with one.",
  height: 260,
  aspectRatio: 1,
  x: { axis: null, domain: [-1.1, 1.1] },
  y: { axis: null, domain: [-1.1, 1.1] },
  fx: {
    label: null,
    domain: ["Euler, 1 call", "Euler, 4 calls", "student, 1 call"],
  },
  marks: [
    Plot.dot(
      [
        ...pointsOf(walks[0]!.points, "Euler, 1 call"),
        ...pointsOf(walks[2]!.points, "Euler, 4 calls"),
        ...pointsOf(results[0]!.points, "student, 1 call"),
      ],
      { x: "x", y: "y", fx: "panel", r: 1.5, fill: GREEN },
    ),
  ],
});
network.dispose();

// %% [markdown]
// ## Latent consistency
//
// For Stable Diffusion the same is done in the latents, and guidance goes *into* the student: the teacher's step is a
// guided one, so that the student needs no second call ([Luo et al. 2023](https://arxiv.org/abs/2310.04378)). The
// change of the weights fits into a LoRA. That is what drew the third row at the top of this chapter. The classifier
// counts.

// %%
const classifier = await loadClassifier(
  packagePath("weights", "portraits-classifier"),
);
const asAsked = async (pictures: tf.Tensor4D) => {
  const read = await classifier.read(
    pictures.mul<tf.Tensor4D>(2).sub(1),
  );
  const right = read.flatMap(({ mouth, hair, hairColor, eyewear }) => [
    mouth === "smiling",
    hair === "long",
    hairColor === "blonde",
    eyewear === "glasses",
  ]);
  return right.filter(Boolean).length / right.length;
};
const accuracies = {
  walked: await asAsked(walked),
  hurried: await asAsked(hurried),
  jumped: await asAsked(jumped),
};
table(
  [
    {
      drawn: "20 guided steps",
      calls: 40,
      "as asked": `${(100 * accuracies.walked).toFixed(0)} %`,
    },
    {
      drawn: "one step",
      calls: 1,
      "as asked": `${(100 * accuracies.hurried).toFixed(0)} %`,
    },
    {
      drawn: "one step with the LoRA",
      calls: 1,
      "as asked": `${(100 * accuracies.jumped).toFixed(0)} %`,
    },
  ],
  { caption: "Attributes of eight portraits" },
);
check(
  "one jump beats one step",
  Number(accuracies.jumped > accuracies.hurried),
  1,
  0,
);
classifier.dispose();
pipeline.dispose();

// %% [markdown]
// ## Take along
//
// - One step of a denoiser gives a mean, and not a picture. The *end of the trajectory* is another function.
// - That function is the same along a trajectory, and the identity at its end. Both together can be trained.
// - A perfect student repeats its teacher's sampler, errors included.
// - Without a teacher, the same noise at two levels is right on average.
// - Halving needs one formula: the guess that makes one step of DDIM lead where two have led.
//
// To read next: [training](../training.md) compares all methods of this chapter on three sets in the plane.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 13`. Each exercise is
// judged on its own. The [solutions](./solutions/13-few-steps.md) are on a page of their own.
//
// **1.** Data $\mathcal N(0, 1)$, $\sigma = \sqrt 3$. By which factor does the consistency function multiply $x$?

// %%
const factor: Answer = todo;
await exercise("factor of the jump", factor);

// %% [markdown]
// **2.** How many rounds of halving lead from 256 steps to 2?

// %%
const rounds: Answer = todo;
await exercise("rounds", rounds);

// %% [markdown]
// **3.** *Write a function.* The factor of a perfect student that learned from Euler steps between `n` evenly spaced
// levels from $\sigma = 4$ to 0, for data $\mathcal N(0, \tfrac14)$. What does it multiply $x$ by at $\sigma = 4$?

// %%
type StudentFactor = (n: number) => number;
const studentFactor: Answer<StudentFactor> = todo;
await exercise("factor of a student", studentFactor);

// %% [markdown]
// **4.** *A plot to reproduce.* The consistency function's factor against $\sigma$, for data $\mathcal N(0, \tfrac14)$:
// give points `[sigma, factor]` at $\sigma = 0, 0.5, 1, \dots, 4$.

// %%
const curve: Answer<Points> = todo;
await reproduce("factor against the noise", curve, {
  caption: "Factor of the jump, for data of standard deviation 0.5.",
  x: { label: "σ" },
  y: { label: "factor", domain: [0, 1], grid: true },
});

// %% [markdown]
// **5.** *Find the fault.* This $c_{\text{out}}$ was meant to make any network the identity at $\sigma_{\min}$.

// %%
const outScale = (sigma: number, sigmaMin: number, sigmaData: number) =>
  (sigmaData * sigma) / Math.hypot(sigmaData, sigma);
await repair("scale of the output", outScale);
