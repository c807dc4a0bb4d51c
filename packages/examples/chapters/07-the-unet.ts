// %% [markdown]
// # The UNet
//
// **A denoiser must copy every pixel's detail, and it must know the whole picture. How does one network do both?**
//
// One pixel of a noisy eye says nothing. The network has to look around: first near by, then at the whole face. But
// what it finds it must put back into the right pixel. The answer is as old as 2015 and still draws most pictures: go
// down to a small picture, come up again, and lay bridges across
// ([Ronneberger et al. 2015](https://arxiv.org/abs/1505.04597)). We build it layer by layer and count what it costs.
// Our weights are the library's, so both must give the same numbers. Then we take parts away and measure what is lost.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { UNet2DModel } from "@tfjs-diffusion/core/models";
import {
  activation,
  Conv2d,
  GroupNorm,
  Linear,
  namedParameters,
  nearestResize,
  timestepSinusoid,
} from "@tfjs-diffusion/core/nn";
import {
  AdamW,
  parameterGradients,
  warmupCosine,
} from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { kernelCosts } from "../bench/kernel-costs.js";
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
const noise = keyedNoise(2032);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const largest = (x: tf.Tensor) =>
  tf.tidy(() => x.abs().max().dataSync()[0]!);

// %% folded
const BLUE = "#4269d0";
const ORANGE = "#d97706";
const GREEN = "#2f9e58";
{
  const boxes = [
    { x: 0, y: 3, size: 3, text: "noisy" },
    { x: 1, y: 3, size: 3, text: "" },
    { x: 2, y: 2, size: 2, text: "" },
    { x: 3, y: 1, size: 1, text: "whole picture" },
    { x: 4, y: 2, size: 2, text: "" },
    { x: 5, y: 3, size: 3, text: "" },
    { x: 6, y: 3, size: 3, text: "guess" },
  ];
  const half = (size: number) => 0.1 + 0.09 * size;
  const ways = boxes.slice(1).map((to, i) => {
    const from = boxes[i]!;
    return {
      x1: from.x + 0.32,
      y1: from.y + (to.y < from.y ? -0.35 : 0),
      x2: to.x - 0.34,
      y2: to.y + (to.y > from.y ? -0.3 : 0),
    };
  });
  const bridges = [
    { x1: 1, x2: 5, y: 3 },
    { x1: 2, x2: 4, y: 2 },
  ];
  plot({
    caption:
      "A UNet. Down: smaller pictures with more channels. Up: back again. Green: bridges that carry the detail across.",
    height: 300,
    axis: null,
    x: { domain: [-0.5, 6.5] },
    y: { domain: [0.3, 4.2] },
    marks: [
      Plot.arrow(bridges, {
        x1: ({ x1 }: { x1: number }) => x1 + 0.15,
        x2: ({ x2 }: { x2: number }) => x2 - 0.15,
        y1: ({ y }: { y: number }) => y + 0.42,
        y2: ({ y }: { y: number }) => y + 0.42,
        stroke: GREEN,
        strokeWidth: 2.5,
        bend: 18,
        headLength: 7,
      }),
      Plot.arrow(ways, {
        x1: "x1",
        y1: "y1",
        x2: "x2",
        y2: "y2",
        stroke: "currentColor",
        headLength: 6,
      }),
      Plot.rect(boxes, {
        x1: ({ x, size }: { x: number; size: number }) =>
          x - half(size) / 1.6,
        x2: ({ x, size }: { x: number; size: number }) =>
          x + half(size) / 1.6,
        y1: ({ y, size }: { y: number; size: number }) =>
          y - half(size),
        y2: ({ y, size }: { y: number; size: number }) =>
          y + half(size),
        fill: BLUE,
        fillOpacity: 0.25,
        stroke: BLUE,
        strokeWidth: 2,
      }),
      Plot.text(boxes, {
        x: "x",
        y: ({ y }: { y: number }) => y - 0.6,
        text: "text",
        fill: "currentColor",
        fontSize: 13,
      }),
    ],
  });
}

// %% [markdown]
// ## A convolution
//
// A **convolution** reads a window of $3 \times 3$ pixels around each pixel, with all its channels. Each output channel
// is a weighted sum of these numbers. The weights are the same everywhere:
//
// $$ y_{i,j,c} = b_c + \sum_{u,v=-1}^{1} \sum_{d} W_{u,v,d,c}\; x_{i+u,\,j+v,\,d} . $$
//
// So it has $9\,C_\text{in}\,C_\text{out} + C_\text{out}$ weights, whatever the size of the picture. It takes
// $2 \cdot 9\,C_\text{in}\,C_\text{out}$ operations a pixel, because each weight is multiplied and added once. Here is
// one output pixel in plain loops.

