import { type FusedKernel, sizeOf } from "./fused.js";

/** x [..., in], weight [in, out], bias [out] or none -> [..., out]. */
export const affine: FusedKernel<"x" | "weight" | "bias"> = (place, { x, weight, bias }) => {
  const { simd } = place;
  const [inFeatures, outFeatures] = weight.shape as [number, number];
  const rows = sizeOf(x.shape) / inFeatures;
  const y = place.make([...x.shape.slice(0, -1), outFeatures]);
  place.withScratch(simd.batchMatMulScratch(outFeatures, inFeatures), (scratch) =>
    simd.batchMatMul(
      place.at(x),
      0,
      place.at(weight),
      0,
      0,
      place.at(bias),
      place.at(y),
      1,
      rows,
      outFeatures,
      inFeatures,
      scratch,
    ),
  );
  return [y];
};

/** dy [..., out] -> gradients of x, weight and, where there is one, bias. */
export const affineGradient: FusedKernel<"x" | "weight" | "bias" | "dy"> = (place, { x, weight, bias, dy }) => {
  const { simd } = place;
  const [inFeatures, outFeatures] = weight.shape as [number, number];
  const rows = sizeOf(x.shape) / inFeatures;
  const [dx, dWeight] = [place.make(x.shape), place.make(weight.shape)];
  place.withScratch(simd.batchMatMulScratch(inFeatures, outFeatures), (scratch) =>
    simd.batchMatMul(
      place.at(dy),
      0,
      place.at(weight),
      0,
      1,
      0,
      place.at(dx),
      1,
      rows,
      inFeatures,
      outFeatures,
      scratch,
    ),
  );
  place.withScratch(simd.transposedMatMulScratch(inFeatures, outFeatures), (scratch) =>
    simd.transposedMatMul(
      place.at(x),
      0,
      inFeatures,
      place.at(dy),
      0,
      place.at(dWeight),
      1,
      inFeatures,
      outFeatures,
      rows,
      scratch,
    ),
  );
  if (!bias) return [dx, dWeight];
  const dBias = place.make(bias.shape);
  simd.sumOver(place.at(dy), 1, rows, outFeatures, 1, place.at(dBias));
  return [dx, dWeight, dBias];
};
