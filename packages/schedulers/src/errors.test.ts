import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { SchedulerConfigError } from "./errors.js";
import { schedulerFromConfig, schedulerNames } from "./from-config.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import type { PlanOptions, PlanRequest, Scheduler, StepOptions } from "./scheduler.js";

// Each error is typed, says what was given, what was expected and what to do, and is thrown before any work.

beforeAll(() => tf.setBackend("cpu"));

const make = (name: string, config: object = {}): Scheduler =>
  schedulerFromConfig({ ...config, _class_name: `${name}Scheduler` });

/** The class and the message of the error that a call throws. */
function thrownBy(call: () => unknown): [kind: unknown, message: string] {
  try {
    tf.tidy(() => void call());
  } catch (error) {
    return [(error as Error).constructor, (error as Error).message];
  }
  throw new Error("It threw nothing.");
}

describe.each(schedulerNames)("%s", (name) => {
  const scheduler = schedulerFromConfig({ _class_name: name });

  it.each([0, -1, 2.5, 1e6, NaN, "10", null, undefined])("refuses to plan %p steps", (steps) => {
    const [kind, message] = thrownBy(() => scheduler.plan(steps as number));
    expect(kind).toBe(RangeError);
    expect(message).toMatch(
      /^plan\(.*\): the number of steps must be a whole number from 1 to \d+, the number of training timesteps\. Fewer steps are faster, more steps are more accurate; 20 to 50 are usual\.$/,
    );
  });

  it("takes typed arrays where it takes lists of numbers", () => {
    const requests = [
      [{ timesteps: Int32Array.of(600, 200) }, { timesteps: [600, 200] }],
      [{ sigmas: Float64Array.of(0.8, 0.4, 0) }, { sigmas: [0.8, 0.4, 0] }],
    ];
    const planned = (request: PlanRequest) => {
      try {
        const { timesteps, sigmas } = scheduler.plan(request);
        return [timesteps, sigmas];
      } catch (error) {
        return (error as Error).message;
      }
    };
    for (const [typed, listed] of requests) expect(planned(typed!)).toEqual(planned(listed!));
    const message = "plan({ timesteps }): 5 is no list; give a list of numbers, or a typed array.";
    if (Array.isArray(planned(requests[0]![1]!))) expect(planned({ timesteps: 5 } as never)).toBe(message);
    tf.tidy(() => {
      const x = tf.ones([2, 3]);
      const added = (times: ArrayLike<number>) => scheduler.addNoise(x, x, times as number[]).dataSync();
      expect(added(Float32Array.of(0.25, 0.5).fill(1))).toEqual(added([1, 1]));
    });
  });

  it("refuses timesteps together with steps or sigmas, and an empty request", () => {
    const all = { steps: 10, timesteps: [3, 2], sigmas: [1, 0] };
    const { steps, timesteps, sigmas } = all;
    for (const request of [{ steps, timesteps }, { timesteps, sigmas }, {}]) {
      const [kind, message] = thrownBy(() => scheduler.plan(request as PlanRequest));
      expect(kind).toBe(RangeError);
      expect(message).toContain(
        `plan: the request has ${Object.keys(request).join(" and ") || "nothing"}; give exactly one of steps`,
      );
    }
  });

  it("refuses a step out of range, in every function that takes one", () => {
    const plan = scheduler.plan(8);
    const n = plan.timesteps.length;
    const x = tf.zeros([1, 2, 2, 3]);
    const state = plan.start(x);
    for (const i of [n, -1, 0.5, NaN]) {
      const want = `Step ${i}: this plan has steps 0 to ${n - 1}; ask for one of them, or plan more steps.`;
      for (const call of [
        () => plan.step(state, x, i, keyedNoise(0)),
        () => plan.scaleInput(x, i),
        () => plan.resume(x, i),
        () => plan.addNoise(x, x, i),
      ]) {
        expect(thrownBy(call)).toEqual([RangeError, want]);
      }
    }
    tf.dispose([x, state] as tf.TensorContainer[]);
  });

  it("refuses an output or a noise of another shape than x", () => {
    const plan = scheduler.plan(8);
    tf.tidy(() => {
      const state = plan.start(tf.zeros([1, 2, 2, 3]));
      for (const shape of [[1, 2, 2, 4], [1, 3, 2, 2], [2, 2, 2, 3], [12]]) {
        const [kind, message] = thrownBy(() => plan.step(state, tf.zeros(shape), 0, keyedNoise(0)));
        expect(kind).toBe(RangeError);
        expect(message).toBe(
          `plan.step: the network's output is [${shape.join(", ")}], x is [1, 2, 2, 3]. Give the output for this x, of the same shape, channels last.`,
        );
        expect(thrownBy(() => plan.addNoise(state.x, tf.zeros(shape), 0))).toEqual([
          RangeError,
          `addNoise: the samples are [1, 2, 2, 3], the noise is [${shape.join(", ")}]; draw it as noise.normal(x0.shape).`,
        ]);
      }
    });
  });

  it("refuses an unknown key, and lists its own keys", () => {
    const [kind, message] = thrownBy(() => schedulerFromConfig({ _class_name: name, beta_shedule: "linear" }));
    expect(kind).toBe(SchedulerConfigError);
    const own = Object.keys(scheduler.config).filter((key) => key !== "_class_name");
    expect(message).toBe(
      `${name}: beta_shedule is not a key of any scheduler; the keys of this one are ${own.join(", ")}. Remove it, or correct its name.`,
    );
  });

  it("refuses a value that its key cannot have, for each of its keys", () => {
    for (const key of Object.keys(scheduler.config).filter((key) => key !== "_class_name")) {
      const [kind, message] = thrownBy(() => schedulerFromConfig({ _class_name: name, [key]: { odd: 1 } }));
      expect(kind).toBe(SchedulerConfigError);
      expect(message).toMatch(new RegExp(`^${name}: ${key} is \\{"odd":1\\}; it must be .+\\.$`));
    }
  });
});