// %%
/** A layer with weights, drawn as PyTorch would draw them. */
function initialized<Layer extends object>(layer: Layer, name: string) {
  for (const [key, parameter] of namedParameters(layer))
    tf.tidy(() =>
      parameter.assign(
        parameter.initializer(parameter.shape, noise.at(name, key)),
      ),
    );
  return layer;
}
const convolution = initialized(new Conv2d(3, 5), "convolution");
const picture = noise.at("picture").normal([1, 6, 6, 3]) as tf.Tensor4D;
const pixels = picture.arraySync()[0]!;
const kernel = (convolution.weight.value as tf.Tensor4D).arraySync();
const [row, column, channel] = [2, 3, 4];
let byHand = convolution.bias!.value.dataSync()[channel]!;
for (let u = 0; u < 3; u++)
  for (let v = 0; v < 3; v++)
    for (let d = 0; d < 3; d++)
      byHand +=
        kernel[u]![v]![d]![channel]! *
        pixels[row + u - 1]![column + v - 1]![d]!;
check(
  "one pixel of a convolution, by hand",
  convolution.forward(picture).arraySync()[0]![row]![column]![channel]!,
  byHand,
  1e-6, // single precision, 27 products
);

// %% [markdown]
// ## How far does it see?
//
// One convolution sees one pixel in each direction. A second one on top sees two: its neighbours have seen their
// neighbours. After $n$ of them, an output pixel depends on a window of $2n + 1$. On a picture of half the size, one
// pixel stands for two, so a convolution there sees twice as far. That is why a UNet goes down.
//
// The rule for any stack: take the window of an output pixel, and follow it backwards. A convolution widens
// $[a, b]$ to $[a - 1, b + 1]$. One with stride 2 reads $[2a - 1, 2b + 1]$. Doubling the size, where each pixel
// is repeated, reads $[\lfloor a/2 \rfloor, \lfloor b/2 \rfloor]$.
//
// And this can be *measured*. The gradient of one output pixel by the input is zero exactly where the output does not
// look. We use one channel, equal weights everywhere, and 96 pixels to look at.

// %%
type Layer = "conv" | "down" | "up";
/** The first and the last input pixel that an output pixel reads. */
function windowOf(layers: readonly Layer[], pixel: number) {
  let [a, b] = [pixel, pixel];
  for (const layer of [...layers].reverse()) {
    if (layer === "conv") [a, b] = [a - 1, b + 1];
    if (layer === "down") [a, b] = [2 * a - 1, 2 * b + 1];
    if (layer === "up") [a, b] = [Math.floor(a / 2), Math.floor(b / 2)];
  }
  return [a, b] as const;
}

const blur = (stride: number) => {
  const layer = new Conv2d(1, 1, { stride, bias: false });
  layer.weight.assign(tf.ones([3, 3, 1, 1]));
  return layer;
};
const LAYERS = { conv: blur(1), down: blur(2) };
/** The gradient of one output pixel by the 96 pixels of its row. */
const influence = (layers: readonly Layer[], pixel: number) =>
  tf.tidy(() => {
    const output = (x: tf.Tensor) => {
      let h = x as tf.Tensor4D;
      for (const layer of layers)
        h =
          layer === "up" ? nearestResize(h) : LAYERS[layer].forward(h);
      const { shape } = h;
      return h
        .slice([0, shape[1] / 2, pixel, 0], [1, 1, 1, 1])
        .asScalar();
    };
    const gradient = tf.grad(output)(tf.zeros([1, 96, 96, 1]));
    return Array.from(gradient.sum([0, 1, 3]).dataSync());
  });

const repeat = (count: number, ...layers: Layer[]) =>
  Array.from({ length: count }, () => layers).flat();
const STACKS = {
  "12 convolutions": repeat(12, "conv"),
  "one level down": [
    ...repeat(3, "conv"),
    "down",
    ...repeat(5, "conv"),
    "up",
    ...repeat(3, "conv"),
  ],
  "two levels down": [
    ...repeat(2, "conv", "conv", "down"),
    ...repeat(2, "conv"),
    ...repeat(2, "up", "conv", "conv"),
  ],
} satisfies Record<string, Layer[]>;
const fields = Object.entries(STACKS).map(([name, layers]) => {
  const line = influence(layers, 48);
  const seen = line.flatMap((value, i) => (value === 0 ? [] : [i]));
  const [first, last] = windowOf(layers, 48);
  check(`${name}: first pixel seen`, seen[0]!, first, 0);
  check(`${name}: last pixel seen`, seen.at(-1)!, last, 0);
  return { name, layers: layers.length, seen: seen.length, line };
});

// %% [markdown]
// All three have 12 to 14 layers, and the last one sees the most. But *how much* does a pixel count? In a stack of
// blurs, the weights of $n$ windows are added up like $n$ random steps. Each step is $-1$, 0 or 1, with the variance
// $2/3$. So after $n$ convolutions the influence is a bell with the deviation $\sqrt{2n/3}$. That is much narrower
// than the window ([Luo et al. 2016](https://arxiv.org/abs/1701.04128), section 2).

// %%
const widthOf = (line: readonly number[]) => {
  const total = sum(line);
  const middle = sum(line.map((value, i) => (value * i) / total));
  return Math.sqrt(
    sum(line.map((value, i) => (value * (i - middle) ** 2) / total)),
  );
};
table(
  fields.map(({ name, layers, seen, line }) => ({
    stack: name,
    layers,
    seen,
    width: widthOf(line),
  })),
  {
    caption:
      "Pixels that one output pixel sees, and the width of its bell",
    digits: 3,
  },
);
check("window of 12 convolutions", fields[0]!.seen, 2 * 12 + 1, 0);
check(
  "width of the bell after 12 convolutions",
  widthOf(fields[0]!.line),
  Math.sqrt((2 * 12) / 3),
  1e-5,
);

