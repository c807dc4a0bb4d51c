import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "./from-config.js";
import { torchNoise } from "./torch-noise.js";

beforeAll(() => tf.setBackend("cpu"));

/** diffusers' SchedulerCommonTest: sample[b, c, h, w] = (((c * 8 + h) * 8 + w) * 4 + b) / 768, the noise is the same backwards. */
const SHAPE = [4, 3, 8, 8];
const SIZE = 768;
const ramp = Array.from({ length: SIZE }, (_, i) => {
  const [b, rest] = [Math.floor(i / 192), i % 192];
  return (rest * 4 + b) / SIZE;
});
const sample = () => tf.tensor(ramp, SHAPE);
const noise = () =>
  tf.tensor(
    ramp.map((x) => (SIZE - 1) / SIZE - x),
    SHAPE,
  );
/** diffusers' dummy_model. */
const network = (x: tf.Tensor, t: number) => x.mul(t / (t + 1));

/** The loop of diffusers' tests, from step `first` (then from noised samples), and the sum of |x| at its end. */
function loopSum(config: Record<string, unknown> & { _class_name: string }, steps: number, first = 0): number {
  return tf.tidy(() => {
    const scheduler = schedulerFromConfig(config);
    const plan = scheduler.plan(steps);
    const source = torchNoise(0);
    let state = plan.resume(first ? scheduler.addNoise(sample(), noise(), [plan.timesteps[first]!]) : sample(), first);
    for (let i = first; i < plan.timesteps.length; i++) {
      const next = tf.tidy(() => plan.step(state, network(plan.scaleInput(state.x, i), plan.timesteps[i]!), i, source));
      state.x.dispose();
      state = next;
    }
    return Array.from(state.x.dataSync()).reduce((sum, x) => sum + Math.abs(x), 0);
  });
}

// Expected sums: huggingface/diffusers 58eb52c080, tests/schedulers/test_scheduler_{ddpm,ddim}.py, in their words; their tolerance, 1e-2.
describe("The loops of diffusers' own tests", () => {
  const DDPM = { _class_name: "DDPMScheduler" };
  const DDIM = { _class_name: "DDIMScheduler" };
  it.each([
    ["DDPM full_loop_no_noise", DDPM, 1000, 0, 258.9606],
    ["DDPM full_loop_with_v_prediction", { ...DDPM, prediction_type: "v_prediction" }, 1000, 0, 202.0296],
    ["DDPM full_loop_with_noise", DDPM, 1000, 998, 387.9466],
    ["DDIM full_loop_no_noise", DDIM, 10, 0, 172.0067],
    ["DDIM full_loop_with_v_prediction", { ...DDIM, prediction_type: "v_prediction" }, 10, 0, 52.5302],
    ["DDIM full_loop_with_set_alpha_to_one", { ...DDIM, beta_start: 0.01 }, 10, 0, 149.8295],
    [
      "DDIM full_loop_with_no_set_alpha_to_one",
      { ...DDIM, beta_start: 0.01, set_alpha_to_one: false },
      10,
      0,
      149.0784,
    ],
    ["DDIM full_loop_with_noise", DDIM, 10, 8, 354.5418],
  ] as const)("%s", (_, config, steps, first, sum) => {
    expect(Math.abs(loopSum(config, steps, first) - sum)).toBeLessThan(1e-2);
  });
});
