import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../../testing/backend.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { TokenizerFilesError } from "../../text/tokenizer-files.js";
import { WeightsFormatError, WeightsReadError } from "../../weights/errors.js";
import { PipelineFolderError } from "../options/errors.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";

let sound: string;
let folder: string;
beforeAll(async () => {
  await useTestBackend();
  sound = await mkdtemp(join(tmpdir(), "sound "));
  await writeTinyStableDiffusion(sound);
});
afterAll(() => rm(sound, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "damaged "));
  await cp(sound, folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

const TYPED = [PipelineFolderError, TokenizerFilesError, WeightsFormatError, WeightsReadError];

/** Opens the folder, which must fail with a typed error that names the file and leaves no tensor. */
async function refusal(file: string): Promise<string> {
  const before = tf.memory().numTensors;
  const error = await StableDiffusionPipeline.fromPretrained(folder).then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  expect(TYPED.some((kind) => error instanceof kind)).toBe(true);
  expect(error!.message).toContain(
    file
      .split("/")
      .at(-1)!
      .replace(/\.safetensors$/, ""),
  );
  expect(error!.message).toContain(folder);
  expect(tf.memory().numTensors).toBe(before);
  return error!.message;
}

const FILES = [
  "model_index.json",
  "scheduler/scheduler_config.json",
  "tokenizer/vocab.json",
  "tokenizer/merges.txt",
  "text_encoder/config.json",
  "unet/config.json",
  "unet/diffusion_pytorch_model.safetensors",
  "vae/diffusion_pytorch_model.safetensors",
];

describe.each(FILES)("A folder whose %s", (file) => {
  it("is missing is refused, saying what to do", async () => {
    await rm(join(folder, file));
    expect(await refusal(file)).toMatch(/Give|holds|Copy|There is the variant|has no readable/);
  });

  it("is a Git LFS pointer is refused, saying how to get the file", async () => {
    await writeFile(join(folder, file), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    expect(await refusal(file)).toMatch(/Git LFS pointer.*git lfs pull/);
  });

  it("is a web page is refused, saying so", async () => {
    await writeFile(join(folder, file), "<!DOCTYPE html>\n<html><title>Sign in</title></html>");
    expect(await refusal(file)).toMatch(/web page.*Download the file again/);
  });
});

describe("A folder whose weights", () => {
  const file = "unet/diffusion_pytorch_model.safetensors";

  it("are a pickle under another name are refused, saying why and what to do", async () => {
    await writeFile(join(folder, file), "PK\x03\x04 archive/data.pkl");
    expect(await refusal(file)).toMatch(/pickle.*can run any code.*Convert it to safetensors/);
  });

  it.each([0, 7, 100, -1])("are cut off at byte %i are refused as an unfinished download", async (at) => {
    const whole = await readFile(join(sound, file));
    await writeFile(join(folder, file), whole.subarray(0, at));
    expect(await refusal(file)).toMatch(/unfinished download/);
  });
});
