import { convolve, filterGradient, type Geometry, inputGradient, type Shape4D } from "./conv2d.js";
import { type FusedKernel, sizeOf } from "./fused.js";

interface Attributes {
  stride: number;
  /** Zeros around the picture: above and left, below and right. */
  before: number;
  after: number;
}

/** x [B, H, W, Cin], filter [kh, kw, Cin, Cout], bias [Cout] or none -> [B, H', W', Cout]. */
export const fusedConv2D: FusedKernel<"x" | "filter" | "bias", Attributes> = (
  place,
  { x, filter, bias },
  attributes,
) => {
  const [batch, height, width] = x.shape as Shape4D;
  const [kernelHeight, kernelWidth, , channels] = filter.shape as Shape4D;
  const { stride, before, after } = attributes;
  const resized = (size: number, kernel: number) => Math.floor((size + before + after - kernel) / stride) + 1;
  const outShape: Shape4D = [batch, resized(height, kernelHeight), resized(width, kernelWidth), channels];
  const geometry = geometryOf(attributes);
  return [convolve(place.simd, place.backend, x, filter, false, outShape, geometry, place.at(bias))];
};

/** dy [B, H', W', Cout] -> gradients of x, filter and, where there is one, bias. */
export const fusedConv2DGradient: FusedKernel<"x" | "filter" | "bias" | "dy", Attributes> = (
  place,
  { x, filter, bias, dy },
  attributes,
) => {
  const { simd, backend } = place;
  const geometry = geometryOf(attributes);
  const dx = inputGradient(simd, backend, dy, filter, x.shape as Shape4D, geometry);
  const dFilter = filterGradient(simd, backend, x, dy, filter.shape as Shape4D, geometry);
  if (!bias) return [dx, dFilter];
  const dBias = place.make(bias.shape);
  const channels = bias.shape[0]!;
  simd.sumOver(place.at(dy), 1, sizeOf(dy.shape) / channels, channels, 1, place.at(dBias));
  return [dx, dFilter, dBias];
};

function geometryOf({ stride, before }: Attributes): Geometry {
  return { strides: [stride, stride], top: before, left: before };
}
