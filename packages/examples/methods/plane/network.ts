import * as tf from "@tensorflow/tfjs";
import { activation, Linear, namedParameters } from "@tfjs-diffusion/core/nn";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import type { NetworkOptions, StudyNetwork } from "../subject.js";

/** Sines and cosines of this many frequencies, each twice the last, tell the network its time. */
const FREQUENCIES = 6;

const silu = activation("silu");

/** A denoiser of points in the plane: four linear layers, of 128 numbers if not said otherwise. x [B, 2] -> [B, 2]. */
export class PlaneNetwork implements StudyNetwork<tf.Tensor2D> {
  readonly options: Required<NetworkOptions>;
  readonly layers: Linear[];

  constructor(noise: KeyedNoise, { width = 128, classes = 0, timeScale = 1e-3 }: NetworkOptions = {}) {
    this.options = { width, classes, timeScale };
    const labels = classes === 0 ? 0 : classes + 1;
    const widths = [2 + 2 * FREQUENCIES + labels, width, width, width, 2];
    this.layers = widths.slice(1).map((next, i) => new Linear(widths[i]!, next));
    for (const [name, parameter] of namedParameters(this)) {
      tf.tidy(() => parameter.assign(parameter.initializer(parameter.shape, noise.at(name))));
    }
  }

  /** @param labels a class for each point, `classes` meaning none; default: none for all */
  forward(x: tf.Tensor2D, told: readonly number[], labels: readonly number[] = []): tf.Tensor2D {
    const { classes, timeScale } = this.options;
    return tf.tidy(() => {
      const waves = told.map((t) =>
        Array.from({ length: FREQUENCIES }, (_, k) => 2 ** (k - 1) * Math.PI * t * timeScale).flatMap((angle) => [
          Math.sin(angle),
          Math.cos(angle),
        ]),
      );
      const inputs: tf.Tensor2D[] = [x, tf.tensor2d(waves)];
      if (classes > 0) {
        const ids = Int32Array.from(told, (_, i) => labels[i] ?? classes);
        inputs.push(tf.oneHot(tf.tensor1d(ids, "int32"), classes + 1).toFloat() as tf.Tensor2D);
      }
      let h = tf.concat(inputs, 1);
      for (const layer of this.layers.slice(0, -1)) h = silu(layer.forward(h));
      return this.layers.at(-1)!.forward(h);
    });
  }

  parameters(): Map<string, tf.Variable> {
    return new Map([...namedParameters(this)].map(([name, parameter]) => [name, parameter.variable]));
  }

  dispose(): void {
    for (const [, parameter] of namedParameters(this)) parameter.dispose();
  }
}