// %% folded
plot({
  caption:
    "How much one output pixel (at 48) depends on the pixels of its row, in three stacks.",
  height: 300,
  x: { label: "pixel", domain: [16, 80], ticks: [20, 40, 60] },
  y: { label: "influence", grid: true, ticks: 5 },
  marks: [
    ...fields.map(({ line }, k) =>
      Plot.line(
        line.map((value, i) => [i, value / sum(line)]),
        {
          stroke: [BLUE, ORANGE, GREEN][k]!,
          strokeWidth: 2,
          clip: true,
        },
      ),
    ),
    Plot.text(
      fields.map(({ name }, k) => ({ name, k })),
      {
        x: 79,
        y: ({ k }: { k: number }) => 0.13 - 0.013 * k,
        text: "name",
        textAnchor: "end",
        fill: ({ k }: { k: number }) => [BLUE, ORANGE, GREEN][k]!,
        fontSize: 13,
      },
    ),
  ],
});

// %% [markdown]
// ## Three small parts
//
// **Group normalisation** ([Wu and He 2018](https://arxiv.org/abs/1803.08494), eq. 1) keeps numbers at a good size. It
// splits the channels of one picture into groups, and shifts and scales each group to mean 0 and variance 1. Then each
// channel gets a learned factor and shift. In plain numbers, for 6 channels in 2 groups:

// %%
const norm = initialized(new GroupNorm(2, 6), "norm");
const features = noise.at("features").normal([1, 2, 2, 6]).add(3);
const group = features.slice([0, 0, 0, 3], [1, 2, 2, 3]).dataSync();
const groupMean = mean(Array.from(group));
const groupVariance = mean(
  Array.from(group, (value) => (value - groupMean) ** 2),
);
// The first number of the second group is that of channel 3.
check(
  "group normalisation, by hand",
  norm.forward(features).dataSync()[3]!,
  (group[0]! - groupMean) / Math.sqrt(groupVariance + 1e-5),
  1e-5,
);

// %% [markdown]
// **Time.** The network must know how much noise there is. A single number is a weak input, so it becomes many waves,
// fast and slow, as the hands of a clock ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762), section 3.5):
//
// $$ \begin{aligned}
//    &\bigl(\cos \omega_k t,\ \sin \omega_k t\bigr), \quad k = 0, \dots, K - 1, \\
//    &\omega_k = 10000^{-k/K} .
//    \end{aligned} $$

// %%
const waves = (t: number, width: number) => {
  const angles = Array.from(
    { length: width / 2 },
    (_, k) => t * 10_000 ** (-k / (width / 2)),
  );
  return [...angles.map(Math.cos), ...angles.map(Math.sin)];
};
check(
  "waves of t = 321, against the library's, largest difference",
  largest(timestepSinusoid(tf.tensor1d([321]), 16).sub(waves(321, 16))),
  0,
  2e-5, // single precision of an angle of 321
);

// %% folded
plot({
  caption:
    "Four of the waves that tell the time. Fast ones tell near times apart, slow ones far times.",
  height: 260,
  x: { label: "t", domain: [0, 1000], ticks: 5 },
  y: { label: "sin ω t", grid: true, ticks: 3, inset: 5 },
  marks: [3, 4, 5, 6].map((k) =>
    Plot.line(
      Array.from({ length: 501 }, (_, i) => [
        2 * i,
        waves(2 * i, 16)[8 + k]!,
      ]),
      {
        stroke: [BLUE, ORANGE, GREEN, "#8b5cf6"][k - 3]!,
        strokeWidth: 1.5,
      },
    ),
  ),
});

// %% [markdown]
// **Attention** lets each pixel read all others at once
// ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762), eq. 1). Each pixel asks with a query $q$, and offers a key
// $k$ and a value $v$. All three are linear maps of its channels. A pixel takes the mean of all values, weighted by how
// well their keys fit its query:
//
// $$ \operatorname{softmax}\!\bigl( q\,k^{\mathsf T} / \sqrt{C} \bigr)\, v . $$
//
// It costs $N^2$ for $N$ pixels. So UNets use it on the small pictures only.
//
// ## The blocks
//
// Now put them together. The names of the fields are those of published checkpoints, `resnets`, `conv1`, `to_q` and so
// on. We need them soon. A **residual block** computes a *change* and adds it to its input
// ([He et al. 2015](https://arxiv.org/abs/1512.03385)). So a block that knows nothing yet does no harm, and gradients
// pass it unchanged. The time is added to every pixel in its middle.

// %%
const silu = activation("silu");
const GROUPS = 4;

class Block {
  readonly norm1: GroupNorm;
  readonly conv1: Conv2d;
  readonly time_emb_proj?: Linear;
  readonly norm2: GroupNorm;
  readonly conv2: Conv2d;
  readonly conv_shortcut?: Conv2d;

  constructor(from: number, to: number, timeWidth: number) {
    this.norm1 = new GroupNorm(GROUPS, from);
    this.conv1 = new Conv2d(from, to);
    if (timeWidth > 0) this.time_emb_proj = new Linear(timeWidth, to);
    this.norm2 = new GroupNorm(GROUPS, to);
    this.conv2 = new Conv2d(to, to);
    if (from !== to)
      this.conv_shortcut = new Conv2d(from, to, { kernel: 1 });
  }

