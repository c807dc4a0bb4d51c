type Elementwise = (input: number, count: number, output: number) => void;
type ElementwiseGradient = (input: number, dy: number, count: number, dx: number) => void;

/** The functions of `packages/core/assembly`; addresses are in bytes, sizes and strides in elements. */
export interface SimdKernels {
  add(x: number, b: number, blocks: number, rows: number, size: number, y: number): void;
  batchMatMulScratch(n: number, depth: number): number;
  batchMatMul(
    a: number,
    aBatch: number,
    b: number,
    bBatch: number,
    transposed: number,
    bias: number,
    c: number,
    batch: number,
    m: number,
    n: number,
    depth: number,
    scratch: number,
  ): void;
  transposedMatMulScratch(m: number, n: number): number;
  transposedMatMul(
    a: number,
    aBatch: number,
    aColumns: number,
    b: number,
    bBatch: number,
    c: number,
    batch: number,
    m: number,
    n: number,
    depth: number,
    scratch: number,
  ): void;
  conv2dScratch(
    inChannels: number,
    outHeight: number,
    outWidth: number,
    outChannels: number,
    filterHeight: number,
    filterWidth: number,
    strideY: number,
    strideX: number,
  ): number;
  conv2d(
    input: number,
    batch: number,
    inHeight: number,
    inWidth: number,
    inChannels: number,
    filter: number,
    filterHeight: number,
    filterWidth: number,
    turned: number,
    bias: number,
    output: number,
    outHeight: number,
    outWidth: number,
    outChannels: number,
    strideY: number,
    strideX: number,
    top: number,
    left: number,
    scratch: number,
  ): void;
  silu: Elementwise;
  siluGradient: ElementwiseGradient;
  gelu: Elementwise;
  geluGradient: ElementwiseGradient;
  geglu(x: number, rows: number, features: number, y: number): void;
  gegluGradient(x: number, dy: number, rows: number, features: number, dx: number): void;
  attentionScratch(queries: number, keys: number, size: number): number;
  attention(
    q: number,
    k: number,
    v: number,
    first: number,
    count: number,
    heads: number,
    queries: number,
    keys: number,
    size: number,
    scale: number,
    y: number,
    statistics: number,
    scratch: number,
  ): void;
  attentionGradientScratch(queries: number, keys: number, size: number): number;
  attentionGradient(
    q: number,
    k: number,
    v: number,
    y: number,
    statistics: number,
    dy: number,
    first: number,
    count: number,
    heads: number,
    queries: number,
    keys: number,
    size: number,
    scale: number,
    dq: number,
    dk: number,
    dv: number,
    scratch: number,
  ): void;
  groupNormScratch(channels: number): number;
  groupNorm(
    x: number,
    batch: number,
    pixels: number,
    stride: number,
    channels: number,
    groups: number,
    w: number,
    b: number,
    eps: number,
    silu: number,
    y: number,
    statistics: number,
    scratch: number,
  ): void;
  groupNormGradient(
    x: number,
    dy: number,
    batch: number,
    pixels: number,
    stride: number,
    channels: number,
    groups: number,
    w: number,
    b: number,
    silu: number,
    statistics: number,
    dx: number,
    dw: number,
    db: number,
    scratch: number,
  ): void;
  layerNorm(
    x: number,
    rows: number,
    features: number,
    w: number,
    b: number,
    eps: number,
    y: number,
    statistics: number,
  ): void;
  layerNormScratch(features: number): number;
  layerNormGradient(
    x: number,
    dy: number,
    rows: number,
    features: number,
    w: number,
    statistics: number,
    dx: number,
    dw: number,
    db: number,
    scratch: number,
  ): void;
  adamW(
    p: number,
    m: number,
    v: number,
    g: number,
    count: number,
    keep: number,
    fresh1: number,
    keep2: number,
    fresh2: number,
    eps: number,
    rate: number,
    newP: number,
  ): void;
  movingAverage(average: number, value: number, count: number, fresh: number, result: number): void;
  copyRows(from: number, fromRow: number, to: number, toRow: number, bytes: number, rows: number): void;
  erf: Elementwise;
  sumOver(input: number, outer: number, count: number, inner: number, scale: number, output: number): void;
  softmax(input: number, rows: number, count: number, output: number): void;
  conv2dFilterGradientScratch(
    inWidth: number,
    channels: number,
    outHeight: number,
    outWidth: number,
    outChannels: number,
    filterHeight: number,
    filterWidth: number,
    strideY: number,
  ): number;
  conv2dFilterGradient(
    input: number,
    batch: number,
    inHeight: number,
    inWidth: number,
    inChannels: number,
    channels: number,
    dy: number,
    outHeight: number,
    outWidth: number,
    outChannels: number,
    gradient: number,
    filterHeight: number,
    filterWidth: number,
    strideY: number,
    strideX: number,
    top: number,
    left: number,
    scratch: number,
  ): void;
}
