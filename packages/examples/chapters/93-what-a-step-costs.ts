// %% [markdown]
// # Appendix C: What a step costs
//
// **A network goes over eight small faces in a fifteenth of a second, and learns from them in a
// quarter. Where does the time go, and what could be faster?**
//
// A clock answers only for one machine on one day. But most of the answer can be counted: how many
// multiplications, how many bytes, how many calls. We count first, and then look at a clock.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { parameterGradients } from "@tfjs-diffusion/core/training";
import { type KernelCost, kernelCosts } from "../bench/kernel-costs.js";
import {
  buildNetwork,
  type Network,
  NETWORKS,
} from "../bench/networks.js";
import {
  check,
  exercise,
  plot,
  predict,
  table,
  todo,
  type Answer,
} from "../src/chapter/index.js";

await useBackend("wasm", { threads: 1 });

/** The network that draws faces, for one picture of a given side. */
const faces = (side: number): Network => ({
  ...NETWORKS.faces,
  batch: 1,
  config: { ...NETWORKS.faces.config, sample_size: side },
});

async function costs(
  network: Network,
  train = false,
): Promise<KernelCost[]> {
  const { model, x, context, predict } = buildNetwork(network);
  const parameters = model.parameters();
  const loss = () => predict().square().mean<tf.Scalar>();
  const pass = train
    ? () => parameterGradients(loss, parameters)
    : predict;
  const counted = await kernelCosts(
    () => tf.tidy(() => void pass()),
    1,
  );
  model.dispose();
  tf.dispose([x, context]);
  return counted;
}

const sum = (
  counted: KernelCost[],
  field: "calls" | "flop" | "bytes",
) => counted.reduce((total, cost) => total + cost[field], 0);

// %% [markdown]
// ## Multiplications
//
// A convolution with a $k\times k$ filter computes, for each of $H\times W$ pixels and each of
// $C_\text{out}$ channels, a sum of $k^2 C_\text{in}$ products. A product and its addition are two
// operations, so
//
// $$ \text{operations} = 2\, H W\, k^2\, C_\text{in}\, C_\text{out} . $$
//
// A linear layer is the same with $k = 1$, and a pixel is then a token. The first convolution of
// the network turns 3 colours into 32 channels: $2 \cdot 16 \cdot 16 \cdot 9 \cdot 3 \cdot 32$,
// less than half a million operations. TensorFlow.js can list every kernel that a pass calls, with
// the shapes it was given. So we can count them all:

// %%
const forward = await costs(faces(16));
const counted = forward
  .filter(({ flop }) => flop > 0)
  .sort((a, b) => b.flop - a.flop);
table(
  counted.map(({ name, calls, flop, bytes }) => ({
    kernel: name,
    calls,
    "million operations": flop / 1e6,
    "share of them": `${((100 * flop) / sum(forward, "flop")).toFixed(0)} %`,
    "MB made": bytes / 2 ** 20,
  })),
  { caption: "One forward pass for one picture", digits: 3 },
);

const firstConvolution = 2 * 16 * 16 * 9 * 3 * 32;
check(
  "operations of the first convolution",
  firstConvolution,
  442_368,
  0,
);
check(
  "million operations of a forward pass",
  sum(forward, "flop") / 1e6,
  NETWORKS.faces.flop / 8 / 1e6,
  0.3, // in the batch of 8, all pictures share one time embedding
);

// %% [markdown]
// Convolutions and linear layers do nearly all of it. Everything else, the normalisations, the
// additions, the softmax, is a handful of operations a number. If only multiplications cost time,
// nobody would have to think about anything but matrix products.
//
// ## Bytes
//
// But a processor core does some ten operations in the time in which one number comes from memory.
// A convolution uses each number that it reads many times: here 9 times for each of up to 96
// channels. A normalisation uses it once or twice. So it is not the arithmetic of a normalisation
// that takes time, it is the reading and writing, and **what counts is how often a feature map is
// gone through**. Group normalisation followed by SiLU, one plain operation after another, goes
// through it ten times: mean, difference, square, mean, product, product, sum, sigmoid, product,
// and their copies. Written as one kernel it reads the map three times and writes it once.
//
// That is why, on WebAssembly, layers here call one kernel for a whole piece of work (`fusedOp` in
// `nn/fused-op.ts`). Each is optional: beside it stands the same as plain TensorFlow.js operations,
// which every other backend runs, and which the tests compare it with. What does it save? The plain
// backend `cpu` has none of them:

