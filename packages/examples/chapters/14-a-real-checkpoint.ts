// %% [markdown]
// # A real checkpoint
//
// **Somebody publishes a file of four gigabytes. What is in it, and how do you know that your program reads it right?**
//
// You have built every part of Stable Diffusion by now. What is left is to open a model that others have trained. A
// program that reads it wrong does not crash: all shapes fit, and the picture is a little worse, or noise. So this
// chapter opens a file byte by byte and reads the network's sizes off the names. It translates the names into those of
// the other layout, and adds a LoRA by hand. It counts the weights of Stable Diffusion, to the last of
// 859,520,964. And it shows how to find the layer where two programs part.

// %% setup
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CLIPTokenizer,
  loadModel,
  StableDiffusionXLPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import { folderToSingleFile } from "@tfjs-diffusion/core/layouts";
import {
  type CLIPTextModelWithProjection,
  type ConditionalDenoiser,
  modelFromConfig,
  UNet2DConditionModel,
} from "@tfjs-diffusion/core/models";
import { openSafetensors } from "@tfjs-diffusion/core/weights";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { kernelCosts } from "../bench/kernel-costs.js";
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
const noise = keyedNoise(2043);
const sum = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0);
const product = (values: readonly number[]) =>
  values.reduce((a, b) => a * b, 1);
const largest = (x: tf.Tensor) =>
  tf.tidy(() => x.abs().max().dataSync()[0]!);
const folder = packagePath("weights", "portraits");
const part = (name: string) => join(folder, name);

// %% folded
const pipeline = await StableDiffusionXLPipeline.fromPretrained(folder);
const SEPIA = packagePath("weights", "portraits-loras", "sepia");
{
  const draw = () =>
    pipeline.generate({
      prompt: [
        "a man with a beard",
        "a woman with a red hat",
        "a smile",
      ],
      numInferenceSteps: 10,
      guidanceScale: 3,
      seed: 4,
    });
  const plain = await draw();
  await pipeline.loras.load(SEPIA);
  const sepia = await draw();
  await image(
    tf.tidy(() =>
      tf
        .concat([plain.images, sepia.images])
        .mul(2)
        .sub<tf.Tensor4D>(1),
    ),
    {
      caption:
        "Two files: a model of 15 megabytes, and a small one beside it that changes its colours.",
      columns: 6,
      scale: 3,
    },
  );
}

// %% [markdown]
// ## Byte by byte
//
// Nearly all weights are published as **safetensors**. The format is as simple as can be. First a number of eight
// bytes, the length of the header. Then the header, as JSON: for each tensor its type, its shape, and where its bytes
// begin and end. Then the bytes. We read the portraits' UNet with nothing but this.

// %% folded
{
  const [BLUE, ORANGE, GREEN] = ["#4269d0", "#d97706", "#2f9e58"];
  const pieces = [
    {
      from: 0,
      to: 1.4,
      name: "8 bytes",
      note: "length",
      color: ORANGE,
    },
    { from: 1.4, to: 3, name: "header", note: "JSON", color: BLUE },
    { from: 3, to: 4.4, name: "tensor", note: "numbers", color: GREEN },
    { from: 4.4, to: 5.5, name: "tensor", note: "", color: GREEN },
    { from: 5.5, to: 7, name: "tensor", note: "", color: GREEN },
  ];
  type Piece = (typeof pieces)[number];
  plot({
    caption:
      "A safetensors file. The header says for each tensor where its bytes are, so that one can be read alone.",
    height: 150,
    axis: null,
    x: { domain: [0, 7] },
    y: { domain: [0, 1.7] },
    marks: [
      Plot.rect(pieces, {
        x1: "from",
        x2: "to",
        y1: 0,
        y2: 1,
        inset: 2,
        stroke: "color",
        strokeWidth: 2,
        fill: "color",
        fillOpacity: 0.15,
      }),
      Plot.arrow([4.9, 6.2], {
        x1: 2,
        y1: 1.05,
        x2: (x: number) => x,
        y2: 1.05,
        bend: 24,
        stroke: "currentColor",
        headLength: 7,
      }),
      ...["name", "note"].map((field, i) =>
        Plot.text(pieces, {
          x: ({ from, to }: Piece) => (from + to) / 2,
          y: 0.62 - 0.28 * i,
          text: field,
          fontSize: 13,
          fill: "currentColor",
        }),
      ),
    ],
  });
}

