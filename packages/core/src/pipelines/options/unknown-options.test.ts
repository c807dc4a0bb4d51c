import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { convertFolder } from "../../layouts/convert-folder.js";
import { convertLora } from "../../layouts/convert-lora.js";
import { folderToSingleFile } from "../../layouts/convert-to-file.js";
import { singleFileToFolder } from "../../layouts/convert-to-folder.js";
import { loadModel } from "../../models/load-model.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { writeTinySingleFile, writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { openPipeline } from "../open-pipeline.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";
import { StableDiffusionXLPipeline } from "../stable-diffusion/stable-diffusion-xl.js";

let folder: string;
let file: string;
let pipeline: StableDiffusionPipeline;
beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "unknown options "));
  await writeTinyStableDiffusion(folder);
  file = await writeTinySingleFile(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
});
afterAll(() => {
  pipeline.dispose();
  rmSync(folder, { recursive: true });
});

/** The error of a call with an option that TypeScript would refuse. */
async function errorOf(call: (options: object) => Promise<unknown>, options: object): Promise<Error> {
  const before = tf.memory().numTensors;
  const error = (await call(options).then(
    () => new Error("it was ignored"),
    (error: unknown) => error,
  )) as Error;
  expect(tf.memory().numTensors).toBe(before);
  return error;
}

const LORA = fixturePath("lora/kohya/pytorch_lora_weights.safetensors");
const WORD = fixturePath("textual_inversion/learned_embeds.safetensors");
/** A path at which nothing must be written. */
const there = () => join(folder, "there");
const draw = (options: object) => pipeline.generate({ prompt: "a", numInferenceSteps: 1, ...options });

describe("A misspelt option is refused with its nearest name:", () => {
  it.each<[string, (options: object) => Promise<unknown>, object, string]>([
    ["openPipeline of a folder", (o) => openPipeline(folder, o), { varient: "fp16" }, "varient (nearest: variant)"],
    [
      "openPipeline of a file",
      (o) => openPipeline(file, o),
      { prediction_type: "epsilon" },
      "(nearest: predictionType)",
    ],
    ["fromPretrained", (o) => StableDiffusionPipeline.fromPretrained(folder, o), { class: {} }, "class"],
    [
      "fromPretrained of XL",
      (o) => StableDiffusionXLPipeline.fromPretrained(folder, o),
      { Vae: "x" },
      "(nearest: vae)",
    ],
    [
      "fromSingleFile",
      (o) => StableDiffusionPipeline.fromSingleFile(file, { config: folder, ...o }),
      { EMA: true },
      "EMA",
    ],
    ["loadModel", (o) => loadModel(join(folder, "unet"), o), { sub_folder: "x" }, "sub_folder (nearest: subfolder)"],
    ["loras.load", (o) => pipeline.loras.load(LORA, o), { scales: 0.5 }, "scales (nearest: scale)"],
    [
      "loadTextualInversion",
      (o) => pipeline.loadTextualInversion(WORD, undefined, o),
      { weight_name: "x" },
      "weightName",
    ],
    ["control", draw, { control: { weight: 1 } }, "weight: not an option of control; its options are end, guessMode"],
    ["adapter", draw, { adapter: { factors: 1 } }, "factors (nearest: factor): not an option of adapter"],
    ["ipAdapter", draw, { ipAdapter: { images: [] } }, "images (nearest: image): not an option of ipAdapter"],
    ["savePretrained", (o) => pipeline.savePretrained(there(), o), { dype: "F16" }, "dype (nearest: dtype)"],
    ["a network's save", (o) => pipeline.parts.vae.save(there(), o), { maxShardSize: 1 }, "maxShardSize"],
    ["convertFolder", (o) => convertFolder(folder, there(), o), { dtypes: "F16" }, "dtypes (nearest: dtype)"],
    ["singleFileToFolder", (o) => singleFileToFolder(file, there(), o), { configs: "x" }, "configs (nearest: config)"],
    ["folderToSingleFile", (o) => folderToSingleFile(folder, there(), o), { Variant: "x" }, "(nearest: variant)"],
    [
      "convertLora",
      (o) => convertLora(LORA, there(), { form: "kohya", ...o }),
      { adapter_config: {} },
      "(nearest: adapterConfig)",
    ],
    ["freeU", draw, { freeU: { s1: 1, s2: 1, b1: 1, b2: 1, b3: 1 } }, "b3"],
  ])("%s", async (_, call, options, message) => {
    const error = await errorOf(call, options);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(message);
    expect(error.message).toContain("its options are");
    expect(existsSync(there())).toBe(false);
  });
});

describe("A value of the wrong kind is refused before any work:", () => {
  it("no options where one is needed", async () => {
    const convert = convertLora as (from: string, to: string) => Promise<void>;
    await expect(convert(LORA, there())).rejects.toThrow('form: undefined; expected "kohya" or "diffusers".');
  });

  it("a family that is not known", async () => {
    const error = await errorOf((o) => loadModel(join(folder, "vae"), o), { family: "xl" });
    expect(error.message).toBe("family: xl; expected one of sd1, sd2, sdxl, sdxl-refiner.");
  });

  it("a mask or a picture of true and false", async () => {
    const [image, mask] = [tf.zeros([32, 32, 3]), tf.zeros([32, 32]).toBool()];
    const error = await errorOf(draw, { image, mask, width: 32, height: 32 });
    expect(error).toMatchObject({
      name: "PipelineOptionError",
      message: expect.stringMatching(/^mask: a tensor \[32, 32\] of bool; expected .* toFloat\(\)/),
    });
    tf.dispose([image, mask]);
  });
});

it("a number in brackets that is hardly a weight is told of", async () => {
  const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
  const settings = { promptWeighting: true, width: 32, height: 32 };
  tf.dispose(await draw({ ...settings, prompt: "a bus (at 12:30), (red:1.4) \\(9:30\\)" }));
  expect(warn.mock.calls).toEqual([
    [expect.stringMatching(/"at 12" has the weight 30, as in AUTOMATIC1111. .* \\\( and/)],
  ]);
  warn.mockRestore();
});
