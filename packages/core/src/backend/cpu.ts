import * as tf from "@tensorflow/tfjs";
import type { Candidate } from "./candidate.js";
import { replaceKernel } from "./replace-kernel.js";

/** Plain JavaScript: runs everywhere, about 30 times slower than wasm; the reference for tests of other backends. */
export const cpuCandidate: Candidate = {
  name: "cpu",
  load: async () => ({ registeredAs: "cpu", afterStart: correctCpuBackend }),
};

/**
 * In TensorFlow.js 4.22, the gradient of resizeNearestNeighbor on cpu reads the wrong part of dy for every picture of a
 * batch except the first. So each picture is passed as a batch of one.
 */
function correctCpuBackend(): void {
  replaceKernel("cpu", tf.ResizeNearestNeighborGrad, (stock) => (call) => {
    const { dy, images } = call.inputs as { dy: tf.Tensor4D; images: tf.Tensor4D };
    const batch = images.shape[0];
    return tf.tidy(() => {
      const parts = tf.split(dy, batch);
      const pictures = tf.split(images, batch);
      const gradients = parts.map((part, i) => {
        const gradient = stock({ ...call, inputs: { dy: part, images: pictures[i]! } }) as tf.TensorInfo;
        return tf.engine().makeTensorFromTensorInfo(gradient) as tf.Tensor4D;
      });
      return tf.concat(gradients, 0);
    });
  });
}