// %%
const FILE = join("unet", "diffusion_pytorch_model.safetensors");
const bytes = readFileSync(part(FILE));
const headerLength = Number(bytes.readBigUInt64LE(0));
const start = 8 + headerLength;
type Entry = {
  dtype: string;
  shape: number[];
  data_offsets: [begin: number, end: number];
};
const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
  string,
  Entry
>;
const tensors = Object.entries(header).filter(
  ([name]) => name !== "__metadata__",
);
const stored = (name: string) => header[name]!;
show(JSON.stringify({ "conv_in.weight": stored("conv_in.weight") }));
check(
  "bytes: length, header, and all tensors",
  start +
    sum(
      tensors.map(
        ([, { data_offsets }]) => data_offsets[1] - data_offsets[0],
      ),
    ),
  bytes.length,
  0,
);

// %% [markdown]
// The type `F16` is **half precision**: one bit for the sign, five for the exponent $e$, ten for the fraction $f$
// ([IEEE 754](https://doi.org/10.1109/IEEESTD.2019.8766229)):
//
// $$ \begin{aligned}
//    x &= \pm\, 2^{\,e - 15} \Bigl( 1 + \frac{f}{1024} \Bigr), \\
//    x &= \pm\, 2^{-14}\, \frac{f}{1024} \quad \text{if } e = 0 .
//    \end{aligned} $$
//
// So a weight is right to three digits, and no number above 65,504 can be stored.

// %%
function half(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const e = (bits >> 10) % 32;
  const f = (bits % 1024) / 1024;
  return e === 0 ? sign * 2 ** -14 * f : sign * 2 ** (e - 15) * (1 + f);
}
check("the largest half", half(0x7bff), 65504, 0);
check("the smallest half", half(0x0001), 2 ** -24, 0);
/** Reads a tensor's numbers, two bytes each. */
const numbersOf = (name: string) => {
  const { shape, data_offsets } = stored(name);
  const at = start + data_offsets[0];
  return Array.from({ length: product(shape) }, (_, i) =>
    half(bytes.readUInt16LE(at + 2 * i)),
  );
};
const library = await openSafetensors(part(FILE));
const different: number[] = [];
for (const name of ["conv_in.weight", "conv_norm_out.bias"]) {
  const theirs = await library.read(name);
  different.push(...numbersOf(name).filter((x, i) => x !== theirs[i]));
}
check(
  "numbers that the library reads otherwise",
  different.length,
  0,
  0,
);
await library.close();

// %% [markdown]
// ## Reading sizes off the names
//
// The header has a few hundred names such as `down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight`. A
// name is a **path** through the network: block, layer, part. And its shape is that of a layer that you know. Nothing
// else is needed to tell how the network was built. A linear layer is stored as $[\text{out}, \text{in}]$ and a
// convolution as
// $[\text{out}, \text{in}, 3, 3]$. So we play detective, and compare with the config beside the file.

// %%
const names = tensors.map(([name]) => name);
const shapeOf = (name: string) => stored(`${name}.weight`).shape;
/** How many different numbers follow a prefix. */
const count = (prefix: string) =>
  new Set(
    names
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length).split(".")[0]),
  ).size;
const levels = count("down_blocks.");
const guessed = {
  in_channels: shapeOf("conv_in")[1]!,
  out_channels: shapeOf("conv_out")[0]!,
  first_level: shapeOf("down_blocks.0.resnets.0.conv1")[0]!,
  last_level: shapeOf(`down_blocks.${levels - 1}.resnets.0.conv1`)[0]!,
  layers_per_block: count("down_blocks.0.resnets."),
  cross_attention_dim: shapeOf(
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_k",
  )[1]!,
};
const config = JSON.parse(
  readFileSync(part("unet/config.json"), "utf8"),
) as {
  in_channels: number;
  out_channels: number;
  block_out_channels: number[];
  layers_per_block: number;
  cross_attention_dim: number;
};
const said = {
  ...config,
  first_level: config.block_out_channels[0]!,
  last_level: config.block_out_channels.at(-1)!,
};
for (const [name, value] of Object.entries(guessed))
  check(name, value, said[name as keyof typeof guessed], 0);
