import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { largestDifference, sumTolerance, uniformValues, type Values } from "./testing/compare.js";
import { useBackend } from "./use-backend.js";

// Any driver will do, a software one too: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json
// LD_LIBRARY_PATH=/usr/lib/chromium.
const unavailable = await useBackend("webgpu").then(
  () => undefined,
  (error: Error) => error.message,
);
if (unavailable !== undefined) console.info(`WebGPU is not tested here: ${unavailable}`);
// WebGPU is optional: it needs a driver and the npm package webgpu.
const test = unavailable === undefined ? it : it.skip;

/** As in training: the value of a small loss, and its gradients. WebGPU hands results over asynchronously only. */
async function lossAndGradients(backend: string, inputs: Values[]): Promise<Values[]> {
  await tf.setBackend(backend);
  const tensors = inputs.map(({ shape, values }) => tf.tensor(values, shape));
  const results = tf.tidy(() => {
    const convolve = (x: tf.Tensor, f: tf.Tensor): tf.Tensor =>
      tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 1, "same");
    const loss = (x: tf.Tensor, f: tf.Tensor) => tf.softmax(convolve(x, f)).square().sum();
    return [convolve(tensors[0]!, tensors[1]!), ...tf.grads(loss)(tensors)];
  });
  const values = await Promise.all(
    results.map(async (result) => ({ shape: result.shape, values: await result.data() })),
  );
  tf.dispose([tensors, results]);
  return values as Values[];
}

describe("useBackend on WebGPU in Node", () => {
  test("computes a convolution and gradients as the cpu backend does", async () => {
    const inputs = [uniformValues([2, 7, 9, 5], 1), uniformValues([3, 3, 5, 6], 2)];
    const [gpu, cpu] = [await lossAndGradients("webgpu", inputs), await lossAndGradients("cpu", inputs)];
    // Sums run over 2*7*9 = 126 pixels; WGSL allows exp an error of 3 + 2|x| units in the last place, |x| up to 15.
    for (const [i, values] of gpu.entries()) {
      expect(largestDifference(values, cpu[i]!)).toBeLessThanOrEqual(sumTolerance(126) + 33 * 2 ** -24);
    }
  });
});