// %%
const fused = await costs(faces(8));
await useBackend("cpu");
const plain = await costs(faces(8));
await useBackend("wasm", { threads: 1 });

// %% [markdown]
// *Predict, then run.* Of 100 calls of plain kernels, how many are left with the fused ones? The table
// below tells.

// %%
const prediction: Answer = todo;
predict(
  "calls that are left",
  prediction,
  (100 * sum(fused, "calls")) / sum(plain, "calls"),
  5,
);

// %%
table(
  [
    {
      kernels: "plain",
      calls: sum(plain, "calls"),
      "MB made": sum(plain, "bytes") / 2 ** 20,
    },
    {
      kernels: "fused",
      calls: sum(fused, "calls"),
      "MB made": sum(fused, "bytes") / 2 ** 20,
    },
  ],
  { caption: "The same forward pass, 8 x 8 pixels", digits: 3 },
);
check(
  "calls saved, of 5",
  5 * (1 - sum(fused, "calls") / sum(plain, "calls")),
  4,
  0.2,
);

// %% [markdown]
// Calls matter, too. Each one costs TensorFlow.js some microseconds to look up, allocate and keep
// account, whatever the size of its tensors: for small networks, thousands of calls are a good part
// of the time. (On a graphics card it is the same story, with the launch of a program in the place
// of the call.) So the second time that a network computes on tensors of the same shapes, its calls
// are written down, and from then on made one after the other without the accounts; not here, where
// each call is looked at.
//
// ## Attention grows differently
//
// Attention compares every pixel with every other. Twice the side means four times the pixels, so
// four times the convolutions, but sixteen times the scores. Per level, with $N$ pixels, $L$ words
// and $C$ channels,
//
// $$ \text{operations} = 4 N C\, (N + L) , $$
//
// for the products of queries with keys and of shares with values. There are $N^2$ scores for each
// head, and where they are all kept, they soon are the largest tensor of the network; the gradient
// then needs them again. The fused kernel never holds more of them than fit into a core's cache: it
// takes a few queries at a time against all keys, and its gradient computes the scores anew.

// %%
const attentionOf = (cost: KernelCost[]) =>
  sum(
    cost.filter(({ name }) => name.endsWith(".Attention")),
    "flop",
  );
/** Levels with attention: pixels for a side of 16, channels, and how many layers. */
const levels = [
  { pixels: 8 * 8, channels: 64, layers: 5 },
  { pixels: 4 * 4, channels: 96, layers: 6 },
];
const byFormula = (side: number) =>
  levels.reduce((total, { pixels, channels, layers }) => {
    const n = pixels * (side / 16) ** 2;
    return total + layers * 4 * n * channels * (n + 16);
  }, 0);
check(
  "operations of attention",
  attentionOf(forward),
  byFormula(16),
  0,
);

const rest = sum(forward, "flop") - attentionOf(forward);
const sides = [16, 32, 64, 128, 256];
const growth = sides.flatMap((side) => [
  {
    side,
    part: "convolutions, linear layers",
    flop: rest * (side / 16) ** 2,
  },
  { side, part: "attention", flop: byFormula(side) },
]);
plot({
  caption: "Operations of one forward pass, by the side of the picture",
  marginRight: 160,
  marginLeft: 50,
  x: {
    type: "log",
    base: 2,
    ticks: sides,
    tickFormat: "d",
    label: "side, pixels",
  },
  y: { type: "log", label: "operations", tickFormat: "~s", grid: true },
  marks: [
    Plot.line(growth, { x: "side", y: "flop", stroke: "part" }),
    Plot.dot(growth, { x: "side", y: "flop", fill: "part" }),
    Plot.text(
      growth,
      Plot.selectLast({
        x: "side",
        y: "flop",
        z: "part",
        text: "part",
        textAnchor: "start",
        dx: 8,
      }),
    ),
  ],
});