check("levels", levels, config.block_out_channels.length, 0);

// %% [markdown]
// What the shapes do **not** tell: the number of heads in attention, the epsilon of a normalisation, which activation
// is used, and what the network predicts. Two networks with the same names and shapes can differ in all of these. Keep
// this in mind for the end of the chapter.
//
// ## Two layouts
//
// The same weights are published in two ways. A **folder** has a subfolder for each network, with the names above and a
// config. A **single file** has everything in one, with the names of the program that trained the first latent
// diffusion model. That program keeps one flat list for the way down, and counts on: with $n$ blocks on each level,
// block
// $i$ of level $l$ is number $1 + l\,(n + 1) + i$, because each level ends with a convolution that halves the picture.
// On the way up a level has $n + 1$ blocks, and the doubling belongs to its last one.

// %%
const INSIDE: Readonly<Record<string, string>> = {
  norm1: "in_layers.0",
  conv1: "in_layers.2",
  time_emb_proj: "emb_layers.1",
  norm2: "out_layers.0",
  conv2: "out_layers.3",
  conv_shortcut: "skip_connection",
};
const OUTSIDE: Readonly<Record<string, string>> = {
  conv_in: "input_blocks.0.0",
  "time_embedding.linear_1": "time_embed.0",
  "time_embedding.linear_2": "time_embed.2",
  "add_embedding.linear_1": "label_emb.0.0",
  "add_embedding.linear_2": "label_emb.0.2",
  conv_norm_out: "out.0",
  conv_out: "out.2",
};
/** A UNet's name in a folder → its name in a single file. */
function inOneFile(name: string, n: number): string {
  const layer = name.replace(/\.(weight|bias)$/, "");
  const ending = name.slice(layer.length);
  if (OUTSIDE[layer]) return OUTSIDE[layer] + ending;
  const [stage, ...path] = name.split(".");
  const level = stage === "mid_block" ? 0 : Number(path.shift());
  const [kind, index, ...rest] = path;
  const i = Number(index);
  const inside = [INSIDE[rest[0]!]!, ...rest.slice(1)];
  const tail = (kind === "resnets" ? inside : rest).join(".");
  const side = kind === "resnets" ? 0 : 1;
  if (stage === "mid_block")
    return `middle_block.${kind === "resnets" ? 2 * i : 1}.${tail}`;
  if (kind === "downsamplers")
    return `input_blocks.${(level + 1) * (n + 1)}.0.op${ending}`;
  if (kind === "upsamplers")
    return `output_blocks.${level * (n + 1) + n}.2.conv${ending}`;
  return stage === "down_blocks"
    ? `input_blocks.${1 + level * (n + 1) + i}.${side}.${tail}`
    : `output_blocks.${level * (n + 1) + i}.${side}.${tail}`;
}
const temporary = mkdtempSync(join(tmpdir(), "checkpoint-"));
const oneFile = join(temporary, "portraits.safetensors");
// Such a file has no place for a schedule; we only want its names.
await folderToSingleFile(folder, oneFile, { withoutScheduler: true });
const single = await openSafetensors(oneFile);
const PREFIX = "model.diffusion_model.";
const inSingle = new Set(
  [...single.tensors.keys()].filter((name) => name.startsWith(PREFIX)),
);
const translated = names.map(
  (name) => PREFIX + inOneFile(name, config.layers_per_block),
);
for (const share of [0.1, 0.3, 0.5, 0.7]) {
  const i = Math.floor(share * names.length);
  show(`${names[i]}\n→ ${translated[i]!.slice(PREFIX.length)}`);
}
check("tensors of the UNet in both", inSingle.size, names.length, 0);
check(
  "names that our rule gets wrong",
  translated.filter((name) => !inSingle.has(name)).length,
  0,
  0,
);
check(
  "names that it gives twice",
  new Set(translated).size,
  names.length,
  0,
);
// The same shapes may still be exchanged: compare the numbers.
const exchanged: string[] = [];
for (let i = 0; i < names.length; i += 7) {
  const theirs = await single.read(translated[i]!);
  if (numbersOf(names[i]!).some((x, k) => x !== theirs[k]))
    exchanged.push(names[i]!);
}
check("of every seventh tensor, other numbers", exchanged.length, 0, 0);
// Stable Diffusion has two blocks on each level.
const PUBLISHED = {
  "down_blocks.1.resnets.1.conv1.bias":
    "input_blocks.5.0.in_layers.2.bias",
  "down_blocks.2.downsamplers.0.conv.bias": "input_blocks.9.0.op.bias",
  "up_blocks.2.resnets.1.conv2.bias":
    "output_blocks.7.0.out_layers.3.bias",
  "up_blocks.1.upsamplers.0.conv.bias": "output_blocks.5.2.conv.bias",
};
check(
  "four names of Stable Diffusion that our rule gets right",
  Object.entries(PUBLISHED).filter(
    ([name, wanted]) => inOneFile(name, 2) === wanted,
  ).length,
  4,
  0,
);
await single.close();
rmSync(temporary, { recursive: true });

