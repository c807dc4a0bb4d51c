// %% [markdown]
// # Solutions of chapter 14
//
// The exercises are in [A real checkpoint](../14-a-real-checkpoint.md). Try each of them first.

// %% setup
import {
  check,
  hint,
  solution,
  type Points,
} from "../../src/chapter/index.js";

// %% [markdown]
// ## numbers of a LoRA
//
// $A$ has $8 \cdot 768$ numbers, and $B$ has $320 \cdot 8$: together $8\,(768 + 320)$. The layer itself has 245,760.

// %%
await solution("numbers of a LoRA", 8 * (768 + 320), 0);

// %% [markdown]
// ## twice the side
//
// Convolutions and linear layers take four times as many. But attention among pixels takes sixteen times as many, and
// on the large pictures of the first level it is a good part of the whole.

// %%
await solution("twice the side", 5.8, 0.3);

// %% [markdown]
// ## BF16
//
// The bits are taken apart as for half precision, with eight bits of exponent. A shorter way: put them into the upper
// half of 32 bits, and let `DataView` read a single.

// %%
type Decode = (bits: number) => number;
const bfloat: Decode = (bits) => {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const e = (bits >> 7) % 256;
  const f = (bits % 128) / 128;
  return e === 0
    ? sign * 2 ** -126 * f
    : sign * 2 ** (e - 127) * (1 + f);
};
const bySingle: Decode = (bits) => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
};
for (const bits of [0x3f80, 0xc010, 0x0001])
  check(
    `both ways, of ${bits.toString(16)}`,
    bfloat(bits),
    bySingle(bits),
    0,
  );
await solution(
  "BF16",
  bfloat,
  (given) =>
    hint("of 0x3f80", given(0x3f80), 1, 1e-12) ??
    hint("of 0xc010", given(0xc010), -2.25, 1e-12) ??
    hint("of 0x0001", given(0x0001) * 2 ** 133, 1, 1e-9),
  [
    (bits) => 2 ** ((bits >> 7) - 127) * (1 + (bits % 128) / 128),
    (bits) => {
      const sign = bits >> 15 === 0 ? 1 : -1;
      return (
        sign *
        2 ** (((bits >> 7) % 256) - 127) *
        (1 + (bits % 128) / 128)
      );
    },
  ],
);

// %% [markdown]
// ## adding a LoRA
//
// The factor is $\alpha / r$. Many files have $\alpha = r$, so that it is 1, and there a program without it is right,
// too. With the factor $\alpha$ alone, only $\alpha = 1$ at rank 1 is.

// %%
type Merge = (
  weight: number,
  change: number,
  alpha: number,
  rank: number,
) => number;
const merge: Merge = (weight, change, alpha, rank) =>
  weight + (alpha / rank) * change;
await solution(
  "adding a LoRA",
  merge,
  (given) =>
    hint(
      "of 1 and 0.5 with α = 4, r = 4,",
      given(1, 0.5, 4, 4),
      1.5,
      1e-12,
    ) ??
    hint(
      "of 1 and 0.5 with α = 1, r = 8,",
      given(1, 0.5, 1, 8),
      1.0625,
      1e-12,
    ),
  [
    (weight, change, alpha) => weight + alpha * change,
    (weight, change) => weight + change,
  ],
);

// %% [markdown]
// ## shares of ranks
//
// $2 r / 640$, a straight line. At the rank 320 nothing would be saved.

// %%
const shares: Points = Array.from({ length: 16 }, (_, i) => {
  const rank = 8 * (i + 1);
  return [rank, (2 * rank) / 640];
});
await solution("shares of ranks", shares, 1e-9);
