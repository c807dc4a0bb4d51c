/** A kernel for resizing, and how far from its centre it is not 0, in pixels. */
export interface ResampleKernel {
  readonly reach: number;
  at(distance: number): number;
}

/** Cubic convolution (Keys 1981) with a = -1/2. */
export const CUBIC: ResampleKernel = {
  reach: 2,
  at(distance) {
    const d = Math.abs(distance);
    if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
    return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
  },
};

/** Lanczos (Duchon 1979) with three lobes: a sinc, windowed by a sinc of three times its width. */
export const LANCZOS: ResampleKernel = {
  reach: 3,
  at: (distance) => (Math.abs(distance) < 3 ? sinc(distance) * sinc(distance / 3) : 0),
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The old pixels that make up a new one: those from `first` on, with these weights. */
export interface ResampledPixel {
  first: number;
  /** They sum to 1. */
  weights: number[];
}

/**
 * The weights of resizing along one axis as Pillow and PyTorch (`antialias=True`) do it: to make a picture smaller, the
 * kernel is stretched, so that each new pixel averages all the pixels it covers. At the border the weights of the
 * pixels inside are normalised to sum to 1.
 *
 * @param from number of old pixels
 * @param to number of new pixels
 * @param box the part of the old pixels that is resized, from and to an edge between pixels; default: all
 */
export function resampleWeights(
  from: number,
  to: number,
  kernel: ResampleKernel,
  [start, end]: readonly [number, number] = [0, from],
): ResampledPixel[] {
  const scale = (end - start) / to;
  const stretch = Math.max(scale, 1);
  const reach = kernel.reach * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), from);
    const values = Array.from({ length: last - first }, (_, j) => kernel.at((first + j + 0.5 - centre) / stretch));
    const sum = values.reduce((a, b) => a + b);
    return { first, weights: values.map((value) => value / sum) };
  });
}
