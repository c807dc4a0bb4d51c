import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { combine, sum } from "./combine.js";
import { schedulerFromConfig } from "./from-config.js";
import { replayNoise } from "./noise/replay-noise.js";
import type { StepOptions } from "./scheduler.js";

beforeAll(() => tf.setBackend("cpu"));

/** Kernels that return the same data with another name or shape, at no cost. */
const FREE = ["Identity", "Reshape"];

/**
 * The passes over tensors of x's size that a step in the middle of a plan makes, without the network and the drawing of
 * noise.
 */
async function costOf(name: string, config: object, options?: StepOptions) {
  const plan = schedulerFromConfig({ _class_name: `${name}Scheduler`, ...config }).plan(10);
  const [x, output, z] = [0.3, 0.2, 0.1].map((value) => tf.fill([1, 8, 8, 3], value)) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const state = plan.resume(x, 4);
  const { kernels } = await tf.profile(() => plan.step(state, output, 4, replayNoise([z]), options));
  const size = (shape: number[] | undefined) => tf.util.sizeFromShape(shape ?? []);
  const work = kernels.filter(({ name, outputShapes }) => !FREE.includes(name) && size(outputShapes[0]) === x.size);
  const touched = work
    .flatMap(({ inputShapes, outputShapes }) => [...inputShapes, ...outputShapes])
    .reduce((total, shape) => total + (size(shape) === x.size ? 1 : 0), 0);
  return { kernels: work.length, passes: touched / 3 };
}

// Adding two tensors of x's size is one pass: two tensors are read and one is written. Multiplying by a number is two
// thirds of a pass.
describe("the arithmetic of a step, without the network and the drawing of noise", () => {
  const unclipped = { clip_sample: false };
  const first = { solver_order: 1 };
  it.each([
    ["EulerDiscrete", {}],
    ["EulerDiscrete", { prediction_type: "v_prediction" }],
    ["FlowMatchEulerDiscrete", {}],
    ["EDMEuler", {}],
    ["DDIM", unclipped],
    ["DDIM", { ...unclipped, prediction_type: "v_prediction" }],
    ["DDIMInverse", unclipped],
    ["DPMSolverMultistep", first],
    ["DPMSolverSinglestep", first],
    ["DPMSolverMultistepInverse", first],
    ["EDMDPMSolverMultistep", first],
    ["TCD", {}, { eta: 0 }],
  ] as [string, object, StepOptions?][])("%s %j: less than 3 passes over x", async (name, config, ...[options]) => {
    const { kernels, passes } = await costOf(name, config, options);
    expect(passes).toBeGreaterThan(1); // The counter works.
    expect(passes).toBeLessThan(3);
    expect(kernels).toBeLessThanOrEqual(3);
  });

  it.each([
    ["DDPM", unclipped],
    ["EulerAncestralDiscrete", {}],
    ["DDIM", unclipped, { eta: 1 }],
    ["EulerDiscrete", {}, { s_churn: 4 }],
    ["LCM", {}],
    ["TCD", {}],
    ["FlowMatchEulerDiscrete", { stochastic_sampling: true }],
  ] as [string, object, StepOptions?][])(
    "%s %j %j: with noise, its multiplication and addition are added",
    async (name, config, ...[options]) => {
      const { kernels, passes } = await costOf(name, config, options);
      expect(passes).toBeLessThan(3 + 5 / 3);
      expect(kernels).toBeLessThanOrEqual(5);
    },
  );

  it("grows by one weighted addition for each earlier output of a multi-step method", async () => {
    const kernelsOf = async (config: object) => (await costOf("DPMSolverMultistep", config)).kernels;
    // A resumed run has no earlier outputs: it computes x0, which is kept, and a first-order step from it.
    expect(await kernelsOf({ solver_order: 2 })).toBe(3 + 3);
  });
});

describe("combine", () => {
  const numbers = (x: tf.Tensor) => [...x.dataSync()];
  it("multiplies out sums within sums and reads each tensor once", async () => {
    const [x, y] = [tf.tensor([1, 2]), tf.tensor([10, 20])];
    const inner = sum([2, x], [3, y]);
    const { kernels, result } = await tf.profile(() => combine([1, x], [-0.5, inner], [4, y]));
    expect(numbers(result as tf.Tensor)).toEqual([25, 50]); // 0 x + 2.5 y
    expect(kernels.filter(({ name }) => !FREE.includes(name)).map(({ name }) => name)).toEqual(["Multiply"]);
  });

  it("takes tensors as weights, also of sums", () => {
    const got = tf.tidy(() => {
      const [mask, x] = [tf.tensor([1, 0]), tf.tensor([5, 7])];
      return numbers(combine([2, sum([mask, sum([3, x], [1, mask])])], [1, x]));
    });
    expect(got).toEqual([37, 7]); // 2 mask (3 x + mask) + x
  });

  it("leaves out terms of weight 0, even infinite ones, and is 0 if no other terms remain", () => {
    tf.tidy(() => {
      const [x, bad] = [tf.tensor([1]), tf.tensor([Infinity])];
      expect(numbers(combine([1, x], [0, bad], [0, sum([Infinity, bad])]))).toEqual([1]);
      expect(numbers(combine([0, bad]))).toEqual([0]);
    });
  });

  it("returns a new tensor, even for one term of weight 1, and leaves no other", () => {
    const x = tf.tensor([1]);
    const before = tf.memory().numTensors;
    const copy = combine([1, sum([1, x])]);
    copy.dispose();
    expect(numbers(x)).toEqual([1]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