// %% [markdown]
// ## A LoRA by hand
//
// A **LoRA** is a small file that changes a large model ([Hu et al. 2021](https://arxiv.org/abs/2106.09685), section
// 4.1). For some layers it has two thin matrices: $A$ from the input to $r$ numbers, and $B$ from there to the output.
// What it means is an addition:
//
// $$ W' = W + \frac{\alpha}{r}\, B A . $$
//
// $BA$ is as large as $W$, but it has the rank $r$ and needs only $r\,(\text{in} + \text{out})$ numbers. For a
// convolution, $A$ is a convolution to $r$ channels, and $B$ mixes them in each pixel. We read the file `sepia`, add
// the product to each layer of a fresh UNet, and compare with the pipeline that loaded the same file.

// %%
const lora = await openSafetensors(
  join(SEPIA, "pytorch_lora_weights.safetensors"),
);
const settings = JSON.parse(
  lora.metadata["lora_adapter_metadata"]!,
) as Record<string, number>;
const [rank, alpha] = [
  settings["unet.r"]!,
  settings["unet.lora_alpha"]!,
];
const byHand = (await loadModel(part("unet"))) as UNet2DConditionModel;
const layers = byHand.namedParameters();
const targets = [...lora.tensors.keys()]
  .filter((name) => name.endsWith(".lora_A.weight"))
  .map((name) => name.slice("unet.".length, -".lora_A.weight".length));
let added = 0;
let replaced = 0;
for (const name of targets) {
  const read = async (side: "A" | "B") => {
    const key = `unet.${name}.lora_${side}.weight`;
    const { shape } = lora.tensors.get(key)!;
    added += product(shape);
    return tf.tensor(Array.from(await lora.read(key), Number), [
      ...shape,
    ]);
  };
  const [a, b] = [await read("A"), await read("B")];
  const [out, inner, ...window] = shapeOf(name);
  replaced += product(shapeOf(name));
  tf.tidy(() => {
    // Matrices [r, in · window] and [out, r].
    const change = tf
      .matMul(b.reshape([out!, rank]), a.reshape([rank, -1]))
      .mul(alpha / rank)
      .reshape([out!, inner!, ...window]);
    // On disk [out, in, …]; in TensorFlow.js […, in, out].
    const turned = change.transpose(
      window.length > 0 ? [2, 3, 1, 0] : [1, 0],
    );
    const weight = layers.get(`${name}.weight`)!;
    weight.assign(weight.value.add(turned.reshape(weight.shape)));
  });
}
await lora.close();

