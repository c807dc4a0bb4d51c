/** Layers in float64, written from their definitions with plain loops: the reference for gradients of fused kernels. */
export type Numbers = ArrayLike<number>;

/** x [batch, pixels, channels]. */
export function groupNorm64(
  [x, w, b]: readonly [Numbers, Numbers, Numbers],
  { batch, pixels, channels, groups, eps }: Record<"batch" | "pixels" | "channels" | "groups" | "eps", number>,
): number[] {
  const y = new Array<number>(x.length);
  const width = channels / groups;
  for (let z = 0; z < batch; z++) {
    for (let g = 0; g < groups; g++) {
      const places: number[] = [];
      for (let p = 0; p < pixels; p++)
        for (let c = g * width; c < (g + 1) * width; c++) places.push((z * pixels + p) * channels + c);
      const mean = places.reduce((sum, i) => sum + x[i]!, 0) / places.length;
      const variance = places.reduce((sum, i) => sum + (x[i]! - mean) ** 2, 0) / places.length;
      for (const i of places) y[i] = ((x[i]! - mean) / Math.sqrt(variance + eps)) * w[i % channels]! + b[i % channels]!;
    }
  }
  return y;
}

export function silu64(x: Numbers): number[] {
  return Array.from(x, (value) => value / (1 + Math.exp(-value)));
}

/** erf by its series of positive terms, exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!. */
function erf64(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

export function gelu64(x: Numbers): number[] {
  return Array.from(x, (value) => (value * (1 + erf64(value / Math.SQRT2))) / 2);
}

/** x [rows, 2 features] -> [rows, features]. */
export function geglu64(x: Numbers, features: number): number[] {
  const half = (from: number) => Array.from(x).filter((_, i) => Math.floor(i / features) % 2 === from);
  const gate = gelu64(half(1));
  return half(0).map((value, i) => value * gate[i]!);
}

/** q [batch, queries, heads * size], k, v [batch, keys, heads * size]. */
export function attention64(
  [q, k, v]: readonly [Numbers, Numbers, Numbers],
  { batch, queries, keys, heads, size }: Record<"batch" | "queries" | "keys" | "heads" | "size", number>,
): number[] {
  const channels = heads * size;
  const y = new Array<number>(q.length).fill(0);
  for (let z = 0; z < batch; z++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < queries; i++) {
        const to = (z * queries + i) * channels + h * size;
        const from = (j: number) => (z * keys + j) * channels + h * size;
        const weights = Array.from({ length: keys }, (_, j) => {
          let score = 0;
          for (let s = 0; s < size; s++) score += q[to + s]! * k[from(j) + s]!;
          return Math.exp(score / Math.sqrt(size));
        });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (let s = 0; s < size; s++)
          y[to + s] = weights.reduce((sum, weight, j) => sum + (weight / total) * v[from(j) + s]!, 0);
      }
    }
  }
  return y;
}

/** x [rows, in], w [in, out], b [out] -> [rows, out]. */
export function affine64([x, w, b]: readonly [Numbers, Numbers, Numbers], rows: number): number[] {
  const [inFeatures, outFeatures] = [x.length / rows, b.length];
  return Array.from({ length: rows * outFeatures }, (_, at) => {
    const [row, o] = [Math.floor(at / outFeatures), at % outFeatures];
    let sum = b[o]!;
    for (let i = 0; i < inFeatures; i++) sum += x[row * inFeatures + i]! * w[i * outFeatures + o]!;
    return sum;
  });
}

/** x [batch, height, width, in], filter [kernel, kernel, in, out], bias [out], zeros around x; see nn/conv2d.ts. */
export function conv64(
  [x, filter, bias]: readonly [Numbers, Numbers, Numbers],
  size: Record<"batch" | "height" | "width" | "kernel" | "stride" | "before" | "outHeight" | "outWidth", number>,
): number[] {
  const { batch, height, width, kernel, stride, before, outHeight, outWidth } = size;
  const [from, to] = [x.length / batch / height / width, bias.length];
  const y: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let row = 0; row < outHeight; row++)
      for (let column = 0; column < outWidth; column++)
        for (let o = 0; o < to; o++) {
          let sum = bias[o]!;
          for (let ky = 0; ky < kernel; ky++)
            for (let kx = 0; kx < kernel; kx++) {
              const [inY, inX] = [row * stride + ky - before, column * stride + kx - before];
              if (inY < 0 || inY >= height || inX < 0 || inX >= width) continue;
              for (let i = 0; i < from; i++) {
                sum +=
                  x[((b * height + inY) * width + inX) * from + i]! * filter[((ky * kernel + kx) * from + i) * to + o]!;
              }
            }
          y.push(sum);
        }
  return y;
}