  forward(x: tf.Tensor4D, time?: tf.Tensor2D): tf.Tensor4D {
    let h = this.conv1.forward(silu(this.norm1.forward(x)));
    if (time && this.time_emb_proj) {
      const shift = this.time_emb_proj.forward(time);
      h = h.add(shift.expandDims(1).expandDims(1));
    }
    h = this.conv2.forward(silu(this.norm2.forward(h)));
    return (this.conv_shortcut?.forward(x) ?? x).add(h);
  }
}

class SelfAttention {
  readonly group_norm: GroupNorm;
  readonly to_q: Linear;
  readonly to_k: Linear;
  readonly to_v: Linear;
  readonly to_out: [Linear];

  constructor(readonly channels: number) {
    const linear = () => new Linear(channels, channels);
    this.group_norm = new GroupNorm(GROUPS, channels);
    [this.to_q, this.to_k, this.to_v] = [linear(), linear(), linear()];
    this.to_out = [linear()];
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const [B, H, W, C] = x.shape;
    const tokens = this.group_norm
      .forward(x)
      .reshape<tf.Tensor3D>([B, H * W, C]);
    const scores = tf
      .matMul(
        this.to_q.forward(tokens),
        this.to_k.forward(tokens),
        false,
        true,
      )
      .div(Math.sqrt(C));
    const mixed = tf.matMul(
      scores.softmax(),
      this.to_v.forward(tokens),
    );
    const out = this.to_out[0].forward(mixed as tf.Tensor3D);
    return x.add(out.reshape(x.shape));
  }
}

// %% [markdown]
// ## The network
//
// One level down is a block, then a convolution with stride 2 that halves the picture. One level up is two blocks,
// then a doubling and a convolution. Everything that was made on the way down is put on a stack. The blocks of the way
// up take it from there and *concatenate* it with their input: these are the bridges, or **skips**. At the bottom
// there is attention.

// %%
class Resample {
  constructor(readonly conv: Conv2d) {}
}
class Stage {
  readonly resnets: Block[];
  readonly attentions?: SelfAttention[];
  downsamplers?: [Resample];
  upsamplers?: [Resample];

  constructor(
    sizes: readonly (readonly [from: number, to: number])[],
    timeWidth: number,
    attentions: number,
  ) {
    this.resnets = sizes.map(
      ([from, to]) => new Block(from, to, timeWidth),
    );
    if (attentions > 0)
      this.attentions = Array.from(
        { length: attentions },
        () => new SelfAttention(sizes[0]![1]),
      );
  }
}
class TimeEmbedding {
  readonly linear_1: Linear;
  readonly linear_2: Linear;
  constructor(from: number, to: number) {
    this.linear_1 = new Linear(from, to);
    this.linear_2 = new Linear(to, to);
  }
}
type Parts = {
  readonly channels: readonly number[];
  readonly time?: boolean;
  readonly skips?: boolean;
  readonly attention?: boolean;
};

class UNet {
  readonly conv_in: Conv2d;
  readonly time_embedding: TimeEmbedding;
  readonly down_blocks: Stage[];
  readonly mid_block: Stage;
  readonly up_blocks: Stage[];
  readonly conv_norm_out: GroupNorm;
  readonly conv_out: Conv2d;
  readonly #parts: Required<Parts>;

  constructor(parts: Parts) {
    this.#parts = {
      time: true,
      skips: true,
      attention: true,
      ...parts,
    };
    const { channels, time, skips, attention } = this.#parts;
    const [first, last] = [channels[0]!, channels.at(-1)!];
    const bottom = channels.length - 1;
    const timeWidth = time ? 4 * first : 0;
    const attentionAt = (level: number, count: number) =>
      attention && level === bottom ? count : 0;
    const skip = (size: number) => (skips ? size : 0);

