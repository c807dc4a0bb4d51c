// %% [markdown]
// # Solutions: what a step costs
//
// The exercises are at the end of [What a step costs](../93-what-a-step-costs.md). Try each of them first.

// %% setup
import { NETWORKS } from "../../bench/networks.js";
import { hint, solution } from "../../src/chapter/index.js";

// %% [markdown]
// ## operations of the convolution
//
// $2\,HW\,k^2\,C_\text{in}\,C_\text{out}$ with 64 pixels and 9 places in the filter.

// %%
await solution(
  "operations of the convolution",
  2 * 8 * 8 * 9 * 64 * 96,
  0,
);

// %% [markdown]
// ## side where attention takes over
//
// Attention per pixel grows with the pixels, and the rest does not. So look for their ratio to pass 1.

// %%
const attention = (side: number) => {
  const tokens = (level: number) => (side / level) ** 2;
  const layers = (n: number, channels: number, count: number) =>
    count * 4 * n * channels * (n + 16);
  return layers(tokens(2), 64, 5) + layers(tokens(4), 96, 6);
};
const all = NETWORKS.faces.flop / 8; // operations for one picture at a side of 16
const rest = (side: number) => (all - attention(16)) * (side / 16) ** 2;
const sides = [16, 32, 64, 128, 256, 512, 1024];
await solution(
  "side where attention takes over",
  sides.find((side) => attention(side) > rest(side))!,
  0,
);

// %% [markdown]
// ## bytes for each parameter
//
// AdamW reads the parameter, its gradient and two moments, and writes all but the gradient. The
// average reads itself and the parameter, and writes itself. Ten numbers of four bytes.

// %%
await solution(
  "bytes for each parameter",
  4 * (4 + 3) + 4 * (2 + 1),
  0,
);

// %% [markdown]
// ## cost of a layer
//
// A linear layer is a convolution with a filter of one pixel. A stride of 2 halves both sides, and so
// leaves a quarter of the outputs.

// %%
type Cost = (
  side: number,
  k: number,
  from: number,
  to: number,
  stride: number,
) => number;
const cost: Cost = (side, k, from, to, stride) =>
  2 * (side / stride) ** 2 * k ** 2 * from * to;
await solution(
  "cost of a layer",
  cost,
  (given) =>
    hint(
      "the first convolution's cost",
      given(16, 3, 3, 32, 1),
      442_368,
      0,
    ) ??
    hint(
      "the cost of a linear layer on 64 tokens",
      given(8, 1, 64, 96, 1),
      786_432,
      0,
    ) ??
    hint(
      "the cost with a stride of 2",
      given(16, 3, 32, 64, 2),
      2_359_296,
      0,
    ),
  [
    (side, k, from, to, stride) => cost(side, k, from, to, stride) / 2,
    (side, k, from, to) => cost(side, k, from, to, 1),
    (side, k, from, to, stride) => cost(side, k, from, to, stride) / k,
  ],
);

// %% [markdown]
// ## calls that are left
//
// A normalisation with its activation alone is ten plain calls, and one fused call. The convolutions
// and linear layers save their bias and their activation. Together, four of five calls go.

// %%
await solution("calls that are left", 100 / 5, 4);
