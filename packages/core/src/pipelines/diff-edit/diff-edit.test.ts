import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  DDIMScheduler,
  HeunDiscreteScheduler,
  keyedRandom,
  replayNoise,
  schedulerFromConfig,
} from "@tfjs-diffusion/schedulers";
import { traceLayers } from "../../nn/layer-trace.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden, relativeRms } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import type { DiffEditInvertOptions, DiffEditMaskOptions, DiffEditOptions } from "./diff-edit-options.js";
import { StableDiffusionDiffEditPipeline } from "./diff-edit.js";
import { PipelineFolderError, PipelineOptionError } from "../options/errors.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";

/** Ten times the fixture's largest noise floor, float32 against float64 in PyTorch: 1.05e-5. */
const TOLERANCE = 1e-4;

interface Run {
  schedulers: [string, string];
  mask: Record<string, unknown>;
  invert: Record<string, unknown>;
  draw: Record<string, unknown>;
}

let folder: string;
let pipeline: StableDiffusionPipeline;
let meta: { runs: Record<string, Run>; scheduler: object };

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "diffedit "));
  await writeTinyStableDiffusion(join(folder, "sd"));
  pipeline = await StableDiffusionPipeline.fromPretrained(join(folder, "sd"));
  meta = JSON.parse(await readFile(fixturePath("tiny-diff-edit/meta.json"), "utf8")) as typeof meta;
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

/** Renames diffusers' options to ours. */
function named(call: Record<string, unknown>): Record<string, unknown> {
  const others: Record<string, string> = { inpaint_strength: "strength", num_images_per_prompt: "numImages" };
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(call).map(([key, value]) => [others[key] ?? camel(key), value]));
}

/** The options of `generateMask`, with the two prompts as objects. */
function maskOptions(call: Record<string, unknown>): Omit<DiffEditMaskOptions, "image"> {
  const { sourcePrompt, targetPrompt, sourceNegativePrompt, targetNegativePrompt, ...rest } = named(call);
  const source = { prompt: sourcePrompt, negativePrompt: sourceNegativePrompt };
  const target = { prompt: targetPrompt, negativePrompt: targetNegativePrompt };
  return { ...rest, source, target } as Omit<DiffEditMaskOptions, "image">;
}