describe("a config", () => {
  it.each([
    [
      "DDIM",
      { beta_schedule: "cubic" },
      'DDIMScheduler: beta_schedule is "cubic"; it must be one of linear, scaled_linear, squaredcos_cap_v2, sigmoid, exp, laplace.',
    ],
    [
      "DDIM",
      { prediction_type: "noise" },
      'DDIMScheduler: prediction_type is "noise"; it must be one of epsilon, sample, v_prediction, flow_prediction.',
    ],
    [
      "DDIM",
      { num_train_timesteps: 0 },
      "DDIMScheduler: num_train_timesteps is 0; it must be a whole number from 1 to 1000000.",
    ],
    [
      "DDIM",
      { beta_start: 0.5, beta_end: 0.1 },
      "beta_start 0.5 and beta_end 0.1 must be ascending numbers in [0, 1].",
    ],
    [
      "DDIM",
      { trained_betas: [0.1, 2] },
      "DDIMScheduler: trained_betas is [0.1,2]; it must be a list of numbers from 0 to 1, or null.",
    ],
    [
      "DDPM",
      { variance_type: "small" },
      'DDPMScheduler: variance_type is "small"; it must be one of fixed_small, fixed_small_log, fixed_large, fixed_large_log, learned, learned_range, or null.',
    ],
    [
      "DPMSolverMultistep",
      { solver_order: 4 },
      "DPMSolverMultistepScheduler: solver_order is 4; it must be 1, 2 or 3.",
    ],
    [
      "DPMSolverMultistep",
      { algorithm_type: "dpmsolver" },
      "DPMSolverMultistepScheduler: algorithm_type dpmsolver cannot step to a noise level of 0, where epsilon is undefined. Set final_sigmas_type to sigma_min, or algorithm_type to dpmsolver++.",
    ],
    [
      "EDMEuler",
      { prediction_type: "sample" },
      'EDMEulerScheduler: prediction_type is "sample"; it must be one of epsilon, v_prediction.',
    ],
    [
      "DDIMInverse",
      { prediction_type: "sample" },
      "DDIMInverseScheduler: a network that predicts the sample says nothing about the noise in a clean picture. Set set_alpha_to_one to false, or use a network with another prediction_type.",
    ],
  ])("%s %j: %s", (name, config, want) => {
    expect(thrownBy(() => make(name, config))).toEqual([SchedulerConfigError, want]);
  });

  it.each([
    ["Nope", '"Nope"'],
    [undefined, "missing"],
    [7, "7"],
  ])("of an unknown class, %p, lists the known ones", (name, told) => {
    const want =
      `schedulerFromConfig: _class_name is ${told}; known: ${schedulerNames.join(", ")}. ` +
      "Give a class of your own as classes: { MyScheduler }.";
    expect(thrownBy(() => schedulerFromConfig({ _class_name: name }))).toEqual([SchedulerConfigError, want]);
    if (name === undefined) expect(thrownBy(() => schedulerFromConfig(null as never))[1]).toBe(want);
  });
});

