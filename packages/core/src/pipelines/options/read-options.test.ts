import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { loadModel } from "../../models/load-model.js";
import { Model } from "../../models/model.js";
import { traceLayers } from "../../nn/layer-trace.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../../testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../../testing/unclip.js";
import { StableDiffusionDiffEditPipeline } from "../diff-edit/diff-edit.js";
import { PipelineOptionError } from "./errors.js";
import { openPipeline } from "../open-pipeline.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";

interface Drawing {
  generate(options: object): Promise<object>;
  parts: object;
  dispose(): void;
}

let folder: string;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "options "));
});
afterAll(() => rm(folder, { recursive: true }));

/** The error message for these options; fails if a network was called before it. */
async function refusal(pipeline: Drawing, options: unknown): Promise<string> {
  const networks = Object.values(pipeline.parts).filter((part) => part instanceof Model);
  const count = tf.memory().numTensors;
  let calls = 0;
  const stops = networks.map((network) => traceLayers(network, { enter: () => void calls++, leave: () => undefined }));
  const error = await pipeline.generate(options as object).catch((error: unknown) => error);
  for (const stop of stops) stop();
  expect(error).toBeInstanceOf(PipelineOptionError);
  expect(calls).toBe(0);
  expect(tf.memory().numTensors).toBe(count);
  return (error as Error).message;
}

const DRAW = { prompt: "a red cube" };
const KINDS: [string, (to: string) => Promise<void>, object, string][] = [
  ["Stable Diffusion", writeTinyStableDiffusion, DRAW, "numInferenceSteps"],
  ["Stable Diffusion XL", writeTinyStableDiffusionXL, DRAW, "numInferenceSteps"],
  ["unCLIP", (to) => writeTinyUnCLIP(to, "text"), DRAW, "priorNumInferenceSteps"],
  ["unCLIP's image variations", (to) => writeTinyUnCLIP(to, "variation"), { image: null }, "decoderNumInferenceSteps"],
];

describe.each(KINDS)("%s refuses, before any work,", (kind, write, drawn, steps) => {
  let pipeline: Drawing;
  let options: object;
  beforeAll(async () => {
    const at = join(folder, kind);
    await write(at);
    pipeline = await openPipeline(at);
    options = "image" in drawn ? { image: tf.zeros([20, 20, 3]) } : drawn;
  });
  afterAll(() => {
    tf.dispose(options as tf.TensorContainer);
    pipeline.dispose();
  });

  it("unknown names, and lists the known ones", async () => {
    const snake = steps.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    expect(await refusal(pipeline, { ...options, [snake]: 2 })).toMatch(
      `${snake} (nearest: ${steps}): not an option of this pipeline; its options are `,
    );
    expect(await refusal(pipeline, { ...options, sed: 1, zzz: undefined })).toMatch(
      "sed (nearest: seed), zzz: not an option",
    );
  });

  it("options that are not an object", async () => {
    expect(await refusal(pipeline, undefined)).toMatch("options: undefined; give an object, such as { ");
    expect(await refusal(pipeline, "a red cube")).toMatch('options: "a red cube"; give an object, such as { ');
  });

  it("callbacks and objects that lack the needed method", async () => {
    for (const name of ["signal", "noise", "onStep"]) {
      expect(await refusal(pipeline, { ...options, [name]: 5 })).toMatch(`${name}: 5; expected a`);
    }
  });

  it("more steps than the sampler was trained with", async () => {
    expect(await refusal(pipeline, { ...options, [steps]: 1001 })).toMatch(
      `${steps}: 1001; the number of steps must be a whole number from 1 to 1000`,
    );
  });
});

it("The pipelines in pixel space and each stage of DiffEdit refuse them, too", async () => {
  const pipeline = await openPipeline(fixturePath("../../examples/weights/faces"));
  expect(await refusal(pipeline as unknown as Drawing, { ...DRAW, clipSkip: 1 })).toMatch(
    "clipSkip: not an option of this pipeline",
  );
  expect(await refusal(pipeline as unknown as Drawing, { ...DRAW, numInferenceSteps: 1001 })).toMatch(
    "1001; the number",
  );
  pipeline.dispose();

  const at = join(folder, "edits");
  await writeTinyStableDiffusion(at);
  const edits = new StableDiffusionDiffEditPipeline(await StableDiffusionPipeline.fromPretrained(at));
  const [image, mask] = [tf.zeros<tf.Rank.R3>([16, 16, 3]), tf.zeros<tf.Rank.R2>([8, 8])];
  const misspelt = (wanted: string) => (error: unknown) => {
    expect(error).toBeInstanceOf(PipelineOptionError);
    expect((error as Error).message).toMatch(wanted);
  };
  const never = () => expect("nothing").toBe("an error");
  const target = { prompt: "a dog" };
  await edits.generateMask({ image, source: DRAW, target, maps: 3 } as never).then(never, misspelt("maps"));
  await edits
    .generateMask({ image, source: DRAW, target: { promt: "a" } } as never)
    .then(never, misspelt("promt (nearest: prompt)"));
  await edits.invert({ image, ...DRAW, steps: 3 } as never).then(never, misspelt("steps"));
  await edits
    .generate({ mask, imageLatents: [], ...DRAW, images: image } as never)
    .then(never, misspelt("images (nearest: image)"));
  await edits.invert({ image, ...DRAW, numInferenceSteps: 1001 }).then(never, misspelt("1001; the number of steps"));
  tf.dispose([image, mask]);
  edits.dispose();
});

describe("The source to open", () => {
  it("can be the address of a file or folder", async () => {
    const at = join(folder, "by address");
    await writeTinyStableDiffusion(at);
    for (const from of [pathToFileURL(at), pathToFileURL(at).href]) {
      const pipeline = await StableDiffusionPipeline.fromPretrained(from);
      pipeline.dispose();
      (await loadModel(from, { subfolder: "unet" })).dispose();
    }
  });

  it.each([
    [undefined, "Where to read from is undefined; give the path of a folder"],
    ["", "An empty path; give the path of a folder"],
    [42, "Where to read from is 42; give the path of a folder"],
  ])("is refused if it names nothing: %p", async (from, message) => {
    await expect(openPipeline(from as never)).rejects.toThrow(message);
    await expect(StableDiffusionPipeline.fromPretrained(from as never)).rejects.toThrow(message);
    await expect(loadModel(from as never)).rejects.toThrow(message);
  });
});
