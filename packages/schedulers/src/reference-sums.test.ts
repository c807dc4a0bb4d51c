import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { combine } from "./combine.js";
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
function loopSum(
  config: Record<string, unknown> & { _class_name: string },
  steps: number,
  first = 0,
  scaledInPlace = false,
): number {
  return tf.tidy(() => {
    const scheduler = schedulerFromConfig(config);
    const plan = scheduler.plan(steps);
    const source = torchNoise(0);
    const start = combine([plan.initNoiseSigma, sample()]);
    let state = plan.resume(first ? plan.addNoise(start, noise(), first) : start, first);
    for (let i = first; i < plan.timesteps.length; i++) {
      const next = tf.tidy(() => {
        const input = plan.scaleInput(state.x, i);
        // The loops of the Euler family's tests put the scaled sample in the sample's place.
        const from = scaledInPlace ? { ...state, x: input } : state;
        return plan.step(from, network(input, plan.timesteps[i]!), i, source);
      });
      tf.dispose(state);
      state = next;
    }
    return Array.from(state.x.dataSync()).reduce((sum, x) => sum + Math.abs(x), 0);
  });
}

// Expected sums: huggingface/diffusers 58eb52c080, tests/schedulers/test_scheduler_*.py, in their words; their tolerance, 1e-2 (2e-7 of the large sums: one in the last place).
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

describe("The other loops, of 10 steps", () => {
  const euler = { num_train_timesteps: 1100 };
  const solver = { solver_order: 2, lower_order_final: false, final_sigmas_type: "sigma_min" };
  it.each([
    ["PNDM full_loop_no_noise", "PNDM", {}, 0, 198.1318],
    ["PNDM full_loop_with_v_prediction", "PNDM", { prediction_type: "v_prediction" }, 0, 67.3986],
    ["DDIMInverse full_loop_no_noise", "DDIMInverse", {}, 0, 671.6816],
    ["Euler full_loop_no_noise", "EulerDiscrete", euler, 0, 10.0807],
    ["Euler full_loop_no_noise_karras", "EulerDiscrete", { ...euler, use_karras_sigmas: true }, 0, 124.52299],
    ["Euler full_loop_with_noise", "EulerDiscrete", euler, 8, 57062.9297],
    ["Euler ancestral full_loop_no_noise", "EulerAncestralDiscrete", euler, 0, 152.3192],
    [
      "Euler ancestral full_loop_with_v_prediction",
      "EulerAncestralDiscrete",
      { ...euler, prediction_type: "v_prediction" },
      0,
      108.4439,
    ],
    ["Heun full_loop_no_noise", "HeunDiscrete", { ...euler, beta_start: 0.0001, beta_end: 0.02 }, 0, 0.1233],
    ["LMS full_loop_no_noise", "LMSDiscrete", euler, 0, 1006.388],
    ["DPM-Solver++ full_loop_no_noise", "DPMSolverMultistep", solver, 0, 0.33014503 * SIZE],
    ["DPM-Solver++ full_loop_with_noise", "DPMSolverMultistep", solver, 5, 318.4111],
    ["UniPC full_loop_no_noise", "UniPCMultistep", { final_sigmas_type: "sigma_min" }, 0, 0.24639563 * SIZE],
    ["LCM full_loop_multistep", "LCM", {}, 0, 197.7616],
    ["EDM Euler full_loop_no_noise", "EDMEuler", { num_train_timesteps: 256 }, 0, 34.1855],
  ] as const)("%s", (_, name, config, first, sum) => {
    const scaledInPlace = /^(Euler|Heun|LMS)/.test(name);
    const got = loopSum({ _class_name: `${name}Scheduler`, ...config }, 10, first, scaledInPlace);
    expect(Math.abs(got - sum)).toBeLessThan(Math.max(1e-2, 2e-7 * sum));
  });
});