describe("a plan", () => {
  const whole = "give whole numbers from 999 down to 0, each smaller than the one before.";
  it.each([
    ["DDIM", { timesteps: [5, 9] }, `plan({ timesteps }): entry 1 is 9; ${whole}`],
    ["DDIM", { timesteps: [3, 3] }, `plan({ timesteps }): entry 1 is 3; ${whole}`],
    ["DDPM", { timesteps: [1000, 1] }, `plan({ timesteps }): entry 0 is 1000; ${whole}`],
    ["LCM", { timesteps: [-1] }, `plan({ timesteps }): entry 0 is -1; ${whole}`],
    ["UniPCMultistep", { timesteps: [5.5, 1] }, `plan({ timesteps }): entry 0 is 5.5; ${whole}`],
    ["DDIM", { timesteps: [] }, `plan({ timesteps }): the list is empty; ${whole}`],
    [
      "EulerDiscrete",
      { timesteps: [5, 9.5] },
      "plan({ timesteps }): entry 1 is 9.5; give numbers from 999 down to 0, each smaller than the one before.",
    ],
    [
      "EulerDiscrete",
      { sigmas: [1, 2, 0] },
      "plan({ sigmas }): entry 1 is 2; give two or more in descending order, the last usually 0.",
    ],
    [
      "EulerDiscrete",
      { sigmas: [3, 3, 0] },
      "plan({ sigmas }): entry 1 is 3; give two or more in descending order, the last usually 0.",
    ],
    [
      "EulerDiscrete",
      { sigmas: [1] },
      "plan({ sigmas }): 1 noise levels are too few; give two or more in descending order, the last usually 0.",
    ],
    [
      "DPMSolverMultistep",
      { sigmas: [NaN, 0] },
      "plan({ sigmas }): entry 0 is NaN; give two or more in descending order, the last usually 0.",
    ],
    [
      "DEISMultistep",
      { sigmas: [1, 0] },
      "plan({ sigmas }): DEISMultistepScheduler cannot step to a noise level of 0; end at a small one, such as 0.03.",
    ],
    [
      "FlowMatchEulerDiscrete",
      { sigmas: [1.5] },
      "plan: entry 0 is the noise level 1.5; give descending levels from at most 1 to above 0 (timesteps: times T), without the final 0, which is added.",
    ],
    [
      "DDIM",
      { sigmas: [1, 0] },
      "plan: this sampler does not take sigmas, only steps or timesteps. " +
        "Give one of them, or use another sampler, such as EulerDiscreteScheduler.",
    ],
    [
      "PNDM",
      3,
      "plan(3): PNDMScheduler starts with three Runge-Kutta steps and needs 4 or more; plan those, or set skip_prk_steps to true.",
    ],
    [
      "LCM",
      51,
      "plan(51): LCMScheduler visits timesteps of a teacher with 50 steps (original_inference_steps); plan at most as many (1 to 8 are usual), of a teacher with at most 1000.",
    ],
  ] as [string, PlanRequest, string][])("of %s, %j: %s", (name, request, want) => {
    expect(thrownBy(() => make(name).plan(request))).toEqual([RangeError, want]);
  });

  it.each([
    [
      "DDIM",
      { steps_offset: 3 },
      1000,
      {},
      RangeError,
      "plan(1000): with steps_offset 3 the first timestep is 1002, and the noisiest trained one is 999. Plan fewer steps, or lower steps_offset.",
    ],
    [
      "EulerDiscrete",
      { steps_offset: 3, timestep_spacing: "leading" },
      1000,
      {},
      RangeError,
      "plan(1000): with steps_offset 3 the first timestep is 1002, and the noisiest trained one is 999. Plan fewer steps, or lower steps_offset.",
    ],
    [
      "EulerDiscrete",
      { use_karras_sigmas: true },
      { timesteps: [9, 0] },
      {},
      RangeError,
      "plan({ timesteps }): this config computes its own noise levels; give a number of steps, or { sigmas }.",
    ],
    [
      "DPMSolverMultistep",
      { use_flow_sigmas: true },
      { timesteps: [9, 0] },
      {},
      RangeError,
      "plan({ timesteps }): this config computes its own noise levels; give a number of steps, or { sigmas }.",
    ],
    [
      "UniPCMultistep",
      { predict_x0: false },
      5,
      {},
      SchedulerConfigError,
      "UniPCMultistepScheduler: with predict_x0 false it cannot step to a noise level of 0, where epsilon is undefined. Set final_sigmas_type to sigma_min, or predict_x0 to true.",
    ],
    [
      "FlowMatchEulerDiscrete",
      { use_dynamic_shifting: true },
      5,
      {},
      SchedulerConfigError,
      "plan: use_dynamic_shifting needs mu; give plan(steps, { mu }), computed from the picture's size.",
    ],
    [
      "FlowMatchEulerDiscrete",
      {},
      5,
      { mu: 1 },
      SchedulerConfigError,
      "plan: mu is given, but use_dynamic_shifting is false; leave mu out, or set use_dynamic_shifting.",
    ],
    [
      "RePaint",
      {},
      5,
      { jump_length: 0 },
      RangeError,
      "plan: jump_length is 0; give a whole number, 1 or more, such as 10.",
    ],
    [
      "IPNDM",
      { trained_betas: [0.1] },
      5,
      {},
      RangeError,
      "plan(5): trained_betas has 1 entries; a plan of 5 steps needs 6.",
    ],
    [
      "EulerDiscrete",
      { use_karras_sigmas: true, use_beta_sigmas: true },
      5,
      {},
      SchedulerConfigError,
      "use_karras_sigmas and use_beta_sigmas are both true; set at most one of them.",
    ],
  ] as [string, object, PlanRequest, PlanOptions, unknown, string][])(
    "of %s %j, %j %j",
    (name, config, request, options, kind, want) => {
      expect(thrownBy(() => make(name, config).plan(request, options))).toEqual([kind, want]);
    },
  );

  it("takes trained_betas as the whole schedule: one timestep for each", () => {
    const scheduler = make("DDIM", { trained_betas: [0.1, 0.2, 0.3] });
    expect(scheduler.plan(3).timesteps).toEqual([2, 1, 0]);
    expect(thrownBy(() => scheduler.plan(4))[1]).toContain("a whole number from 1 to 3");
  });
});

