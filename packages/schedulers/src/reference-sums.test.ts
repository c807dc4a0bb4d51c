import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { type Loop, runLoop } from "./testing/diffusers-loops.js";

beforeAll(() => tf.setBackend("cpu"));

/**
 * Every expected number here is from huggingface/diffusers 58eb52c080 (2026-08-23),
 * tests/schedulers/test_scheduler_*.py: the class gives the file, the name gives the test. Tolerances are theirs: 1e-2
 * on the sum of |x|, but at least two units in the last place of the float32 sum (relative 2e-7), or 1e-3 on the mean
 * of |x| if they only give a mean.
 */
interface Expected extends Loop {
  sum?: number;
  mean?: number;
  tolerance?: number;
}

/** One test for each loop. */
function loops(name: string, shared: Expected, table: Record<string, Expected>): void {
  describe(`${name}: the loops of diffusers' own tests`, () => {
    it.each(Object.entries(table))("%s", (_, own) => {
      const loop = { ...shared, ...own, config: { ...shared.config, ...own.config } };
      const got = runLoop(name, loop);
      if (loop.sum !== undefined) {
        const tolerance = Math.max(loop.tolerance ?? 1e-2, 2e-7 * loop.sum);
        expect(Math.abs(got.sum - loop.sum)).toBeLessThan(tolerance);
      }
      if (loop.mean !== undefined) {
        const tolerance = Math.max(loop.tolerance ?? 1e-3, 2e-7 * loop.mean);
        expect(Math.abs(got.mean - loop.mean)).toBeLessThan(tolerance);
      }
    });
  });
}

const v = { prediction_type: "v_prediction" };
const karras = { use_karras_sigmas: true };
const alpha = (set_alpha_to_one: boolean) => ({ set_alpha_to_one, beta_start: 0.01 });

loops(
  "DDPM",
  { request: 1000 },
  {
    full_loop_no_noise: { sum: 258.9606, mean: 0.3372 },
    full_loop_with_v_prediction: { config: v, sum: 202.0296, mean: 0.2631 },
    full_loop_with_noise: { first: 998, sum: 387.9466, mean: 0.5051 },
  },
);

loops(
  "DDIM",
  {},
  {
    full_loop_no_noise: { sum: 172.0067, mean: 0.223967 },
    full_loop_with_v_prediction: { config: v, sum: 52.5302, mean: 0.0684 },
    full_loop_with_set_alpha_to_one: { config: alpha(true), sum: 149.8295, mean: 0.1951 },
    full_loop_with_no_set_alpha_to_one: { config: alpha(false), sum: 149.0784, mean: 0.1941 },
    full_loop_with_noise: { first: 8, sum: 354.5418, mean: 0.4616 },
  },
);

loops(
  "DDIMInverse",
  {},
  {
    full_loop_no_noise: { sum: 671.6816, mean: 0.8746 },
    full_loop_with_v_prediction: { config: v, sum: 1394.2185, mean: 1.8154 },
    full_loop_with_set_alpha_to_one: { config: alpha(true), sum: 539.9622, mean: 0.7031 },
    full_loop_with_no_set_alpha_to_one: { config: alpha(false), sum: 542.6722, mean: 0.7066 },
  },
);

loops(
  "PNDM",
  {},
  {
    full_loop_no_noise: { sum: 198.1318, mean: 0.258 },
    full_loop_with_v_prediction: { config: v, sum: 67.3986, mean: 0.0878 },
    full_loop_with_set_alpha_to_one: { config: alpha(true), sum: 230.0399, mean: 0.2995 },
    full_loop_with_no_set_alpha_to_one: { config: alpha(false), sum: 186.9482, mean: 0.2434 },
  },
);

const T1100 = { num_train_timesteps: 1100, beta_start: 0.0001, beta_end: 0.02 };
const eulerLike = { config: T1100, style: "scaled in place" } as const;

