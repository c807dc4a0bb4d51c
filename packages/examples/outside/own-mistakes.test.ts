import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { type StableDiffusionPipeline, useBackend } from "@tfjs-diffusion/core";
import { loadModel, modelFromConfig } from "@tfjs-diffusion/core/models";
import { DDPMPipeline, PipelineOptionError, PipelinePartsError } from "@tfjs-diffusion/core/pipelines";
import {
  DDIMScheduler,
  makePlan,
  type Plan,
  schedulerFromConfig,
  SchedulerConfigError,
} from "@tfjs-diffusion/schedulers";
import { tinyStableDiffusion } from "./tiny-stable-diffusion.js";

let pipeline: StableDiffusionPipeline;
beforeAll(async () => {
  await useBackend("wasm");
  pipeline = tinyStableDiffusion(new DDIMScheduler());
});
afterAll(() => pipeline.dispose());

const options = { prompt: "red", width: 16, height: 16, numInferenceSteps: 2 };

/** The error of a drawing that must fail and leave no tensors. */
async function errorOf(draw: () => Promise<unknown>): Promise<Error> {
  const before = tf.memory().numTensors;
  const error = (await draw().then(
    () => new Error("it drew"),
    (error: unknown) => error,
  )) as Error;
  expect(tf.memory().numTensors).toBe(before);
  return error;
}

/** A denoiser of one's own that gives what it is told to. */
class Mistaken {
  readonly sampleSize = [8, 8] as const;
  readonly contextWidth: number | undefined;
  constructor(
    readonly give: (x: tf.Tensor4D) => unknown,
    readonly inChannels: number,
  ) {}
  get outChannels() {
    return this.inChannels;
  }
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.give(x) as tf.Tensor4D;
  }
}

describe("A denoiser of one's own that returns", () => {
  const cases: [string, (x: tf.Tensor4D) => unknown, RegExp][] = [
    ["nothing", () => undefined, /returned undefined; expected a tensor \[\d, 8, 8, \d\], \[B, H, W, outChannels\]\.$/],
    ["a promise", (x) => Promise.resolve(x.shape), /returned a promise; .* and no promise: it must be synchronous/],
    ["numbers", (x) => x.dataSync(), /returned an object of the class Float32Array; expected a tensor/],
    ["too few channels", (x) => tf.split(x, [1, x.shape[3] - 1], 3)[0], /returned a tensor \[\d, 8, 8, 1\]; expected/],
    ["half of the batch", (x) => x.slice([0], [1]).squeeze([0]), /returned a tensor \[8, 8, \d\]; expected a tensor/],
  ];

  it.each(cases)("%s is named in the error, with what is expected", async (_, give, message) => {
    const conditional = Object.assign(new Mistaken(give, 4), { contextWidth: 8 });
    const { unet } = pipeline.parts;
    pipeline.parts.unet = conditional;
    const plain = new Mistaken(give, 3);
    delete (plain as { contextWidth?: number }).contextWidth;
    const ddpm = new DDPMPipeline({ unet: plain, scheduler: new DDIMScheduler() });
    for (const draw of [
      () => pipeline.generate(options),
      () => pipeline.generate({ ...options, guidanceScale: 1 }),
      () => ddpm.generate({ numInferenceSteps: 2 }),
    ]) {
      const error = await errorOf(draw);
      expect(error).toBeInstanceOf(PipelinePartsError);
      expect(error.message).toMatch(/^The forward of the denoiser \(class Mistaken\) /);
      expect(error.message).toMatch(message);
    }
    pipeline.parts.unet = unet;
  });
});

describe("A sampler of one's own", () => {
  const ddim = new DDIMScheduler();
  const whole = ddim.plan(2);
  const own = (plan: () => unknown) =>
    ({
      config: { _class_name: "OwnSampler" },
      alphaBar: ddim.alphaBar,
      plan,
      addNoise: ddim.addNoise.bind(ddim),
      velocity: ddim.velocity.bind(ddim),
    }) as never;
  const updating = (update: (x: tf.Tensor) => unknown) => () =>
    makePlan({
      timesteps: [3, 2],
      sigmas: [1, 0.5, 0],
      level: () => ({ alpha: 1, sigma: 1 }),
      update: ({ x }) => update(x) as never,
    });
  const but = (changes: { [Name in keyof Plan]?: unknown }) => () => ({ ...whole, ...changes });

  const cases: [string, () => unknown, RegExp][] = [
    [
      "makes no plan",
      () => undefined,
      /OwnSampler.plan gave undefined; .* timesteps, stepStarts, .*, step\. A plan has/,
    ],
    [
      "plans no beginnings of steps",
      but({ stepStarts: undefined }),
      /missing or of another kind: stepStarts\. .*makePlan/,
    ],
    ["has no step", but({ step: 5 }), /missing or of another kind: step\./],
    ["updates to nothing", updating(() => ({})), /OwnSampler, Step 1 of 2 .*update returned no tensor x \(undefined\)/],
    ["updates to a promise", updating((x) => Promise.resolve(x.shape)), /returned no tensor x/],
    ["updates to another shape", updating((x) => ({ x: x.sum() })), /an x of the shape \[\]; return .* \[1, 8, 8, 4\]/],
    ["remembers numbers", updating((x) => ({ x, history: [1] })), /history that is no list of tensors/],
    [
      "starts with a tensor",
      but({ start: (x: tf.Tensor) => x.clone() }),
      /before the first step: the plan gave a tensor/,
    ],
    [
      "steps to another shape",
      but({ step: () => ({ x: tf.scalar(1), history: [] }) }),
      /a tensor \[\] for x; expected/,
    ],
    [
      "scales to nothing",
      but({ scaleInput: () => undefined }),
      /gave undefined for x; expected a tensor \[1, 8, 8, 4\]/,
    ],
  ];

  it.each(cases)("that %s is named in the error, with what is expected", async (_, plan, message) => {
    const { scheduler } = pipeline.parts;
    pipeline.parts.scheduler = own(plan);
    const given = await errorOf(() => pipeline.generate({ ...options, scheduler: own(plan) }));
    const assigned = await errorOf(() => pipeline.generate({ ...options, guidanceScale: 1 }));
    pipeline.parts.scheduler = scheduler;
    for (const error of [given, assigned]) {
      expect(error).toBeInstanceOf(PipelineOptionError);
      expect(error.message).toMatch(/^scheduler: OwnSampler/);
      expect(error.message).toMatch(message);
    }
  });

  it("that has no config is refused, as an option and as a part", async () => {
    const bare = { plan: () => whole } as never;
    expect((await errorOf(() => pipeline.generate({ ...options, scheduler: bare }))).message).toMatch(
      /^scheduler: \{ plan \}; expected a scheduler/,
    );
    expect(() => (pipeline.parts.scheduler = bare)).toThrow(/scheduler is \{ plan \}; expected a scheduler/);
  });
});

describe("A class of one's own that is not there", () => {
  it("is refused by its name, for a sampler and for a network", async () => {
    const classes = { Own: undefined } as never;
    const build = () => schedulerFromConfig({ _class_name: "Own" }, { classes });
    expect(build).toThrow(SchedulerConfigError);
    expect(build).toThrow("classes has undefined for Own; give the class itself, as classes: { Own }");
    expect(() => modelFromConfig({ _class_name: "Own" }, { classes })).toThrow(/classes has undefined for Own; give/);
    await expect(loadModel("nowhere", { classes })).rejects.toThrow("nowhere");
  });
});