// %% [markdown]
// ## Training
//
// The gradient of a product $y = x W$ is two products of the same size: $\partial x = \partial y\, W^\top$ and
// $\partial W = x^\top \partial y$. So a training step should take three times the operations of a forward pass:

// %%
const training = await costs(faces(16), true);
const linear = /Conv2D|Affine/;
const flopOf = (cost: KernelCost[]) =>
  sum(
    cost.filter(({ name }) => linear.test(name)),
    "flop",
  );
check(
  "training over forward",
  flopOf(training) / flopOf(forward),
  3,
  1e-9,
);

// %% [markdown]
// ...and then the optimiser, which reads four numbers for each parameter (itself, its gradient, two
// moments) and writes three, and the moving average, which reads two and writes one. No arithmetic
// to speak of: bytes again.
//
// ## And the clock?
//
// `npm start -- profile` adds the times on your machine, by kernel and by layer. This is what it
// said on 2026-11-23 of the network above, batch 8, on one thread of an AMD EPYC whose other work
// never stopped (each call's time is its best of several):
//
// ```text
// kernel                 calls     ms   share  GFLOP/s  MB out
// diffusion.Conv2D          40  32.73  49.6 %     49.2      5.5
// diffusion.Affine         162  19.21  29.1 %     41.8     17.7
// diffusion.Geglu           11   2.60   3.9 %               3.6
// diffusion.GroupNorm       46   4.19   6.3 %               7.0
// diffusion.Attention       22   3.49   5.3 %     17.7      2.0
// Add                       78   1.66   2.5 %               8.0
// Concat                    10   1.29   2.0 %               2.8
// diffusion.LayerNorm       33   0.77   1.2 %               2.8
// ```
//
// Read it from the right. Convolutions and linear layers run at 40 to 50 GFLOP/s; a plain product
// of large matrices reaches about as much on that thread, so there is little left to gain but by
// doing less. Attention is slower because it is not only products: for each score there is an
// exponential, some twenty operations that the column does not count. All that only goes through
// feature maps, the normalisations, additions and copies, is a sixth of the time, for next to none
// of the arithmetic. What is missing from the table, the time between the kernels, is the
// difference to the clock around the whole pass: a few per cent.
//
// Before the fused kernels the same pass took half as long again, in 2,462 calls instead of 500.
// The multiplications were the same.
//
// How it compares with ONNX Runtime, and how time and memory grow with batch, resolution and channels, is in
// [Benchmarks](/benchmarks).
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 93`. Each exercise is
// judged on its own.
//
// **1.** How many operations does a $3\times3$ convolution from 64 to 96 channels take on a picture
// of $8 \times 8$ pixels?

// %%
const operations: Answer = todo;
await exercise("operations of the convolution", operations);

// %% [markdown]
// **2.** From which side on, among the powers of two, does attention take more operations than all the rest?

// %%
const side: Answer = todo;
await exercise("side where attention takes over", side);

// %% [markdown]
// **3.** The network's parameters are trained with AdamW and averaged. How many bytes does that
// read and write for each parameter, if each is a float32 and each update goes through memory once?

// %%
const bytesPerParameter: Answer = todo;
await exercise("bytes for each parameter", bytesPerParameter);

// %% [markdown]
// **4.** *Write a function.* The operations of a convolution on a square picture, with a filter of `k`
// by `k` pixels that moves by `stride` pixels: `(side, k, from, to, stride) => …`.

// %%
type Cost = (
  side: number,
  k: number,
  from: number,
  to: number,
  stride: number,
) => number;
const costOfLayer: Answer<Cost> = todo;
await exercise("cost of a layer", costOfLayer);