loops("EulerDiscrete", eulerLike, {
  full_loop_no_noise: { sum: 10.0807, mean: 0.0131 },
  full_loop_with_v_prediction: { config: v, sum: 0.0002, mean: 2.2676e-6 },
  full_loop_device_karras_sigmas: { config: karras, sum: 124.52299499511719, mean: 0.16213932633399963 },
  full_loop_with_noise: { first: 8, sum: 57062.9297, mean: 74.3007 },
});

loops("EulerAncestralDiscrete", eulerLike, {
  full_loop_no_noise: { sum: 152.3192, mean: 0.1983 },
  full_loop_with_v_prediction: { config: v, sum: 108.4439, mean: 0.1412 },
  full_loop_with_noise: { first: 8, sum: 56163.0508, mean: 73.129 },
});

loops("HeunDiscrete", eulerLike, {
  full_loop_no_noise: { sum: 0.1233, mean: 0.0002 },
  full_loop_with_v_prediction: { config: v, sum: 4.6934e-7, mean: 6.1112e-10 },
  full_loop_device_karras_sigmas: { config: karras, sum: 0.00015, mean: 1.9869554535034695e-7 },
  full_loop_with_noise: { first: 16, sum: 75074.8906, mean: 97.7538 },
});

loops("LMSDiscrete", eulerLike, {
  full_loop_no_noise: { sum: 1006.388, mean: 1.31 },
  full_loop_with_v_prediction: { config: v, sum: 0.0017, mean: 2.2676e-6 },
  full_loop_device_karras_sigmas: { config: karras, sum: 3812.9927, mean: 4.9648 },
  full_loop_with_noise: { first: 8, sum: 27663.6895, mean: 36.0204 },
});

loops("KDPM2Discrete", eulerLike, {
  full_loop_no_noise: { sum: 20.4125, mean: 0.0266 },
  full_loop_with_v_prediction: { config: v, sum: 4.6934e-7, mean: 6.1112e-10 },
  full_loop_with_noise: { first: 16, sum: 70408.4062, mean: 91.6776 },
});

loops("KDPM2AncestralDiscrete", eulerLike, {
  full_loop_no_noise: { sum: 13979.9433, mean: 18.203 },
  full_loop_with_v_prediction: { config: v, sum: 331.8133, mean: 0.432 },
  full_loop_with_noise: { first: 16, sum: 93087.3437, mean: 121.2074 },
});

const solver = { solver_order: 2, lower_order_final: false, final_sigmas_type: "sigma_min" };
const threshold = { thresholding: true, dynamic_thresholding_ratio: 0.87, sample_max_value: 0.5 };

loops(
  "DPMSolverMultistep",
  { config: solver },
  {
    full_loop_no_noise: { mean: 0.3301 },
    full_loop_with_noise: { first: 5, sum: 318.4111, mean: 0.4146 },
    full_loop_no_noise_thres: { config: threshold, mean: 1.1364 },
    full_loop_with_v_prediction: { config: v, mean: 0.2251 },
    full_loop_with_karras_and_v_prediction: { config: { ...v, ...karras }, mean: 0.2096 },
    full_loop_with_lu_and_v_prediction: { config: { ...v, use_lu_lambdas: true }, mean: 0.1554 },
  },
);

loops(
  "DPMSolverSinglestep",
  { config: solver },
  {
    full_loop_no_noise: { mean: 0.2791 },
    full_loop_with_karras: { config: karras, mean: 0.2248 },
    full_loop_with_v_prediction: { config: v, mean: 0.1453 },
    full_loop_with_karras_and_v_prediction: { config: { ...v, ...karras }, mean: 0.0649 },
    full_uneven_loop: { request: 50, first: 3, clean: true, mean: 0.2574 },
    full_loop_with_noise: { first: 5, sum: 269.2187, mean: 0.3505 },
  },
);

loops(
  "DPMSolverMultistepInverse",
  { config: { solver_order: 2, lower_order_final: false } },
  {
    full_loop_no_noise: { mean: 0.7047 },
    full_loop_no_noise_thres: { config: threshold, mean: 19.8933 },
    full_loop_with_v_prediction: { config: v, mean: 1.5194 },
    full_loop_with_karras_and_v_prediction: { config: { ...v, ...karras }, mean: 1.7833, tolerance: 2e-3 },
  },
);

