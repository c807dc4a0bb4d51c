import * as tf from "@tensorflow/tfjs";
import { DDPMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import type { Workload } from "./workload.js";

const STEPS = 1000;
const SHAPE = [1, 8, 8, 3];

/** A trivial network, so that the time is that of the sampler. */
const trivialNetwork = (x: tf.Tensor): tf.Tensor => x.mul(0.1);

/** DDPM over all its steps, as in a user's program. */
export function ddpmLoop(): Workload {
  const plan = new DDPMScheduler().plan(STEPS);
  const first = keyedNoise(0).normal(SHAPE);
  const run = () => {
    const noise = keyedNoise(1);
    let state = plan.start(first);
    for (const i of plan.timesteps.keys()) {
      const next = tf.tidy(() => plan.step(state, trivialNetwork(plan.scaleInput(state.x, i)), i, noise));
      tf.dispose(state);
      state = next;
    }
    return [state.x];
  };
  return { flop: 0, steps: STEPS, run };
}

/** Only the necessary operations on tensors, with noise drawn in advance: the lower bound for a sampler. */
export function bareLoop(): Workload {
  const first = keyedNoise(0).normal(SHAPE);
  const drawn = keyedNoise(1).normal(SHAPE).dataSync();
  const run = () => {
    let x = first.clone();
    for (let step = 0; step < STEPS; step++) {
      const next = tf.tidy(() => {
        const x0 = x.mul(1.01).add(trivialNetwork(x).mul(-0.1)).clipByValue(-1, 1);
        return x0.mul(0.01).add(x.mul(0.98)).add(tf.tensor(drawn, SHAPE).mul(0.1));
      });
      x.dispose();
      x = next;
    }
    return [x];
  };
  return { flop: 0, steps: STEPS, run };
}