    this.conv_in = new Conv2d(2, first);
    this.time_embedding = new TimeEmbedding(first, 4 * first);
    this.down_blocks = channels.map((to, level) => {
      const from = channels[level - 1] ?? first;
      const stage = new Stage(
        [[from, to]],
        timeWidth,
        attentionAt(level, 1),
      );
      if (level < bottom)
        stage.downsamplers = [
          new Resample(new Conv2d(to, to, { stride: 2 })),
        ];
      return stage;
    });
    this.mid_block = new Stage(
      [
        [last, last],
        [last, last],
      ],
      timeWidth,
      attentionAt(bottom, 1),
    );
    this.up_blocks = [...channels].reverse().map((to, i) => {
      const level = bottom - i;
      const from = channels[level + 1] ?? last;
      const stage = new Stage(
        [
          [from + skip(to), to],
          [to + skip(channels[level - 1] ?? first), to],
        ],
        timeWidth,
        attentionAt(level, 2),
      );
      if (level > 0)
        stage.upsamplers = [new Resample(new Conv2d(to, to))];
      return stage;
    });
    this.conv_norm_out = new GroupNorm(GROUPS, first);
    this.conv_out = new Conv2d(first, 2);
  }

  /** Pictures [B, H, W, 2] and times [B] -> guesses, the same shape. */
  forward(x: tf.Tensor4D, times: readonly number[]): tf.Tensor4D {
    return tf.tidy(() => {
      const time = this.#timeOf(times);
      const kept = [this.conv_in.forward(x)];
      for (const { resnets, attentions, downsamplers } of this
        .down_blocks) {
        const h = resnets[0]!.forward(kept.at(-1)!, time);
        kept.push(attentions?.[0]!.forward(h) ?? h);
        if (downsamplers)
          kept.push(downsamplers[0].conv.forward(kept.at(-1)!));
      }
      const { resnets, attentions } = this.mid_block;
      let h = resnets[0]!.forward(kept.at(-1)!, time);
      h = attentions?.[0]!.forward(h) ?? h;
      h = resnets[1]!.forward(h, time);
      for (const { resnets, attentions, upsamplers } of this
        .up_blocks) {
        for (const [i, block] of resnets.entries()) {
          const skip = kept.pop()!;
          h = this.#parts.skips ? tf.concat([h, skip], 3) : h;
          h = block.forward(h, time);
          h = attentions?.[i]!.forward(h) ?? h;
        }
        if (upsamplers)
          h = upsamplers[0].conv.forward(nearestResize(h));
      }
      return this.conv_out.forward(silu(this.conv_norm_out.forward(h)));
    });
  }

  /** The time as a vector for all blocks: waves, then two layers. */
  #timeOf(times: readonly number[]): tf.Tensor2D {
    const { linear_1, linear_2 } = this.time_embedding;
    const width = this.#parts.channels[0]!;
    const all = tf.tensor2d(times.map((t) => waves(t, width)));
    return silu(linear_2.forward(silu(linear_1.forward(all))));
  }
}

// %% [markdown]
// Is it a real UNet? The library has `UNet2DModel`, the denoiser of DDPM
// ([Ho et al. 2020](https://arxiv.org/abs/2006.11239), appendix B), which reads published checkpoints. We make one of
// the same sizes, with random weights. Our fields have the same names, so each weight finds its place. Then both must
// give the same numbers.

// %%
const probe = noise.at("probe").normal([2, 4, 32, 2]) as tf.Tensor4D;
/** The library's network and ours with these channels, same weights. */
function twins(channels: readonly number[]) {
  const theirs = new UNet2DModel({
    in_channels: 2,
    out_channels: 2,
    block_out_channels: [...channels],
    layers_per_block: 1,
    down_block_types: channels.map((_, level) =>
      level + 1 === channels.length ? "AttnDownBlock2D" : "DownBlock2D",
    ),
    up_block_types: channels.map((_, i) =>
      i === 0 ? "AttnUpBlock2D" : "UpBlock2D",
    ),
    norm_num_groups: GROUPS,
    attention_head_dim: null,
  });
  theirs.initialize(noise.at("theirs"));
  const ours = new UNet({ channels });
  const weights = new Map(namedParameters(ours));
  for (const [name, parameter] of theirs.namedParameters())
    weights.get(name)!.assign(parameter.value);
  check(
    `tensors of weights, ours and theirs, ${channels.length} levels`,
    weights.size,
    theirs.namedParameters().size,
    0,
  );
  check(
    `our UNet of ${channels.length} levels against the library's`,
    tf.tidy(() =>
      largest(
        ours
          .forward(probe, [10, 700])
          .sub(theirs.forward(probe, tf.tensor1d([10, 700]))),
      ),
    ),
    0,
    1e-5, // single precision through 40 layers
  );
  return { theirs, weights };
}
twins([8, 12, 16]);
const { theirs, weights } = twins([8, 16]);

// %% [markdown]
// ## What it costs
//
// Now count, with pencil and paper. A convolution has $k^2 C_\text{in} C_\text{out} + C_\text{out}$ weights. It takes
// $2 k^2 C_\text{in} C_\text{out}$ operations for each of its output pixels. A linear layer is the same with $k = 1$.
// Normalisations have two weights a channel and hardly any operations. Attention has four linear layers. Its two
// products over $N$ pixels take $4 N^2 C$ operations.

// %%
type Cost = { weights: number; operations: number };
const total = (costs: readonly Cost[]): Cost => ({
  weights: sum(costs.map(({ weights }) => weights)),
  operations: sum(costs.map(({ operations }) => operations)),
});
const conv = (
  pixels: number,
  from: number,
  to: number,
  k = 3,
): Cost => ({
  weights: k ** 2 * from * to + to,
  operations: 2 * pixels * k ** 2 * from * to,
});
const linear = (from: number, to: number, tokens = 1) =>
  conv(tokens, from, to, 1);
const normOf = (channels: number): Cost => ({
  weights: 2 * channels,
  operations: 0,
});
const block = (
  pixels: number,
  from: number,
  to: number,
  time: number,
) =>
  total([
    normOf(from),
    conv(pixels, from, to),
    linear(time, to),
    normOf(to),
    conv(pixels, to, to),
    ...(from === to ? [] : [conv(pixels, from, to, 1)]),
  ]);
const attention = (pixels: number, channels: number) =>
  total([
    normOf(channels),
    total(Array(4).fill(linear(channels, channels, pixels))),
    { weights: 0, operations: 4 * pixels ** 2 * channels },
  ]);

