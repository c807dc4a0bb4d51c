import * as tf from "@tensorflow/tfjs";
import { AdamW, Ema, ParameterBuckets, parameterGradients } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { type Axis, AXES } from "./growth-axes.js";
import { buildNetwork, CARD_NETWORKS, type Network, NETWORKS } from "./networks.js";
import { bareLoop, ddpmLoop } from "./sampler.js";
import type { Workload } from "./workload.js";

/** What can be measured, by name; each is built on the backend that is current when it is called. */
export const WORKLOADS: Record<string, () => Workload> = {
  "faces forward": () => forward(NETWORKS.faces),
  "faces train step": () => trainStep(NETWORKS.faces),
  "mini-sd forward": () => forward(NETWORKS["mini-sd"]),
  "mini-sd train step": () => trainStep(NETWORKS["mini-sd"]),
  "conv2d 3x3": () => convolution((x, filter) => [tf.conv2d(x, filter, 1, "same")], 1),
  "conv2d 3x3, both gradients": () => convolution((x, filter, dy) => gradients(x, filter, dy), 2),
  "matMul 1024x512x512": () => product([1024, 512], [512, 512]),
  "product 2048x2048x2048": () => product([2048, 2048], [2048, 2048]),
  "matMul, first transposed": () => product([512, 1024], [512, 512], true),
  "matMul 16 x 256x64x256, second transposed": () => product([16, 256, 64], [16, 256, 64], false, true),
  "sampler: DDPM, 1,000 steps of 8x8x3": ddpmLoop,
  "sampler: its operations alone": bareLoop,
};

/** The workload called `name`; throws a RangeError where there is none. */
export function workload(name: string): Workload {
  const known = WORKLOADS[name];
  if (known) return known();
  const [kind, what, size, ...pass] = name.split(" ") as [string, string, string];
  const network = sizedNetwork(kind, what, Number(size));
  if (!network) throw new RangeError(`There is no workload called ${name}.`);
  return pass.join(" ") === "forward" ? forward(network) : trainStep(network);
}

/** The faces' network at a size along an axis, or a network at a batch. */
function sizedNetwork(kind: string, what: string, size: number): Network | undefined {
  if (kind === "growth") return AXES[what as Axis]?.of(size);
  const known = kind === "batch" ? CARD_NETWORKS[what] : undefined;
  return known && { ...known, batch: size, flop: (known.flop * size) / known.batch };
}

/** What is told as a ratio, beside the times of both. */
export const RATIOS = [["sampler: DDPM, 1,000 steps of 8x8x3", "sampler: its operations alone"]] as const;

function forward(network: Network): Workload {
  const { predict } = buildNetwork(network);
  return { flop: network.flop, run: () => [predict()] };
}

/** A network, and what it predicts. */
type Trained = Pick<ReturnType<typeof buildNetwork>, "model" | "predict">;

/** A training step in its two halves: forward and backward of a mean of squares; AdamW and the moving average. */
export function trainingOf({ model, predict }: Trained) {
  const parameters = model.parameters();
  const buckets = new ParameterBuckets(parameters);
  const optimizer = new AdamW(buckets);
  const average = new Ema(buckets, 0.999);
  return {
    differentiate: () => parameterGradients(() => predict().square().mean(), parameters),
    update: (gradients: tf.NamedTensorMap) => {
      optimizer.step(gradients, 1e-4);
      average.update();
    },
  };
}

function trainStep(network: Network): Workload {
  return { flop: 3 * network.flop, run: stepOf(buildNetwork(network)) };
}

/** A whole training step, which returns the loss. */
export function stepOf(trained: Trained): () => tf.Tensor[] {
  const { differentiate, update } = trainingOf(trained);
  return () => {
    const { loss, gradients } = differentiate();
    update(gradients);
    tf.dispose(gradients);
    return [loss];
  };
}

function convolution(
  compute: (x: tf.Tensor4D, filter: tf.Tensor4D, dy: tf.Tensor4D) => tf.Tensor[],
  passes: number,
): Workload {
  const noise = keyedNoise(2);
  const x = noise.normal([8, 16, 16, 64]) as tf.Tensor4D;
  const filter = noise.normal([3, 3, 64, 64]) as tf.Tensor4D;
  const dy = noise.normal([8, 16, 16, 64]) as tf.Tensor4D;
  return { flop: passes * 2 * 8 * 16 * 16 * 9 * 64 * 64, run: () => compute(x, filter, dy) };
}

function gradients(x: tf.Tensor4D, filter: tf.Tensor4D, dy: tf.Tensor4D): tf.Tensor[] {
  const attributes = { strides: 1, pad: "same", dataFormat: "NHWC" };
  return [
    tf.engine().runKernel<tf.Tensor>(tf.Conv2DBackpropInput, { dy, filter }, { ...attributes, inputShape: x.shape }),
    tf.engine().runKernel<tf.Tensor>(tf.Conv2DBackpropFilter, { x, dy }, { ...attributes, filterShape: filter.shape }),
  ];
}

function product(aShape: number[], bShape: number[], transposeA = false, transposeB = false): Workload {
  const noise = keyedNoise(3);
  const [a, b] = [noise.normal(aShape), noise.normal(bShape)];
  const depth = aShape.at(transposeA ? -2 : -1)!;
  const result = tf.matMul(a, b, transposeA, transposeB);
  const flop = 2 * result.size * depth;
  result.dispose();
  return { flop, run: () => [tf.matMul(a, b, transposeA, transposeB)] };
}
