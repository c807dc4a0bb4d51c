import type * as tf from "@tensorflow/tfjs";
import { type FusedKernel, sizeOf } from "./fused.js";

interface Attributes {
  groups: number;
  eps: number;
  /** SiLU of the result. */
  silu: boolean;
}

/** x [B, ..., C], w, b [C] -> the same shape, and mean and 1 / deviation [B, groups, 2] for the gradient. */
export const groupNorm: FusedKernel<"x" | "w" | "b", Attributes> = (place, { x, w, b }, { groups, eps, silu }) => {
  const { batch, pixels, channels } = sizes(x);
  const [y, statistics] = [place.make(x.shape), place.make([batch, groups, 2])];
  place.withScratch(place.simd.groupNormScratch(channels), (scratch) =>
    place.simd.groupNorm(
      place.at(x),
      batch,
      pixels,
      channels,
      channels,
      groups,
      place.at(w),
      place.at(b),
      eps,
      Number(silu),
      place.at(y),
      place.at(statistics),
      scratch,
    ),
  );
  return [y, statistics];
};

/** saved0 is the statistics, dy [B, ..., C] -> gradients of x, w and b. */
export const groupNormGradient: FusedKernel<"x" | "w" | "b" | "saved0" | "dy", Attributes> = (
  place,
  { x, w, b, saved0: statistics, dy },
  { groups, silu },
) => {
  const { batch, pixels, channels } = sizes(x);
  const [dx, dw, db] = [place.make(x.shape), place.make(w.shape), place.make(b.shape)];
  place.withScratch(place.simd.groupNormScratch(channels), (scratch) =>
    place.simd.groupNormGradient(
      place.at(x),
      place.at(dy),
      batch,
      pixels,
      channels,
      channels,
      groups,
      place.at(w),
      place.at(b),
      Number(silu),
      place.at(statistics),
      place.at(dx),
      place.at(dw),
      place.at(db),
      scratch,
    ),
  );
  return [dx, dw, db];
};

function sizes({ shape }: tf.TensorInfo) {
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  return { batch, channels, pixels: sizeOf(shape) / batch / channels };
}