describe("a step", () => {
  const stepOf =
    (name: string, config: object, channels: number, options: StepOptions = {}, i = 0) =>
    () => {
      const plan = make(name, config).plan(8);
      const x = tf.zeros([1, 2, 2, 3]);
      return plan.step(plan.resume(x, i), tf.zeros([1, 2, 2, channels]), i, keyedNoise(0), options);
    };
  it.each([
    [
      "DDPM",
      { variance_type: "learned_range" },
      3,
      {},
      0,
      "DDPMScheduler: the output has 3 channels for 3 of x, but variance_type is learned_range. A learned variance needs twice the channels: give the network's whole output, or set variance_type to fixed_small.",
    ],
    [
      "DDPM",
      {},
      6,
      {},
      0,
      "DDPMScheduler: the output has 6 channels for 3 of x, but variance_type is fixed_small. A learned variance needs twice the channels: give the network's whole output, or set variance_type to learned_range.",
    ],
    [
      "DDIM",
      {},
      6,
      {},
      0,
      "plan.step: the network's output is [1, 2, 2, 6], x is [1, 2, 2, 3]. This method does not use a learned variance, which is in the second half of the channels: give tf.split(output, 2, -1)[0].",
    ],
    ["DDIM", {}, 3, { eta: 2 }, 0, "DDIMScheduler: eta is 2; give a number from 0 (no noise) to 1."],
    ["TCD", {}, 3, { eta: -1 }, 0, "TCDScheduler: eta is -1; give a number from 0 (no noise) to 1."],
    ["LMSDiscrete", {}, 3, { order: 0 }, 0, "LMSDiscreteScheduler: order is 0; give 1, 2, 3 or 4."],
    [
      "RePaint",
      {},
      3,
      {},
      0,
      "RePaintScheduler: step needs { original_image, mask }; the mask is 1 where the picture is kept and 0 where it is repainted.",
    ],
    [
      "HeunDiscrete",
      {},
      3,
      {},
      1,
      "Step 1 is the second call of a two-call step and needs the result of the first; resume at step 0.",
    ],
    ["PNDM", {}, 3, {}, 2, "Step 2 is inside a Runge-Kutta step; resume at step 0."],
  ] as [string, object, number, StepOptions, number, string][])(
    "of %s %j, %i channels, %j, at %i",
    (name, config, channels, options, i, want) => {
      expect(thrownBy(stepOf(name, config, channels, options, i))).toEqual([RangeError, want]);
    },
  );

  it("leaves no tensors when it throws", () => {
    const before = tf.memory().numTensors;
    expect(stepOf("DDIM", {}, 6)).toThrow("does not use a learned variance");
    expect(tf.memory().numTensors).toBe(before + 3); // x, its state and the output, which the caller owns.
    tf.disposeVariables();
  });
});

describe("noising", () => {
  it.each([
    [[3], [2, 2], "addNoise: the samples are [2, 2, 2, 3], the noise is [2, 2]; draw it as noise.normal(x0.shape)."],
    [[3, 4, 5], [2, 2, 2, 3], "addNoise: 3 timesteps for 2 samples; give one for each, or one for all."],
    [[], [2, 2, 2, 3], "addNoise: 0 timesteps for 2 samples; give one for each, or one for all."],
    [[1000], [2, 2, 2, 3], "Timestep 1000 is not a trained timestep; give whole numbers from 0 to 999."],
    [[1.5], [2, 2, 2, 3], "Timestep 1.5 is not a trained timestep; give whole numbers from 0 to 999."],
  ])("at timesteps %j, noise %j: %s", (timesteps, shape, want) => {
    const scheduler = make("DDIM");
    for (const noised of ["addNoise", "velocity"] as const) {
      expect(thrownBy(() => scheduler[noised](tf.zeros([2, 2, 2, 3]), tf.zeros(shape), timesteps))).toEqual([
        RangeError,
        want,
      ]);
    }
  });
});