/** The whole UNet with two levels, a (fine) and b (coarse) channels. */
function unetCost(pixels: number, a: number, b: number): Cost {
  const [few, time] = [pixels / 4, 4 * a];
  return total([
    conv(pixels, 2, a),
    linear(a, time),
    linear(time, time),
    // down
    block(pixels, a, a, time),
    conv(few, a, a),
    block(few, a, b, time),
    attention(few, b),
    // the bottom
    block(few, b, b, time),
    attention(few, b),
    block(few, b, b, time),
    // up
    block(few, b + b, b, time),
    attention(few, b),
    block(few, b + a, b, time),
    attention(few, b),
    conv(pixels, b, b),
    block(pixels, b + a, a, time),
    block(pixels, a + a, a, time),
    normOf(a),
    conv(pixels, a, 2),
  ]);
}
const counted = unetCost(4 * 32, 8, 16);
check(
  "weights of our UNet, by hand",
  counted.weights,
  sum([...weights.values()].map(({ variable }) => variable.size)),
  0,
);
const one = probe.slice([0, 0, 0, 0], [1, 4, 32, 2]);
const profile = await kernelCosts(
  () => tf.tidy(() => void theirs.forward(one, 10)),
  1,
);
check(
  "operations by hand, against the profile of the library's",
  counted.operations,
  sum(profile.map(({ flop }) => flop)),
  0,
);

// %% [markdown]
// With this formula we can ask what the levels cost. A picture with twice the side has four times the pixels. So all
// convolutions take four times the operations, and attention sixteen times.

// %%
const side = (pixels: number) => unetCost(pixels ** 2, 8, 16);
const coarse = (pixels: number) =>
  attention((pixels / 2) ** 2, 16).operations * 4;
table(
  [16, 32, 64, 128].map((pixels) => ({
    side: pixels,
    "million operations": side(pixels).operations / 1e6,
    "attention, %": (100 * coarse(pixels)) / side(pixels).operations,
  })),
  { caption: "Our UNet on larger pictures", digits: 3 },
);
// From 64 to 128: nearly all of it is the product over pixels by now.
check(
  "twice the side: the attention, over 16",
  coarse(1024) / coarse(512) / 16,
  1,
  1e-3,
);

// %% [markdown]
// ## Take parts away
//
// What is each part good for? We need a task of which we know the best answer. The pictures have 2 rows of 64 pixels
// and two channels. In the first channel, each row is all $-1$ or all $+1$, at random: to see it through noise, one
// must look far. In the second, *each pixel* is $-1$ or $+1$ on its own: that is detail, and looking around is no help.
//
// We see both with noise, $x = x_0 + \sigma\varepsilon$. A denoiser that looks at $n$ pixels of equal value can use
// their sum. By [chapter 2](./02-the-best-denoiser.md) its best guess is
//
// $$ D = \tanh\Bigl( \frac{1}{\sigma^2} \sum_{i=1}^n x_i \Bigr) . $$
//
// If the value is $+1$, the argument $u$ is Gaussian with the mean *and* the variance $m = n/\sigma^2$. So the smallest
// possible error of anyone who sees $n$ pixels is an integral:
//
// $$ F(n, \sigma) = \int (1 - \tanh u)^2\; \mathcal N(u;\, m,\, m)\; du . $$
//
// Turn this around. From a network's error we learn how many pixels it *uses*: the $n$ whose $F(n, \sigma)$ is the
// error.

// %%
/** The smallest possible error with n pixels in view. */
function errorWith(n: number, sigma: number): number {
  const m = n / sigma ** 2;
  const cells = 2000;
  const width = (16 * Math.sqrt(m)) / cells;
  const parts = Array.from({ length: cells }, (_, i) => {
    const off = (i + 0.5 - cells / 2) * width;
    const bell = Math.exp(-(off ** 2) / (2 * m));
    return (1 - Math.tanh(m + off)) ** 2 * bell;
  });
  return (sum(parts) * width) / Math.sqrt(2 * Math.PI * m);
}
/** How many pixels give this error, by halving an interval. */
function pixelsUsed(error: number, sigma: number): number {
  let [low, high] = [0.01, 200];
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (errorWith(middle, sigma) > error) low = middle;
    else high = middle;
  }
  return low;
}

const [ROWS, LENGTH] = [2, 64];
/** Pictures [count, 2, 64, 2]: whole rows, and single pixels. */
const pictures = (count: number, name: string) =>
  tf.tidy(() => {
    const [far, near] = [1, LENGTH].map((length) =>
      noise.at(name, length).normal([count, ROWS, length, 1]).sign(),
    ) as [tf.Tensor4D, tf.Tensor4D];
    return tf.concat([tf.tile(far, [1, 1, LENGTH, 1]), near], 3);
  });
const noisy = (
  x0: tf.Tensor4D,
  sigmas: readonly number[],
  name: string,
) =>
  tf.tidy(() =>
    x0.add<tf.Tensor4D>(
      noise
        .at(name, "ε")
        .normal(x0.shape)
        .mul(tf.tensor4d([...sigmas], [sigmas.length, 1, 1, 1])),
    ),
  );
