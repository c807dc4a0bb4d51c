import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { SchedulerConfigError } from "./errors.js";
import { schedulerFromConfig, schedulerNames } from "./from-config.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import type { Plan, Scheduler, State, StepOptions } from "./scheduler.js";
import { formula, formulaWithVariance } from "./testing/trajectories.js";

beforeAll(() => tf.setBackend("cpu"));

/** At most one way to compute noise levels. */
const sigmaSchedule = fc.constantFrom<object>(
  {},
  { use_karras_sigmas: true },
  { use_exponential_sigmas: true },
  { use_beta_sigmas: true },
  { use_lu_lambdas: true },
);

/**
 * Random configs: every key with values of every kind. A method ignores the keys of other methods.
 */
const anyConfig = fc
  .tuple(
    sigmaSchedule,
    fc.record({
      num_train_timesteps: fc.constantFrom(25, 100, 1000),
      beta_schedule: fc.constantFrom("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace"),
      rescale_betas_zero_snr: fc.boolean(),
      prediction_type: fc.constantFrom("epsilon", "sample", "v_prediction", "flow_prediction"),
      clip_sample: fc.boolean(),
      clip_sample_range: fc.constantFrom(0.5, 1, 4),
      thresholding: fc.boolean(),
      dynamic_thresholding_ratio: fc.constantFrom(0, 0.5, 0.995, 1),
      timestep_spacing: fc.constantFrom("leading", "trailing", "linspace"),
      set_alpha_to_one: fc.boolean(),
      variance_type: fc.constantFrom(
        "fixed_small",
        "fixed_small_log",
        "fixed_large",
        "fixed_large_log",
        "learned_range",
      ),
      skip_prk_steps: fc.boolean(),
      final_sigmas_type: fc.constantFrom("zero", "sigma_min"),
      interpolation_type: fc.constantFrom("linear", "log_linear"),
      timestep_type: fc.constantFrom("discrete", "continuous"),
      solver_order: fc.constantFrom(1, 2, 3),
      solver_type: fc.constantFrom("midpoint", "heun", "logrho", "bh1", "bh2"),
      algorithm_type: fc.constantFrom(
        "dpmsolver++",
        "dpmsolver",
        "sde-dpmsolver++",
        "sde-dpmsolver",
        "deis",
        "data_prediction",
        "noise_prediction",
      ),
      predictor_order: fc.constantFrom(1, 2, 3, 4),
      corrector_order: fc.constantFrom(1, 2, 3, 4),
      predict_x0: fc.boolean(),
      disable_corrector: fc.constantFrom([], [0, 2]),
      lower_order_final: fc.boolean(),
      euler_at_final: fc.boolean(),
      lambda_min_clipped: fc.constantFrom(null, -5.1),
      use_flow_sigmas: fc.boolean(),
      flow_shift: fc.constantFrom(1, 3),
      shift: fc.constantFrom(0.5, 1, 3),
      shift_terminal: fc.constantFrom(null, 0.1),
      invert_sigmas: fc.boolean(),
      stochastic_sampling: fc.boolean(),
      sigma_schedule: fc.constantFrom("karras", "exponential"),
      original_inference_steps: fc.constant(25),
      correct_steps: fc.constantFrom(0, 1, 2),
    }),
  )
  .map(([schedule, config]) => ({
    ...config,
    ...schedule,
    rescale_betas_zero_snr: config.rescale_betas_zero_snr && config.prediction_type === "v_prediction",
  }));
const anyShape = fc.constantFrom<number[][]>([1, 3], [2, 3, 5, 1], [1, 2, 2, 3], [3, 4, 2]);
const anyOptions = fc.record({
  eta: fc.constantFrom(0, 0.5, 1),
  use_clipped_model_output: fc.boolean(),
  s_churn: fc.constantFrom(0, 3),
  s_noise: fc.constantFrom(1, 1.003),
  order: fc.constantFrom(1, 4),
});

/** Runs every step twice; returns whether x was always finite. */
function walkTwice(plan: Plan, learns: boolean, shape: number[], options: StepOptions): boolean {
  const [image, mask] = [tf.zeros(shape), tf.ones(shape)];
  const first = keyedNoise(1).normal(shape);
  let state = plan.start(first);
  let finite = true;
  plan.timesteps.forEach((t, i) => {
    const input = plan.scaleInput(state.x, i);
    const output = learns ? formulaWithVariance(input, t) : formula(input, t);
    const [next, again] = [1, 2].map(() =>
      plan.step(state, output, i, keyedNoise(2).at(i), { ...options, original_image: image, mask }),
    ) as [State, State];
    expect(next.x.shape).toEqual(shape);
    [next.x, ...next.history].forEach((x, k) =>
      expect([...x.dataSync()]).toEqual([...[again.x, ...again.history][k]!.dataSync()]),
    );
    finite &&= next.x.dataSync().every(Number.isFinite);
    tf.dispose([state, again, input, output] as tf.TensorContainer[]);
    state = next;
  });
  tf.dispose([state, image, mask, first] as tf.TensorContainer[]);
  return finite;
}

describe.each(schedulerNames)("%s", (name) => {
  it("gives finite numbers of x's shape for every config, leaks no tensor, and repeats a step exactly", () => {
    fc.assert(
      fc.property(anyConfig, anyShape, fc.integer({ min: 1, max: 12 }), anyOptions, (config, shape, steps, options) => {
        let plan: Plan;
        let scheduler: Scheduler;
        try {
          scheduler = schedulerFromConfig({ ...config, _class_name: name });
          plan = scheduler.plan(steps, { jump_length: 2, jump_n_sample: 2 });
        } catch (error) {
          // An impossible config or plan is refused before any work.
          expect(error instanceof SchedulerConfigError || error instanceof RangeError).toBe(true);
          return;
        }
        const before = tf.memory().numTensors;
        const learns =
          String(scheduler.config["variance_type"]).startsWith("learned") &&
          ["DDPMScheduler", "UnCLIPScheduler"].includes(name);
        expect(walkTwice(plan, learns, shape, options)).toBe(true);
        expect(tf.memory().numTensors).toBe(before);
      }),
      { numRuns: 30, seed: 1801 },
    );
  });
});
