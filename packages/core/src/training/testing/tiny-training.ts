import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { dataOrder } from "../data-order.js";
import type { BatchContext, TrainOptions } from "../train-options.js";

const WIDTH = 24;

/** A three-layer network that learns a noisy sine, small enough for thousands of steps a second. */
export class TinyTraining {
  readonly parameters: Map<string, tf.Variable>;
  readonly order = dataOrder(3, 50);

  constructor() {
    const noise = keyedNoise(11);
    const make = (name: string, shape: number[]): [string, tf.Variable] => [
      name,
      tf.tidy(() => tf.variable(noise.at(name).normal(shape).mul(0.5))),
    ];
    this.parameters = new Map([
      make("in.weight", [1, WIDTH]),
      make("in.bias", [WIDTH]),
      make("middle.weight", [WIDTH, WIDTH]),
      make("out.weight", [WIDTH, 1]),
    ]);
  }

  readonly loss = ({ firstSample, noise }: BatchContext): tf.Scalar => {
    const weight = (name: string) => this.parameters.get(name)!;
    const positions = Array.from({ length: 8 }, (_, j) => this.order(firstSample + j) / 25 - 1);
    const x = tf.tensor2d(positions, [8, 1]);
    const target = x
      .mul(3)
      .sin()
      .add(noise.normal([8, 1]).mul(0.01));
    const hidden = x.matMul(weight("in.weight")).add(weight("in.bias")).tanh();
    return hidden
      .matMul(weight("middle.weight"))
      .tanh()
      .matMul(weight("out.weight"))
      .sub(target)
      .square()
      .mean<tf.Scalar>();
  };

  options(changes: Partial<TrainOptions> = {}): TrainOptions {
    const { parameters, loss } = this;
    return {
      parameters,
      loss,
      steps: 20,
      batchSize: 8,
      seed: 5,
      gradientClip: 0.5,
      emaDecay: 0.9,
      schedule: (step) => 0.02 / Math.sqrt(step),
      ...changes,
    };
  }

  values(): Record<string, number[]> {
    return Object.fromEntries([...this.parameters].map(([name, value]) => [name, [...value.dataSync()]]));
  }

  dispose(): void {
    tf.dispose([...this.parameters.values()]);
  }
}
