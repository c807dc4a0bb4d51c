import { type FusedKernel, sizeOf } from "./fused.js";

interface AdamWAttributes {
  keep: number;
  fresh1: number;
  keep2: number;
  fresh2: number;
  eps: number;
  rate: number;
}

/** Parameters p, moments m and v, gradient g, all of one shape -> the new p, m, v. */
export const adamW: FusedKernel<"p" | "m" | "v" | "g", AdamWAttributes> = (place, { p, m, v, g }, attributes) => {
  const { keep, fresh1, keep2, fresh2, eps, rate } = attributes;
  const results = [p, m, v].map(({ shape }) => place.make(shape));
  const [newP, newM, newV] = results.map((result) => place.at(result)) as [number, number, number];
  // prettier-ignore
  place.simd.adamW(
    place.at(p), place.at(m), place.at(v), place.at(g), sizeOf(p.shape),
    keep, fresh1, keep2, fresh2, eps, rate, newP, newM, newV,
  );
  return results;
};

/** average + (value - average) fresh. */
export const movingAverage: FusedKernel<"average" | "value", { fresh: number }> = (
  place,
  { average, value },
  { fresh },
) => {
  const result = place.make(average.shape);
  place.simd.movingAverage(place.at(average), place.at(value), sizeOf(value.shape), fresh, place.at(result));
  return [result];
};