const inputs = [
  noise.at("x").normal([1, 8, 8, 4]),
  500,
  noise.at("context").normal([1, 40, config.cross_attention_dim]),
  {
    textEmbeds: noise.at("pooled").normal([1, 128]),
    timeIds: tf.tensor2d([[32, 32, 0, 0, 32, 32]]),
  },
] as unknown as Parameters<UNet2DConditionModel["forward"]>;
const outputOf = (unet: ConditionalDenoiser) =>
  tf.tidy(() => unet.forward(...inputs));
const [ours, theirs] = [
  outputOf(byHand),
  outputOf(pipeline.parts.unet),
];
check(
  "our UNet with the LoRA against the pipeline's",
  largest(ours.sub(theirs)),
  0,
  1e-4, // single precision through the whole network
);
pipeline.loras.unload();
const without = outputOf(pipeline.parts.unet);
check(
  "without it, the output differs by more than a tenth",
  Math.min(0.1, largest(ours.sub(without))),
  0.1,
  0,
);
show(
  `${targets.length} layers; numbers of the LoRA over those of its layers: ${(
    (100 * added) /
    replaced
  ).toFixed(1)} %`,
);
check(
  "numbers of the LoRA: r (in + out), with windows counted in",
  added,
  sum(
    targets.map((name) => {
      const [out, ...rest] = shapeOf(name);
      return rank * (out! + product(rest));
    }),
  ),
  0,
);
pipeline.dispose();
byHand.dispose();

// %% [markdown]
// ## Full size
//
// How large is the real one? We count, as in [chapter 7](./07-the-unet.md), block by block. New is the **transformer
// block** of text-to-image: attention among pixels, attention to the $L$ tokens of the text, and a network for each
// pixel with a hidden layer four times as wide. Its first layer has twice that again, since one half is a gate for the
// other ([Shazeer 2020](https://arxiv.org/abs/2002.05202), eq. 5).

// %%
type Cost = { weights: number; operations: number };
const total = (costs: readonly Cost[]): Cost => ({
  weights: sum(costs.map(({ weights }) => weights)),
  operations: sum(costs.map(({ operations }) => operations)),
});
const linear = (
  from: number,
  to: number,
  rows = 1,
  bias = true,
): Cost => ({
  weights: from * to + (bias ? to : 0),
  operations: 2 * rows * from * to,
});
const conv = (pixels: number, from: number, to: number): Cost => ({
  weights: 9 * from * to + to,
  operations: 2 * pixels * 9 * from * to,
});
const norm = (channels: number): Cost => ({
  weights: 2 * channels,
  operations: 0,
});
const times = (n: number, cost: Cost) =>
  total(Array<Cost>(n).fill(cost));
type Sizes = {
  channels: readonly number[];
  side: number;
  tokens: number;
  context: number;
  blocks: number;
};

function unetCost({
  channels,
  side,
  tokens,
  context,
  blocks,
}: Sizes): Cost {
  const time = 4 * channels[0]!;
  const block = (pixels: number, from: number, to: number) =>
    total([
      norm(from),
      conv(pixels, from, to),
      linear(time, to),
      norm(to),
      conv(pixels, to, to),
      ...(from === to ? [] : [linear(from, to, pixels)]),
    ]);
  /** Two products: queries with keys, and chances with values. */
  const mixing = (pairs: number, c: number): Cost => ({
    weights: 0,
    operations: 4 * pairs * c,
  });
  const transformer = (pixels: number, c: number) =>
    total([
      norm(c),
      times(2, linear(c, c, pixels)), // in and out
      times(3, norm(c)),
      times(3, linear(c, c, pixels, false)), // q, k, v of pixels
      mixing(pixels ** 2, c),
      linear(c, c, pixels),
      linear(c, c, pixels, false), // q of pixels; k, v of the text
      times(2, linear(context, c, tokens, false)),
      mixing(pixels * tokens, c),
      linear(c, c, pixels),
      linear(c, 8 * c, pixels), // the gate included
      linear(4 * c, c, pixels),
    ]);

  const pixelsAt = (level: number) => (side / 2 ** level) ** 2;
  const bottom = channels.length - 1;
  const [first, last] = [channels[0]!, channels.at(-1)!];
  const parts = [
    conv(pixelsAt(0), 4, first),
    linear(first, time),
    linear(time, time),
  ];
  const skips = [first];
  let now = first;
  channels.forEach((to, level) => {
    for (let i = 0; i < blocks; i++) {
      parts.push(block(pixelsAt(level), now, to));
      if (level < bottom) parts.push(transformer(pixelsAt(level), to));
      now = to;
      skips.push(now);
    }
    if (level < bottom) {
      parts.push(conv(pixelsAt(level + 1), now, now));
      skips.push(now);
    }
  });
  parts.push(times(2, block(pixelsAt(bottom), last, last)));
  parts.push(transformer(pixelsAt(bottom), last));
  for (let level = bottom; level >= 0; level--) {
    const to = channels[level]!;
    for (let i = 0; i <= blocks; i++) {
      parts.push(block(pixelsAt(level), now + skips.pop()!, to));
      if (level < bottom) parts.push(transformer(pixelsAt(level), to));
      now = to;
    }
    if (level > 0) parts.push(conv(pixelsAt(level - 1), now, now));
  }
  return total([...parts, norm(first), conv(pixelsAt(0), first, 4)]);
}