loops(
  "UniPCMultistep",
  { config: { final_sigmas_type: "sigma_min" } },
  {
    full_loop_no_noise: { mean: 0.2464 },
    full_loop_with_karras: { config: karras, mean: 0.2925 },
    full_loop_with_v_prediction: { config: v, mean: 0.1014 },
    full_loop_with_karras_and_v_prediction: { config: { ...v, ...karras }, mean: 0.1966 },
    full_loop_with_noise: { first: 8, sum: 315.5757, mean: 0.4109 },
  },
);

loops(
  "UniPCMultistep",
  { config: { final_sigmas_type: "sigma_min" }, shape: [4, 3, 8] },
  {
    "1D: full_loop_no_noise": { mean: 0.2441 },
    "1D: full_loop_with_karras": { config: karras, mean: 0.2898 },
    "1D: full_loop_with_v_prediction": { config: v, mean: 0.1014 },
    "1D: full_loop_with_karras_and_v_prediction": { config: { ...v, ...karras }, mean: 0.1944 },
    "1D: full_loop_with_noise": { first: 8, sum: 39.087, mean: 0.4072 },
  },
);

loops(
  "DEISMultistep",
  { config: { solver_order: 2 } },
  {
    full_loop_no_noise: { mean: 0.23916 },
    full_loop_with_v_prediction: { config: v, mean: 0.091 },
    full_loop_with_noise: { first: 8, sum: 315.3016, mean: 0.41054 },
  },
);

loops(
  "SASolver",
  { config: T1100 },
  {
    full_loop_device: { sum: 337.394287109375, mean: 0.43931546807289124 },
    full_loop_with_v_prediction: { config: v, sum: 193.1467742919922, mean: 0.2514931857585907 },
    full_loop_device_karras_sigmas: { config: karras, sum: 837.2554931640625, mean: 1.0901764631271362 },
  },
);

loops(
  "LCM",
  { tolerance: 1e-3 },
  {
    full_loop_onestep: { request: 1, sum: 18.7097, mean: 0.0244 },
    full_loop_multistep: { sum: 197.7616, mean: 0.2575 },
  },
);

loops(
  "TCD",
  { tolerance: 1e-3, options: { eta: 0 } },
  {
    full_loop_onestep_deter: { request: 1, sum: 29.8715, mean: 0.0389 },
    full_loop_multistep_deter: { sum: 181.204, mean: 0.2359 },
  },
);

loops(
  "EDMEuler",
  { config: { num_train_timesteps: 256 }, tolerance: 1e-3 },
  {
    full_loop_no_noise: { sum: 34.1855, mean: 0.044 },
  },
);

loops(
  "EDMDPMSolverMultistep",
  { config: solver, style: "raw" },
  {
    full_loop_no_noise: { mean: 0.0001 },
    full_loop_no_noise_thres: { config: threshold, mean: 0.008 },
    full_loop_with_v_prediction: { config: v, mean: 0.0092 },
    full_loop_with_noise: { first: 5, sum: 8.1661, mean: 0.0106 },
  },
);

loops(
  "UnCLIP",
  {},
  {
    full_loop: { request: 1000, sum: 252.2682495, mean: 0.3284743 },
    full_loop_skip_timesteps: { request: 25, sum: 258.2044983, mean: 0.3362038 },
  },
);

loops(
  "CMStochasticIterative",
  { config: { num_train_timesteps: 201 } },
  {
    full_loop_no_noise_onestep: { request: 1, sum: 192.7614, mean: 0.251 },
    full_loop_no_noise_multistep: { request: { timesteps: [106, 0] }, sum: 347.6357, mean: 0.4527 },
    full_loop_with_noise: { first: 8, sum: 763.9186, mean: 0.9947 },
  },
);

loops(
  "IPNDM",
  {},
  {
    full_loop_no_noise: { times: 2, mean: 2540529, tolerance: 10 },
  },
);
