import { type FusedKernel, type Place, sizeOf } from "./fused.js";

type Elementwise = (place: Place) => (input: number, count: number, output: number) => void;
type Gradient = (place: Place) => (input: number, dy: number, count: number, dx: number) => void;

/** x -> the same shape. */
export function elementwise(kernel: Elementwise): FusedKernel<"x"> {
  return (place, { x }) => {
    const y = place.make(x.shape);
    kernel(place)(place.at(x), sizeOf(x.shape), place.at(y));
    return [y];
  };
}

export function elementwiseGradient(kernel: Gradient): FusedKernel<"x" | "dy"> {
  return (place, { x, dy }) => {
    const dx = place.make(x.shape);
    kernel(place)(place.at(x), place.at(dy), sizeOf(x.shape), place.at(dx));
    return [dx];
  };
}

/** x [..., 2 C] -> [..., C]: the first half times the GELU of the second. */
export const geglu: FusedKernel<"x"> = (place, { x }) => {
  const features = x.shape.at(-1)! / 2;
  const y = place.make([...x.shape.slice(0, -1), features]);
  place.simd.geglu(place.at(x), sizeOf(x.shape) / (2 * features), features, place.at(y));
  return [y];
};

export const gegluGradient: FusedKernel<"x" | "dy"> = (place, { x, dy }) => {
  const features = x.shape.at(-1)! / 2;
  const dx = place.make(x.shape);
  place.simd.gegluGradient(place.at(x), place.at(dy), sizeOf(x.shape) / (2 * features), features, place.at(dx));
  return [dx];
};
