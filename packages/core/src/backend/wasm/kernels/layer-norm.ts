import { type FusedKernel, sizeOf } from "./fused.js";

/** x [..., C], w, b [C] -> the same shape, and mean and 1 / deviation [rows, 2] for the gradient. */
export const layerNorm: FusedKernel<"x" | "w" | "b", { eps: number }> = (place, { x, w, b }, { eps }) => {
  const features = x.shape.at(-1)!;
  const rows = sizeOf(x.shape) / features;
  const [y, statistics] = [place.make(x.shape), place.make([rows, 2])];
  place.simd.layerNorm(place.at(x), rows, features, place.at(w), place.at(b), eps, place.at(y), place.at(statistics));
  return [y, statistics];
};

/** saved0 is the statistics, dy [..., C] -> gradients of x, w and b. */
export const layerNormGradient: FusedKernel<"x" | "w" | "b" | "saved0" | "dy"> = (
  place,
  { x, w, b, saved0: statistics, dy },
) => {
  const features = x.shape.at(-1)!;
  const rows = sizeOf(x.shape) / features;
  const [dx, dw, db] = [place.make(x.shape), place.make(w.shape), place.make(b.shape)];
  place.withScratch(place.simd.layerNormScratch(features), (scratch) =>
    place.simd.layerNormGradient(
      place.at(x),
      place.at(dy),
      rows,
      features,
      place.at(w),
      place.at(statistics),
      place.at(dx),
      place.at(dw),
      place.at(db),
      scratch,
    ),
  );
  return [dx, dw, db];
};