// %% [markdown]
// First a small network of the same build, with random weights. The count must be that of the library's layers, and of
// their profile, exactly.

// %%
const SMALL: Sizes = {
  channels: [32, 64],
  side: 8,
  tokens: 7,
  context: 24,
  blocks: 1,
};
const buildOf = ({ channels, context, blocks }: Sizes) =>
  new UNet2DConditionModel({
    block_out_channels: [...channels],
    layers_per_block: blocks,
    cross_attention_dim: context,
    attention_head_dim: 8,
    down_block_types: channels.map((_, level) =>
      level + 1 < channels.length
        ? "CrossAttnDownBlock2D"
        : "DownBlock2D",
    ),
    up_block_types: channels.map((_, i) =>
      i > 0 ? "CrossAttnUpBlock2D" : "UpBlock2D",
    ),
  });
/** Counts what a network's layers declare; nothing is allocated. */
const declared = (unet: UNet2DConditionModel) =>
  sum(
    [...unet.namedParameters()].map(([, { shape }]) => product(shape)),
  );
const small = buildOf(SMALL);
small.initialize(noise.at("small"));
const profile = await kernelCosts(
  () =>
    tf.tidy(() => {
      const x = tf.zeros<tf.Rank.R4>([1, SMALL.side, SMALL.side, 4]);
      const text = tf.zeros<tf.Rank.R3>([
        1,
        SMALL.tokens,
        SMALL.context,
      ]);
      small.forward(x, 500, text);
    }),
  1,
);
check(
  "weights of a small one, by hand and declared",
  unetCost(SMALL).weights,
  declared(small),
  0,
);
check(
  "operations of a small one, by hand and in the profile",
  unetCost(SMALL).operations,
  sum(profile.map(({ flop }) => flop)),
  0,
);
small.dispose();

const FULL: Sizes = {
  channels: [320, 640, 1280, 1280],
  side: 64,
  tokens: 77,
  context: 768,
  blocks: 2,
};
const full = unetCost(FULL);
check(
  "weights of Stable Diffusion's UNet",
  full.weights,
  859_520_964,
  0,
);
check(
  "the library's declares as many",
  declared(buildOf(FULL)),
  full.weights,
  0,
);
const CALLS = 2 * 25; // 25 steps, with guidance
table(
  [64, 96, 128].map((side) => {
    const { operations } = unetCost({ ...FULL, side });
    return {
      picture: `${8 * side} x ${8 * side}`,
      "10¹² a call": operations / 1e12,
      "min, core": (CALLS * operations) / 25e9 / 60,
      "s, card": (CALLS * operations) / 50e12,
    };
  }),
  {
    caption:
      "Operations of a call; 25 steps with guidance on one core (25 · 10⁹ a second) and on a graphics card (50 · 10¹²)",
    digits: 2,
  },
);
check(
  "operations of a call, in 10¹²",
  full.operations / 1e12,
  0.8,
  0.05,
);