describe("DiffEdit", () => {
  it.each(["ddim", "batch", "dpm_solver"])("agrees with diffusers 0.42.1 in all stages: %s", async (name) => {
    const run = meta.runs[name]!;
    const golden = await Golden.read("tiny-diff-edit", `${name}.safetensors`);
    const noise = replayNoise(golden.names("noise.").map((name) => golden.tensor(name)));
    const [scheduler, inverseScheduler] = run.schedulers.map((_class_name) =>
      schedulerFromConfig({ ...meta.scheduler, _class_name }),
    );
    const edit = new StableDiffusionDiffEditPipeline(pipeline, { scheduler, inverseScheduler });
    const image = golden.tensor<tf.Tensor4D>("in.image");

    const mask = await edit.generateMask({ ...maskOptions(run.mask), image, noise });
    expect([...mask.dataSync()]).toEqual([...golden.tensor("out.mask").dataSync()]);
    expect(new Set(mask.dataSync())).toEqual(new Set([0, 1]));

    const errors = new Map<string, number>();
    const imageLatents = await edit.invert({ ...named(run.invert), image, noise });
    imageLatents.forEach((x, i) => errors.set(`out.inverted${i}`, golden.error(`out.inverted${i}`, x)));
    const onStep: DiffEditOptions["onStep"] = ({ index, latents }) =>
      errors.set(`out.latents${index}`, golden.error(`out.latents${index}`, latents));
    const { images } = await edit.generate({ ...named(run.draw), mask, imageLatents, onStep });
    errors.set("out.image", golden.error("out.image", images));
    expect([...errors.keys(), "out.mask"].sort()).toEqual(golden.names("out.").sort());
    expect(above(TOLERANCE, errors)).toEqual([]);
  });

  const FEW = { numInferenceSteps: 4, strength: 0.5 };
  const SOURCE = { prompt: "a cat" };
  const TARGET = { prompt: "a dog" };
  const picture = () => tf.randomUniform<tf.Rank.R3>([16, 16, 3], 0, 1, "float32", 3);

  it("finds an empty mask for two equal prompts, and keeps everything outside the mask", async () => {
    const edit = new StableDiffusionDiffEditPipeline(pipeline);
    const image = picture();
    const settings = { ...FEW, numMapsPerMask: 2 };
    const same = await edit.generateMask({ ...settings, image, source: SOURCE, target: SOURCE });
    expect(same.max().dataSync()[0]).toBe(0);
    const imageLatents = await edit.invert({ ...FEW, ...SOURCE, image });
    const kept = await edit.generate({ ...FEW, ...TARGET, mask: same, imageLatents });
    expect(kept.latents.dataSync()).toEqual(imageLatents.at(-1)!.dataSync());
    const left = tf.tensor2d([0, 1, 2, 3].map(() => [1, 1, 0, 0]));
    const half = await edit.generate({ ...FEW, ...TARGET, mask: left, imageLatents });
    const right = (x: tf.Tensor4D) => x.slice([0, 0, 2], [-1, -1, 2]).dataSync();
    expect(right(half.latents)).toEqual(right(kept.latents));
    expect(relativeRms(half.latents, kept.latents)).toBeGreaterThan(1e-3);
  });

  it("returns to the picture that was inverted, closer with more steps, if the prompt describes it", async () => {
    const edit = new StableDiffusionDiffEditPipeline(pipeline);
    const image = picture();
    const distance = async (numInferenceSteps: number) => {
      const settings = { ...SOURCE, numInferenceSteps, strength: 0.5, guidanceScale: 1 };
      const imageLatents = await edit.invert({ ...settings, image });
      const { latents } = await edit.generate({ ...settings, mask: tf.ones<tf.Rank.R2>([4, 4]), imageLatents });
      return relativeRms(latents, imageLatents.at(-1)!);
    };
    const [few, many] = [await distance(10), await distance(80)];
    expect(many).toBeLessThan(few / 3);
  });

  it("draws the same from the folder it saved, which holds its schedulers and also opens as Stable Diffusion", async () => {
    const edit = new StableDiffusionDiffEditPipeline(pipeline);
    const saved = join(folder, "saved");
    await edit.savePretrained(saved);
    const opened = await StableDiffusionDiffEditPipeline.fromPretrained(saved);
    expect(opened.inverseScheduler.config).toEqual(edit.inverseScheduler.config);
    expect(opened.scheduler.config._class_name).toBe("DDIMScheduler");
    const image = picture();
    const inverted = (by: typeof edit) => by.invert({ ...FEW, ...SOURCE, image });
    expect(relativeRms((await inverted(opened))[0]!, (await inverted(edit))[0]!)).toBe(0);
    opened.dispose();
    (await StableDiffusionPipeline.fromPretrained(saved)).dispose();
    const index = JSON.parse(await readFile(join(saved, "model_index.json"), "utf8")) as Record<string, unknown>;
    expect(index).toMatchObject({
      _class_name: "StableDiffusionDiffEditPipeline",
      inverse_scheduler: ["diffusers", "DDIMInverseScheduler"],
    });
    await expect(StableDiffusionPipeline.fromPretrained(join(folder, "none"))).rejects.toThrow(PipelineFolderError);
  });

  it("refuses what it cannot do, before any work", async () => {
    const edit = new StableDiffusionDiffEditPipeline(pipeline);
    const image = picture();
    const imageLatents = [tf.zeros<tf.Rank.R4>([1, 4, 4, 4]), tf.zeros<tf.Rank.R4>([1, 4, 4, 4])];
    const mask = tf.ones<tf.Rank.R2>([4, 4]);
    const look = (more: Partial<DiffEditMaskOptions>) =>
      edit.generateMask({ ...FEW, image, source: SOURCE, target: TARGET, ...more });
    const invert = (more: Partial<DiffEditInvertOptions>) => edit.invert({ ...FEW, ...SOURCE, image, ...more });
    const draw = (more: Partial<DiffEditOptions>) => edit.generate({ ...FEW, ...TARGET, mask, imageLatents, ...more });
    const count = tf.memory().numTensors;
    const wrong: [Promise<unknown>, RegExp][] = [
      [look({ numMapsPerMask: 0 }), /^numMapsPerMask: 0/],
      [look({ numMapsPerMask: 65_537 }), /^numMapsPerMask: 65537; expected a whole number, 1 or more, at most 1000/],
      [look({ maskThresholdingRatio: 0 }), /^maskThresholdingRatio: 0; expected a number above 0/],
      [look({ maskEncodeStrength: 2 }), /^maskEncodeStrength: 2/],
      [look({ source: {} }), /^prompt, promptEmbeds: neither is given/],
      [look({ source: { prompt: ["a", "b"] } }), /^source: 2 prompts; expected as for the target, 1/],
      [invert({ image: image.slice([0, 0, 0], [15, 16, 3]) }), /^image: \[15, 16, 3\]; expected .* multiple of 4/],
      [invert({ strength: 0.1 }), /^strength: 0.1; expected at least 0.250/],
      [draw({ strength: 1 }), /^imageLatents: of 2 steps; expected those of the 4 steps/],
      [draw({ imageLatents: [] }), /^imageLatents: an empty list/],
      [draw({ prompt: ["a", "b"] }), /^imageLatents: \[1, 4, 4, 4\]; expected \[2, h, w, 4\]/],
      [draw({ mask: tf.ones<tf.Rank.R2>([8, 8]) }), /^mask: \[8, 8\]; expected \[4, 4, 1\]/],
      [draw({ guidanceScale: Infinity }), /^guidanceScale: Infinity/],
      [invert({ timesteps: [9, 1] } as object), /^timesteps: \[9,1\]; expected nothing: inversion needs evenly spaced/],
      [draw({ sigmas: [9, 0] } as object), /^sigmas: \[9,0\]; expected nothing: inversion needs evenly spaced steps/],
      [draw({ latents: imageLatents[0] } as object), /^latents: .*; give it as imageLatents/],
      [look({ scheduler: edit.inverseScheduler }), /^scheduler: DDIMInverseScheduler goes from pictures to noise/],
      [draw({ scheduler: edit.inverseScheduler }), /^scheduler: DDIMInverseScheduler goes from pictures to noise/],
      [draw({ scheduler: new HeunDiscreteScheduler() }), /^scheduler: HeunDiscreteScheduler, which calls .* more than/],
      [draw({ width: 8 } as object), /^width: 8; expected nothing: the result has the size of image/],
    ];
    for (const [work, message] of wrong) {
      const error = (await work.catch((error: unknown) => error)) as Error;
      expect(error).toBeInstanceOf(PipelineOptionError);
      expect(error.message).toMatch(message);
    }
    // The arguments of the calls above.
    expect(tf.memory().numTensors).toBe(count + 2);
    expect(() => (edit.parts.inverseScheduler = new DDIMScheduler())).toThrow(
      /inverseScheduler: DDIMScheduler goes from noise to pictures/,
    );
  });

  it("leaves no tensor behind when it ends, is aborted, is left early, or fails in any layer of any network", async () => {
    const edit = new StableDiffusionDiffEditPipeline(pipeline);
    const image = picture();
    await edit.generateMask({ ...FEW, image, source: SOURCE, target: TARGET, numMapsPerMask: 1 });
    const count = tf.memory().numTensors;
    async function all(more: { signal?: AbortSignal; onStep?: DiffEditOptions["onStep"] } = {}): Promise<void> {
      const { signal } = more;
      const mask = await edit.generateMask({
        ...FEW,
        image,
        source: SOURCE,
        target: TARGET,
        numMapsPerMask: 2,
        signal,
      });
      let imageLatents: tf.Tensor4D[] = [];
      try {
        imageLatents = await edit.invert({ ...FEW, ...SOURCE, image, ...more });
        tf.dispose(Object.values(await edit.generate({ ...FEW, ...TARGET, mask, imageLatents, ...more })));
      } finally {
        tf.dispose([mask, imageLatents]);
      }
    }
    await all();
    expect(tf.memory().numTensors).toBe(count);

    for (let call = 0; call < 4; call++) {
      const abort = new AbortController();
      let calls = 0;
      const onStep = () => calls++ === call && abort.abort(new Error("enough"));
      await expect(all({ signal: abort.signal, onStep })).rejects.toThrow("enough");
      expect(tf.memory().numTensors).toBe(count);
    }
    await expect(all({ signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
    const onStep = () => Promise.reject(new Error("mine"));
    await expect(edit.invert({ ...FEW, ...SOURCE, image, onStep })).rejects.toThrow("mine");
    expect(tf.memory().numTensors).toBe(count);
    for await (const { preview } of edit.inversionSteps({ ...FEW, ...SOURCE, image })) {
      preview().dispose();
      break;
    }
    expect(tf.memory().numTensors).toBe(count);

    for (const network of ["textEncoder", "vae", "unet"] as const) {
      const random = keyedRandom(2, network);
      let [entered, failing] = [0, Infinity];
      const end = traceLayers(pipeline.parts[network], {
        enter() {
          if (entered++ === failing) throw new Error("no memory");
        },
      });
      await all();
      const layers = entered;
      for (let i = 0; i < 10; i++) {
        [entered, failing] = [0, random.integer(layers)];
        await expect(all()).rejects.toThrow("no memory");
        expect(tf.memory().numTensors).toBe(count);
      }
      end();
    }
  });
});