const PICTURES = 200;
const clean = pictures(PICTURES, "test");
/** Squared errors of the whole rows, and of the single pixels. */
const errorsOf = (guess: tf.Tensor) =>
  tf.tidy(() => clean.sub(guess).square().mean([0, 1, 2]).dataSync());

// 400 rows, and 64 times as many pixels. An error e is between 0
// and 4. So the mean of e² is at most 4 times that of e.
const [FAR, NEAR] = [3.5, 0.7];
const bestOf = (n: number, sigma: number) =>
  tf.tidy(() => {
    const seen = noisy(clean, Array(PICTURES).fill(sigma), "test");
    const window = seen.slice([0, 0, 0, 0], [PICTURES, ROWS, n, 2]);
    return errorsOf(
      window
        .sum(2, true)
        .div(sigma ** 2)
        .tanh(),
    );
  });
check(
  "error of 400 rows, 64 pixels in view",
  bestOf(64, FAR)[0]!,
  errorWith(64, FAR),
  4 * Math.sqrt((4 * errorWith(64, FAR)) / (PICTURES * ROWS)),
);
const single = tf.tidy(() => {
  const seen = noisy(clean, Array(PICTURES).fill(NEAR), "test");
  return errorsOf(seen.div(NEAR ** 2).tanh())[1]!;
});
check(
  "error of 25,600 pixels, each seen alone",
  single,
  errorWith(1, NEAR),
  4 * Math.sqrt((4 * single) / clean.size) * Math.SQRT2,
);
check(
  "pixels used, from the error of 20",
  pixelsUsed(errorWith(20, FAR), FAR),
  20,
  0.01,
);

// %% [markdown]
// Four networks learn both, at noise levels from 0.5 to 4. They answer with the picture. The first is our UNet. The
// next two lack one part each. The last one stays at full size all the way, without attention.

// %%
const VARIANTS: Record<string, Parts> = {
  "the UNet": { channels: [8, 16] },
  "no skips": { channels: [8, 16], skips: false },
  "no time": { channels: [8, 16], time: false },
  "one level": { channels: [12], attention: false },
};
const [STEPS, BATCH] = [80, 8];
const timeOf = (sigma: number) => (1000 * sigma) / (1 + sigma);
/** The network's guess; its input has the variance 1 at each level. */
const guessOf = (
  network: UNet,
  x: tf.Tensor4D,
  sigmas: readonly number[],
) =>
  tf.tidy(() => {
    const sizes = sigmas.map((sigma) => Math.sqrt(1 + sigma ** 2));
    const size = tf.tensor4d(sizes, [sizes.length, 1, 1, 1]);
    return network.forward(x.div(size), sigmas.map(timeOf));
  });

function train(parts: Parts): UNet {
  const network = initialized(new UNet(parts), "start");
  const parameters = new Map(
    [...namedParameters(network)].map(([key, { variable }]) => [
      key,
      variable,
    ]),
  );
  const optimizer = new AdamW(parameters, { weightDecay: 0 });
  const rate = warmupCosine({
    learningRate: 1e-2,
    warmupSteps: 10,
    totalSteps: STEPS,
  });
  for (let step = 1; step <= STEPS; step++)
    tf.tidy(() => {
      const x0 = pictures(BATCH, `step ${step}`);
      const random = noise.at("σ", step).random();
      const sigmas = Array.from(
        { length: BATCH },
        () => 0.5 * 8 ** random.uniform(),
      );
      const x = noisy(x0, sigmas, `step ${step}`);
      const { gradients } = parameterGradients(
        () => guessOf(network, x, sigmas).sub(x0).square().mean(),
        parameters,
      );
      optimizer.step(gradients, rate(step));
    });
  return network;
}

const trained = Object.entries(VARIANTS).map(([name, parts]) => {
  const network = train(parts);
  const errorAt = (sigma: number, channel: number) => {
    const sigmas = Array<number>(PICTURES).fill(sigma);
    const seen = noisy(clean, sigmas, "test");
    return errorsOf(guessOf(network, seen, sigmas))[channel]!;
  };
  const [far, near] = [errorAt(FAR, 0), errorAt(NEAR, 1)];
  const sizes = [...namedParameters(network)].map(
    ([, { variable }]) => variable.size,
  );
  return {
    name,
    weights: sum(sizes),
    used: pixelsUsed(far, FAR),
    excess: near - single,
  };
});
table(
  trained.map(({ name, weights, used, excess }) => ({
    network: name,
    weights,
    "pixels used": used,
    "excess, detail": excess,
  })),
  { caption: "After 80 steps", digits: 3 },
);
const [whole, noSkips, noTime, flat] = trained as [
  (typeof trained)[0],
  (typeof trained)[0],
  (typeof trained)[0],
  (typeof trained)[0],
];
check(
  "without skips, detail is lost: excess, times that of the UNet",
  noSkips.excess / whole.excess,
  3.3,
  0.7,
);
check(
  "without time: excess, times that of the UNet",
  noTime.excess / whole.excess,
  1,
  0.1,
);

