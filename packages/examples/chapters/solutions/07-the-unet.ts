// %% [markdown]
// # Solutions of chapter 7
//
// The exercises are in [The UNet](../07-the-unet.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## weights of a block
//
// Two norms, two convolutions, the time's linear layer, and a shortcut, because the sizes differ.

// %%
const norms = 2 * 32 + 2 * 64;
const convolutions = 9 * 32 * 64 + 64 + 9 * 64 * 64 + 64;
const time = 128 * 64 + 64;
const shortcut = 32 * 64 + 64;
await solution(
  "weights of a block",
  norms + convolutions + time + shortcut,
  0,
);

// %% [markdown]
// ## latents seen
//
// At the bottom one pixel stands for 8, and there are eight convolutions on the way down's last level and in the
// middle alone: 16 pixels in each direction become 128. So the window is several times the picture. What Stable
// Diffusion's attention adds is not reach. It is that pixels choose where to look.

// %%
await solution("latents seen", 388, 20);

// %% [markdown]
// ## the bell of a stack
//
// Variances add. A convolution on a picture whose pixels stand for $p$ pixels of the input adds $\tfrac23 p^2$. One
// with stride 2 adds as much, and doubles $p$.

// %%
type BellOf = (layers: readonly ("conv" | "down")[]) => number;
const bellOf: BellOf = (layers) => {
  let [variance, pixel] = [0, 1];
  for (const layer of layers) {
    variance += (2 / 3) * pixel ** 2;
    if (layer === "down") pixel *= 2;
  }
  return Math.sqrt(variance);
};
check("two convolutions", bellOf(["conv", "conv"]) ** 2, 4 / 3, 1e-12);
await solution(
  "the bell of a stack",
  bellOf,
  (given) =>
    hint("without layers, the deviation", given([]), 0, 1e-12) ??
    hint(
      "of one convolution, the deviation",
      given(["conv"]),
      Math.sqrt(2 / 3),
      1e-9,
    ) ??
    hint(
      "of six convolutions, the deviation",
      given(Array<"conv">(6).fill("conv")),
      2,
      1e-9,
    ) ??
    hint(
      "of down, down, conv, the deviation",
      given(["down", "down", "conv"]),
      Math.sqrt(14),
      1e-9,
    ),
  [
    (layers) => layers.length,
    (layers) => Math.sqrt((2 / 3) * layers.length),
  ],
);

// %% [markdown]
// ## operations with a stride
//
// The output has fewer pixels along *both* axes, so the stride counts squared.

// %%
const operationsOf = (
  side: number,
  stride: number,
  from: number,
  to: number,
) => 2 * 9 * from * to * (side / stride) ** 2;
await solution(
  "operations with a stride",
  operationsOf,
  (given) =>
    hint(
      "with stride 1, the number of operations",
      given(4, 1, 2, 3),
      1728,
      0,
    ) ??
    hint(
      "with stride 2, the number of operations",
      given(4, 2, 2, 3),
      432,
      0,
    ),
  [
    (side, stride, from, to) => (18 * from * to * side ** 2) / stride,
    (side, _, from, to) => 18 * from * to * side ** 2,
  ],
);

// %% [markdown]
// ## share of the products
//
// With $N$ pixels, the products take $4N^2C$ and the linear layers $8NC^2$. The share is $N / (N + 2C)$.

// %%
const shares: Points = Array.from({ length: 16 }, (_, i) => {
  const pixels = (4 * (i + 1)) ** 2;
  return [4 * (i + 1), pixels / (pixels + 2 * 16)];
});
await solution("share of the products", shares, 1e-6);
