import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { DDPMScheduler } from "./ddpm.js";
import { schedulerFromConfig, schedulerNames } from "./from-config.js";
import { keyedNoise } from "./keyed-noise.js";
import type { Scheduler, State } from "./scheduler.js";
import { formula, formulaWithVariance } from "./testing/trajectories.js";

beforeAll(() => tf.setBackend("cpu"));

/** Settings that methods share, drawn at random; each method takes what it has. */
const anyConfig = fc.record({
  num_train_timesteps: fc.constantFrom(25, 100, 1000),
  beta_schedule: fc.constantFrom("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"),
  prediction_type: fc.constantFrom("epsilon", "v_prediction"),
  timestep_spacing: fc.constantFrom("leading", "trailing", "linspace"),
  thresholding: fc.boolean(),
  use_karras_sigmas: fc.boolean(),
  solver_order: fc.constantFrom(1, 2, 3),
  solver_type: fc.constantFrom("midpoint", "heun", "bh1", "bh2"),
  algorithm_type: fc.constantFrom("dpmsolver++", "sde-dpmsolver++"),
  predictor_order: fc.constantFrom(1, 2, 3),
  corrector_order: fc.constantFrom(1, 2, 3),
  skip_prk_steps: fc.boolean(),
  lower_order_final: fc.boolean(),
  stochastic_sampling: fc.boolean(),
  original_inference_steps: fc.constant(25),
});
const anyShape = fc.constantFrom<number[][]>([1, 3], [2, 3, 5, 1], [1, 2, 2, 3], [3, 4, 2]);

/** algorithm_type has other values for it; clean at any config is what is to be seen here. */
function configOf(name: string, shared: Record<string, unknown>): Record<string, unknown> & { _class_name: string } {
  const own = name === "SASolverScheduler" || name === "DEISMultistepScheduler" ? { algorithm_type: undefined } : {};
  return { ...shared, ...own, _class_name: name };
}

describe.each(schedulerNames)("%s", (name) => {
  const learns = (scheduler: Scheduler) => String(scheduler.config["variance_type"]).startsWith("learned");

  it("over its configs gives finite numbers of x's shape, leaks nothing, and takes the same step twice", () => {
    fc.assert(
      fc.property(anyConfig, anyShape, fc.integer({ min: 1, max: 12 }), (shared, shape, steps) => {
        const scheduler = schedulerFromConfig(configOf(name, shared));
        const plan = scheduler.plan(name === "PNDMScheduler" && !shared.skip_prk_steps ? Math.max(steps, 4) : steps, {
          jump_length: 2,
          jump_n_sample: 2,
        });
        const before = tf.memory().numTensors;
        const [image, mask] = [tf.zeros(shape), tf.ones(shape)];
        const first = keyedNoise(1).normal(shape);
        let state = plan.start(first);
        plan.timesteps.forEach((t, i) => {
          const input = plan.scaleInput(state.x, i);
          const output = learns(scheduler) ? formulaWithVariance(input, t) : formula(input, t);
          const options = { original_image: image, mask };
          const [next, again] = [1, 2].map(() => plan.step(state, output, i, keyedNoise(2).at(i), options)) as [
            State,
            State,
          ];
          expect(next.x.shape).toEqual(shape);
          expect(next.x.dataSync()).toEqual(again.x.dataSync());
          tf.dispose([state, again, input, output] as tf.TensorContainer[]);
          state = next;
        });
        expect(state.x.dataSync().every(Number.isFinite)).toBe(true);
        tf.dispose([state, image, mask, first] as tf.TensorContainer[]);
        expect(tf.memory().numTensors).toBe(before);
      }),
      { numRuns: 12, seed: 1801 },
    );
  });

  it("is rebuilt by its config, as JSON", () => {
    const scheduler = schedulerFromConfig({ _class_name: name });
    const read = JSON.parse(JSON.stringify(scheduler.config)) as typeof scheduler.config;
    expect(schedulerFromConfig(read).config).toEqual(scheduler.config);
  });

  it("names what is wrong with a config or a request, and what to do", () => {
    const make = (config: object) => () => schedulerFromConfig({ _class_name: name, ...config });
    expect(make({ beta_shedule: "linear" })).toThrow(`${name}: beta_shedule is not a key that any scheduler knows`);
    expect(make({ beta_schedule: "cubic" })).toThrow(
      'beta_schedule is "cubic", which is not known here; give one of linear, scaled_linear',
    );
    expect(make({ prediction_type: "noise" })).toThrow("give one of epsilon, sample, v_prediction, flow_prediction");
    const scheduler = make({})();
    for (const steps of [0, -1, 2.5, 1e6]) {
      expect(() => scheduler.plan(steps)).toThrow(
        `plan(${steps}): the number of steps must be a whole number from 1 to`,
      );
    }
    expect(() => scheduler.plan({ timesteps: [3, 2], sigmas: [1, 0] })).toThrow("give exactly one of");
    const plan = scheduler.plan(8);
    tf.tidy(() => {
      const state = plan.start(tf.zeros([1, 2, 2, 3]));
      const step = (i: number, channels: number) => () =>
        plan.step(state, tf.zeros([1, 2, 2, channels]), i, keyedNoise(0));
      expect(step(plan.timesteps.length, 3)).toThrow("ask for one of them, or plan more steps");
      expect(step(0, 4)).toThrow("the network's output is [1, 2, 2, 4], x is [1, 2, 2, 3]");
    });
  });
});

describe("schedulerFromConfig", () => {
  it("lists the classes it knows when it does not know one", () => {
    expect(() => schedulerFromConfig({ _class_name: "Nope" })).toThrow("known: CMStochasticIterativeScheduler, ");
  });

  it("keeps what is shared, and what is not, through a change of class and back", () => {
    const first = schedulerFromConfig({
      _class_name: "DPMSolverMultistepScheduler",
      final_sigmas_type: "sigma_min",
      beta_end: 0.012,
    });
    const other = schedulerFromConfig({ ...first.config, _class_name: "DEISMultistepScheduler" });
    expect(other.config["beta_end"]).toBe(0.012);
    expect(schedulerFromConfig({ ...other.config, _class_name: "DPMSolverMultistepScheduler" }).config).toEqual(
      first.config,
    );
  });
});

describe("timesteps", () => {
  it.each([
    [[5, 9], "entry 1 is 9"],
    [[1000, 1], "entry 0 is 1000"],
    [[5.5, 1], "entry 0 is 5.5"],
    [[], "the list is empty"],
  ])("%j are refused: %s", (timesteps, words) => {
    expect(() => new DDPMScheduler().plan({ timesteps })).toThrow(words);
  });

  it("learned variance needs twice the channels, and says so", () => {
    const plan = new DDPMScheduler({ variance_type: "learned_range" }).plan(5);
    tf.tidy(() => {
      const state = plan.start(tf.zeros([1, 2, 2, 3]));
      expect(() => plan.step(state, tf.zeros([1, 2, 2, 3]), 0, keyedNoise(0))).toThrow(
        "Learned variances take twice the channels",
      );
    });
  });
});