// %% [markdown]
// - **Without skips** the detail is lost. All pixels must pass through the small picture at the bottom, and after a
//   short training few of them do. For the same reason the rows suffer, too.
// - **Without time** hardly anything changes. This surprises many. But 256 noisy numbers tell their noise level
//   themselves. ([Sun et al. 2025](https://arxiv.org/abs/2502.13129) find the same for large networks.) Time costs
//   little, so networks keep it.
// - **With one level**, the window has 25 pixels. And yet the network uses more than 25 of 64! Something must carry
//   news across the whole picture, and it is the group normalisation: its mean and variance are those of all pixels.
//
// The last claim is easy to prove: the gradient of one pixel by one at the other end is not zero with normalisation,
// and exactly zero if we leave it out.

// %%
const stack = initialized(new UNet(VARIANTS["one level"]!), "stack");
/** The largest gradient of the first pixel by those 40 and more away. */
const reach = (norms: boolean) =>
  tf.tidy(() => {
    const stages = [...stack.down_blocks, stack.mid_block];
    const blocks = stages.flatMap(({ resnets }) => resnets);
    const output = (x: tf.Tensor) => {
      let h = stack.conv_in.forward(x as tf.Tensor4D);
      for (const { norm1, conv1, norm2, conv2 } of blocks) {
        h = conv1.forward(silu(norms ? norm1.forward(h) : h));
        h = conv2.forward(silu(norms ? norm2.forward(h) : h));
      }
      return h.slice([0, 0, 0, 0], [1, 1, 1, 1]).asScalar();
    };
    const x = noise.at("reach").normal([1, 2, 64, 2]);
    return largest(tf.grad(output)(x).slice([0, 0, 40, 0]));
  });
check(
  "influence from 40 pixels away, without norms",
  reach(false),
  0,
  0,
);
check("with norms it is not zero", Math.sign(reach(true)), 1, 0);
check(
  "pixels that one level uses, at least its window",
  Math.min(flat.used, 25),
  windowOf(repeat(12, "conv"), 12)[1] + 1,
  0,
);

// %% [markdown]
// ## What to take along
//
// - Convolutions see a small window, and use an even smaller bell in it. Each level down doubles the sight.
// - Skips carry detail around the bottom. Without them it has to be squeezed through.
// - Residual blocks add changes. Time is a set of waves, added in each block.
// - Attention sees all, and costs $N^2$: on small pictures only.
// - Normalisation sees all, too: a window does not bound what a network can know.
// - A UNet is a list of names and sizes. With the same weights, our 150 lines and the library's agree.
//
// ## What to read next
//
// - [Ronneberger et al. 2015](https://arxiv.org/abs/1505.04597): the first UNet, for cells under a microscope.
// - [Ho et al. 2020](https://arxiv.org/abs/2006.11239), appendix B: the one that draws.
// - [Dhariwal and Nichol 2021](https://arxiv.org/abs/2105.05233), section 3: which parts matter at large size.
// - [Peebles and Xie 2022](https://arxiv.org/abs/2212.09748): the same job with attention alone.
// - [Appendix C](./93-what-a-step-costs.md): where the time of a step goes.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 7`. Each exercise is
// judged on its own.
//
// **1.** How many weights has a block from 32 to 64 channels, with a time vector of 128 numbers?

// %%
const weightsOfBlock: Answer = todo;
await exercise("weights of a block", weightsOfBlock);

// %% [markdown]
// **2.** *Predict, then run.* Stable Diffusion's UNet goes down three times. Count its convolutions only, without
// attention and norms: two in each block, two blocks on each level down, two at the bottom, three on each level up.
// How many latents does one output see along an axis? (Its picture has 64.)

// %%
const stableDiffusion: Layer[] = [
  "conv",
  ...repeat(3, ...repeat(4, "conv"), "down"),
  ...repeat(4, "conv"),
  ...repeat(4, "conv"),
  ...repeat(3, ...repeat(6, "conv"), "up", "conv"),
  ...repeat(6, "conv"),
  "conv",
];
const [firstSeen, lastSeen] = windowOf(stableDiffusion, 0);
const prediction: Answer = todo;
predict("latents seen", prediction, lastSeen - firstSeen + 1, 40);

// %% [markdown]
// **3.** *Write a function.* The deviation of the bell after any stack of `"conv"` and `"down"` (blurs with equal
// weights), in pixels of the input: `(layers) => …`.

// %%
type BellOf = (layers: readonly ("conv" | "down")[]) => number;
const bellOf: Answer<BellOf> = todo;
await exercise("the bell of a stack", bellOf);

// %% [markdown]
// **4.** *Find the fault.* This counts the operations of a convolution with a stride. For stride 1 it is right.

// %%
const operationsOf = (
  side: number,
  stride: number,
  from: number,
  to: number,
) => (2 * 9 * from * to * side ** 2) / stride;
await repair("operations with a stride", operationsOf);

// %% [markdown]
// **5.** *Reproduce the plot.* The share of attention in the operations of one layer of attention with $C = 16$
// channels: its two products, over these and its four linear layers. Answer with the points `[side, share]` for
// pictures of side 4, 8, 12, …, 64.

// %%
const shareOfProducts: Answer<Points> = todo;
await reproduce("share of the products", shareOfProducts, {
  caption: "The share of the products over pixels in attention.",
  height: 260,
  x: { label: "side", grid: true },
  y: { label: "share", grid: true },
});