// %% [markdown]
// In half precision these weights are 1.72 gigabytes; with the text encoder and the autoencoder a file has about two.
// The file of four gigabytes from the beginning has the same in single precision. What a computer reaches is in the
// [benchmarks](../benchmarks.md), measured at full size with random weights: a network takes the same time whatever it
// knows.
//
// ## How to check a port
//
// Somebody wrote the network first, and you wrote it again. Now both run. How do you find out whether yours is right?
// Not by looking at pictures. Give both the same input, with the same weights, and compare **after each layer**. The
// first layer that differs has the fault.
//
// How large may a difference be? Not zero: two programs add up in different orders, and single precision has seven
// digits. This *noise floor* must be measured. Here the other program is TensorFlow.js itself, with its slow backend in
// plain JavaScript. Then we make three mistakes that no shape reveals, in the text tower.

// %%
const TOWER = part("text_encoder_2");
const tower = (await loadModel(TOWER)) as CLIPTextModelWithProjection;
const tokenizer = await CLIPTokenizer.fromFolder(part("tokenizer_2"));
const ids = tf.tensor2d(
  [tokenizer.encode("a smiling woman with long red hair")],
  undefined,
  "int32",
);
const towerConfig = JSON.parse(
  readFileSync(join(TOWER, "config.json"), "utf8"),
) as Record<string, unknown>;
/** The same weights in a network with one setting changed. */
function portWith(change: Record<string, unknown>) {
  const port = modelFromConfig(
    {
      _class_name: "CLIPTextModelWithProjection",
      ...towerConfig,
      ...change,
    },
    { from: "port" },
  ) as CLIPTextModelWithProjection;
  port.initialize(noise.at("port"));
  for (const [name, value] of tower.parameters())
    port.parameters().get(name)!.assign(value);
  return port;
}
/** The states before the first layer and after each. */
const statesOf = (network: CLIPTextModelWithProjection) =>
  network
    .forward(ids)
    .hiddenStates.map((states) => states.arraySync().flat(2));
const right = statesOf(tower);
const size = (values: readonly number[]) =>
  Math.max(...values.map(Math.abs));
/** The largest difference after each layer, over the largest number. */
const differenceOf = (other: readonly number[][]) =>
  right.map(
    (states, i) =>
      size(states.map((x, k) => x - other[i]![k]!)) / size(states),
  );
const changed = (change: Record<string, unknown>) =>
  differenceOf(statesOf(portWith(change)));
await useBackend("cpu");
const slow = differenceOf(statesOf(tower));
await useBackend("wasm", { threads: 1 });
const ports = {
  floor: slow,
  activation: changed({ hidden_act: "gelu" }),
  "two heads": changed({ num_attention_heads: 2 }),
  epsilon: changed({ layer_norm_eps: 1e-3 }),
};
table(
  Object.entries(ports).map(([port, differences]) => ({
    port,
    ...Object.fromEntries(
      differences.map((value, i) => [`${i} `, value]),
    ),
  })),
  {
    caption:
      "Largest difference before the first layer and after each, over the largest number",
    digits: 1,
  },
);
const [floor, activation, heads, epsilon] = Object.values(ports) as [
  number[],
  number[],
  number[],
  number[],
];
for (const [name, differences] of [
  ["activation", activation],
  ["heads", heads],
  ["epsilon", epsilon],
] as const) {
  check(
    `another ${name}: before the first layer`,
    differences[0]!,
    0,
    0,
  );
  check(
    `another ${name}: after it, over the floor, at least 10`,
    Math.min(10, differences[1]! / floor[1]!),
    10,
    0,
  );
}
// Each layer adds up hundreds of numbers of seven digits.
check(
  "the noise floor, at most 1e-5",
  Math.max(1e-5, ...floor),
  1e-5,
  0,
);

