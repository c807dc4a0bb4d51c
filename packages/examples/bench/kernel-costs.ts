import * as tf from "@tensorflow/tfjs";

type Kernel = Awaited<ReturnType<typeof tf.profile>>["kernels"][number];

/** The profiler's name for an op with a custom gradient; the kernels inside it are listed separately. */
const CUSTOM_GRADIENT = "unnamed scope";

export interface KernelCost {
  name: string;
  calls: number;
  milliseconds: number;
  /** Multiplications and additions of convolutions and matrix products; all other work counts as 0. */
  flop: number;
  /** Size of its results. */
  bytes: number;
}

/**
 * Runs `body` a few times under TensorFlow.js' profiler and sums time and arithmetic by kernel, the slowest first. The
 * time of each call is the shortest of its runs, because other work on the machine only adds time.
 */
export async function kernelCosts(body: () => tf.TensorContainer, runs = 3): Promise<KernelCost[]> {
  const calls = await profiledCalls(body);
  for (let run = 1; run < runs; run++) {
    for (const [i, { milliseconds }] of (await profiledCalls(body)).entries()) {
      if (calls[i]) calls[i].milliseconds = Math.min(calls[i].milliseconds, milliseconds);
    }
  }
  const costs = new Map<string, KernelCost>();
  for (const { kernel, milliseconds } of calls) {
    const { name } = kernel;
    const cost = costs.get(name) ?? { name, calls: 0, milliseconds: 0, flop: 0, bytes: 0 };
    cost.calls++;
    cost.milliseconds += milliseconds;
    cost.flop += flopOf(kernel);
    cost.bytes += kernel.bytesAdded;
    costs.set(name, cost);
  }
  return [...costs.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

/** Every kernel that one run of `body` calls, with its time. */
export async function profiledCalls(
  body: () => tf.TensorContainer,
): Promise<{ kernel: Kernel; milliseconds: number }[]> {
  const { kernels } = await tf.profile(body);
  const named = kernels.filter(({ name }) => name !== CUSTOM_GRADIENT);
  return Promise.all(named.map(async (kernel) => ({ kernel, milliseconds: Number(await kernel.kernelTimeMs) })));
}

/** The arithmetic of all that `body` does, see {@link KernelCost.flop}. */
export async function countFlop(body: () => Promise<unknown>): Promise<number> {
  const { kernels } = await tf.profile(async () => {
    await body();
    return [];
  });
  return kernels.filter(({ name }) => name !== CUSTOM_GRADIENT).reduce((sum, kernel) => sum + flopOf(kernel), 0);
}

/** 2 operations (multiply, add) for each element of a matrix product's or convolution's inner sum. */
function flopOf({ name, inputShapes, outputShapes }: Kernel): number {
  const [first, second] = inputShapes.map((shape) => shape ?? []);
  const output = outputShapes[0]!;
  const size = tf.util.sizeFromShape;
  switch (name) {
    case "Conv2D":
    case "FusedConv2D":
      return 2 * size(output) * size(second!.slice(0, 3));
    case "Conv2DBackpropInput":
      return 2 * size(first!) * size(second!.slice(0, 3));
    case "Conv2DBackpropFilter":
      return 2 * size(second!) * size(output.slice(0, 3));
    case "diffusion.Conv2D":
      return 2 * size(output) * size(second!.slice(0, 3));
    case "diffusion.Conv2DGradient":
      return 4 * size(inputShapes.at(-1)!) * size(second!.slice(0, 3));
    case "diffusion.Affine":
      return 2 * size(output) * second![0]!;
    case "diffusion.AffineGradient":
      return 4 * size(first!) * second![1]!;
    // The products of q with k and of the weights with v; the gradient recomputes the scores and has four more
    // products.
    case "diffusion.Attention":
      return 4 * size(first!) * second![1]!;
    case "diffusion.AttentionGradient":
      return 10 * size(first!) * second![1]!;
    case "BatchMatMul":
    case "_FusedMatMul": {
      const batch = size(output.slice(0, -2));
      const inner = Math.sqrt((size(first!) * size(second!)) / (size(output) * batch));
      return 2 * size(output) * inner;
    }
    default:
      return 0;
  }
}