// %% folded
{
  const COLORS = ["#6b7280", "#4269d0", "#d97706", "#2f9e58"];
  const lines = Object.entries(ports).flatMap(
    ([port, differences], k) =>
      differences.map((value, layer) => ({
        port,
        layer,
        value: Math.max(value, 1e-8),
        color: COLORS[k]!,
      })),
  );
  plot({
    caption:
      "The difference after each layer. All faults begin in layer 1, far above the noise floor. On the line at the bottom: none at all.",
    height: 300,
    x: { label: "layer", ticks: [0, 1, 2, 3], domain: [0, 3.1] },
    y: {
      label: "difference",
      type: "log",
      grid: true,
      ticks: 5,
      tickFormat: "~g",
    },
    marks: [
      Plot.line(lines, {
        x: "layer",
        y: "value",
        z: "port",
        stroke: "color",
        strokeWidth: 2,
      }),
      Plot.dot(lines, { x: "layer", y: "value", fill: "color" }),
      Plot.text(
        lines.filter(({ layer }) => layer === 2),
        {
          x: "layer",
          y: "value",
          text: "port",
          dy: -9,
          fill: "color",
          fontSize: 13,
        },
      ),
    ],
  });
}

// %% [markdown]
// The other activation is nearly the same function, and changes hardly anything in a picture. Yet it stands clearly
// above the floor. This is why ports are compared by numbers. The library compares each network with PyTorch in this
// way, and each sampler with the same noise.
//
// ## What to take along
//
// - A safetensors file is a length, a header of names, shapes and places, and bytes.
// - Names are paths. Names and shapes give the sizes, but not the heads, the activation, or what is predicted.
// - Folder and single file hold the same numbers. A page of rules translates the names.
// - A LoRA is an addition of two thin matrices, and can be added once and for all.
// - A port is right if it agrees after each layer, up to a noise floor that you have measured.
//
// ## What to read next
//
// - [Models and their weights](../models.md): which files the library opens, and how to get them.
// - [Hu et al. 2021](https://arxiv.org/abs/2106.09685): LoRA.
// - [Rombach et al. 2022](https://arxiv.org/abs/2112.10752), appendix E: sizes of the published models.
// - [Dettmers et al. 2022](https://arxiv.org/abs/2208.07339): weights in eight bits.
// - [Appendix C](./93-what-a-step-costs.md): where the time of a step goes.
//
// ## Exercises
//
// Replace a `todo` by your answer, and run the chapter again: `npm run chapter 14`. Each exercise is
// judged on its own.
//
// **1.** A LoRA of rank 8 changes a linear layer from 768 to 320 numbers. How many numbers does it have for it?

// %%
const numbersOfLora: Answer = todo;
await exercise("numbers of a LoRA", numbersOfLora);

// %% [markdown]
// **2.** *Predict, then run.* Twice the side of the picture, four times the latents: how many times as many operations
// does a call of Stable Diffusion's UNet take?

// %%
const prediction: Answer = todo;
predict(
  "twice the side",
  prediction,
  unetCost({ ...FULL, side: 128 }).operations / full.operations,
  0.3,
);

// %% [markdown]
// **3.** *Write a function.* Newer files store weights as `BF16`: the upper sixteen bits of a number in single
// precision, that is one bit for the sign, eight for the exponent $e$ with $2^{e - 127}$, and seven for the fraction.
// Numbers with $e = 0$ have the exponent $-126$ and no leading 1. `(bits) => …`

// %%
type Decode = (bits: number) => number;
const bfloat: Answer<Decode> = todo;
await exercise("BF16", bfloat);

// %% [markdown]
// **4.** *Find the fault.* This adds a LoRA to a weight, where $BA$ is one number. With some files it works, with
// others it is much too strong.

// %%
type Merge = (
  weight: number,
  change: number,
  alpha: number,
  rank: number,
) => number;
const merge: Merge = (weight, change, alpha) => weight + alpha * change;
await repair("adding a LoRA", merge);

// %% [markdown]
// **5.** *Reproduce the plot.* The numbers of a LoRA over those of its layer, for a linear layer from 640 to 640 and
// the ranks 8, 16, …, 128. Answer with its 16 points `[rank, share]`.

// %%
const sharesOfRanks: Answer<Points> = todo;
await reproduce("shares of ranks", sharesOfRanks, {
  caption: "How large a LoRA is, over the layer that it changes.",
  height: 260,
  x: { label: "rank", grid: true },
  y: { label: "share", grid: true },
});
