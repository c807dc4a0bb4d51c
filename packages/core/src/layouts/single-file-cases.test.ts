import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import { openPipeline, type OpenPipelineOptions } from "../pipelines/open-pipeline.js";
import type { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import type { StableDiffusionXLPipeline } from "../pipelines/stable-diffusion/stable-diffusion-xl.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { readStored, type StoredTensors, writeChanged } from "../testing/stored-tensors.js";
import {
  writeTinySingleFile,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../testing/stable-diffusion.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";
import { folderToSingleFile } from "./convert-to-file.js";
import { singleFileToFolder } from "./convert-to-folder.js";

/** A case of the fixture: what is changed in a tiny checkpoint, and what comes out. */
interface Case {
  name: string;
  add?: Record<string, { dtype: "F32" | "I32"; shape: number[]; values: number[] | "zeros" }>;
  expect: {
    same_as?: string;
    scheduler?: Record<string, unknown>;
    vae?: Record<string, unknown>;
    plan?: { sigmas20: number[]; timesteps20: number[] };
  };
}

const CASES = new Map(
  (
    JSON.parse(readFileSync(fixturePath("single-file-cases/cases.json"), "utf8")) as {
      cases: (Case & { config?: { scheduler_config: object } })[];
    }
  ).cases.map((one) => [one.name, one]),
);

type Config = { _class_name: string };

let folder: string;
/** A tiny Stable Diffusion, and a tiny XL: folder and file. */
let [sd, sdFile, xl, xlFile]: string[] = [];
const warn = jest.spyOn(console, "warn").mockImplementation(() => {});

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "cases "));
  [sd, xl, xlFile] = [join(folder, "sd"), join(folder, "xl"), join(folder, "xl.safetensors")];
  await writeTinyStableDiffusion(sd);
  sdFile = await writeTinySingleFile(folder);
  await writeTinyStableDiffusionXL(xl);
  await folderToSingleFile(xl, xlFile);
});
beforeEach(() => {
  warn.mockClear();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of a file with changes, by its path. */
const changed = (path: string, change: (tensors: StoredTensors) => StoredTensors) =>
  writeChanged(path, join(folder, `changed-${count++}.safetensors`), change);
let count = 0;

function added({ add = {} }: Case): StoredTensors {
  return new Map(
    Object.entries(add).map(([name, { dtype, shape, values }]) => {
      const size = shape.reduce((product, length) => product * length, 1);
      const numbers = values === "zeros" ? Array<number>(size).fill(0) : values;
      return [name, { dtype, shape, data: dtype === "I32" ? Int32Array.from(numbers) : Float32Array.from(numbers) }];
    }),
  );
}

const withCase = (path: string, name: string) =>
  changed(path, (tensors) => new Map([...tensors, ...added(CASES.get(name)!)]));

/** Pipelines that are freed after each test. */
const open: { dispose(): void }[] = [];
afterEach(() => open.splice(0).forEach((pipeline) => pipeline.dispose()));

async function opened(path: string, options: OpenPipelineOptions = {}) {
  const pipeline = await openPipeline(path, { config: path === sdFile ? sd : xl, ...options });
  open.push(pipeline);
  return pipeline as StableDiffusionPipeline | StableDiffusionXLPipeline;
}

/** To 1e-5 of each, and what the fixture was rounded by. */
function expectClose(got: readonly number[], expected: readonly number[], decimals = 6): void {
  expect(got.length).toBe(expected.length);
  const error = got.map((value, i) => Math.abs(value - expected[i]!) - 1e-5 * Math.abs(expected[i]!));
  expect(Math.max(...error)).toBeLessThanOrEqual(10 ** -decimals);
}

describe("Marks in a file of XL", () => {
  const names = [...CASES.keys()].filter((name) => name.startsWith("xl-"));

  it.each(names)("%s: the scheduler is the one that other programs sample it with", async (name) => {
    const { expect: asked } = CASES.get(name)!;
    const { scheduler: keys = {}, plan, vae } = asked.same_as ? CASES.get(asked.same_as)!.expect : asked;
    const pipeline = await opened(await withCase(xlFile!, name));
    expect(pipeline.parts.scheduler.config).toMatchObject(keys);
    const { sigmas, timesteps } = pipeline.parts.scheduler.plan(20);
    expectClose(sigmas, plan!.sigmas20);
    expectClose(timesteps, plan!.timesteps20, 5);
    if (vae) {
      const { latents_mean, latents_std, ...others } = vae as Record<string, number[]>;
      const { config } = pipeline.parts.vae as AutoencoderKL;
      expect(config).toMatchObject(others);
      expectClose(config.latents_mean!, latents_mean!);
      expectClose(config.latents_std!, latents_std!);
    }
  });

  it("tells of a mark without a meaning", async () => {
    await opened(await withCase(xlFile!, "xl-ztsnr-alone"));
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/1 of its tensors have no use: ztsnr\.$/)]]);
  });

  it("refuses marks of EDM that are not whole, or of another family", async () => {
    const half = await changed(xlFile!, (tensors) =>
      tensors.set("edm_mean", { dtype: "F32", shape: [4], data: new Float32Array(4) }),
    );
    await expect(opened(half)).rejects.toThrow("has the mark edm_mean without edm_std");
    const tiny = await withCase(sdFile!, "xl-edm");
    await expect(opened(tiny, { config: sd })).rejects.toThrow("known of Stable Diffusion XL; this is sd1");
  });

  it.each(["xl-v_pred", "xl-v_pred-ztsnr", "xl-edm", "xl-edm_vpred"])(
    "%s: comes back from a folder with the same scheduler and latents",
    async (name) => {
      const [out, again] = [join(folder, `${name} folder`), join(folder, `${name}.safetensors`)];
      await singleFileToFolder(await withCase(xlFile!, name), out, { config: xl });
      await folderToSingleFile(out, again);
      const marks = Object.keys(CASES.get(name)!.add!);
      expect([...(await readStored(again)).tensors.keys()]).toEqual(expect.arrayContaining(marks));
      const { parts } = await opened(again);
      const written = JSON.parse(readFileSync(join(out, "scheduler/scheduler_config.json"), "utf8")) as Config;
      expect(parts.scheduler.config).toEqual(schedulerFromConfig(written).config);
      expect(parts.vae.config).toEqual((await loadedConfig(join(out, "vae"))).config);
    },
  );

  it("are refused where a file cannot say what a folder says", async () => {
    const other = join(folder, "other");
    cpSync(xl!, other, { recursive: true });
    const write = (config: object) =>
      writeFileSync(join(other, "scheduler/scheduler_config.json"), JSON.stringify(config));
    write({ _class_name: "FlowMatchEulerDiscreteScheduler" });
    await expect(folderToSingleFile(other, join(folder, "no"))).rejects.toThrow("a single file cannot say");
    write({ _class_name: "EDMEulerScheduler", prediction_type: "v_prediction", sigma_data: 0.5 });
    await expect(folderToSingleFile(other, join(folder, "no"))).rejects.toThrow("sigma_data 0.5");
    write({ _class_name: "EulerDiscreteScheduler", beta_schedule: "linear", timestep_spacing: "leading" });
    await expect(folderToSingleFile(other, join(folder, "no"))).rejects.toThrow('beta_schedule "linear"');
    expect(existsSync(join(folder, "no"))).toBe(false);
    await folderToSingleFile(other, join(folder, "without"), { withoutScheduler: true });
    expect(warn.mock.calls).toEqual([[expect.stringContaining('beta_schedule "linear"')]]);
  });
});

async function loadedConfig(from: string): Promise<Model> {
  const model = await loadModel(from);
  model.dispose();
  return model;
}

describe("The scheduler of a config folder", () => {
  it("is the pipeline's, if the file says nothing else", async () => {
    const { config, expect: asked } = CASES.get("config-scheduler")!;
    const other = join(folder, "config");
    cpSync(sd!, other, { recursive: true });
    writeFileSync(join(other, "scheduler/scheduler_config.json"), JSON.stringify(config!.scheduler_config));
    const { parts } = await opened(sdFile!, { config: other });
    expect(parts.scheduler.config).toMatchObject(asked.scheduler!);
    expect(parts.scheduler.config._class_name).toBe("DDIMScheduler");
    expect(warn).not.toHaveBeenCalled();
    const asEpsilon = await opened(sdFile!, { config: other, predictionType: "epsilon" });
    expect(asEpsilon.parts.scheduler.config).toMatchObject({ prediction_type: "epsilon" });
  });

  it("yields to v_prediction in the file, with a warning", async () => {
    const { tensors } = await readStored(xlFile!);
    const path = join(folder, "stated.safetensors");
    await writeSafetensors(path, tensors, { "modelspec.predict_key": "v" });
    const { parts } = await opened(path);
    expect(parts.scheduler.config).toMatchObject({ prediction_type: "v_prediction", timestep_spacing: "leading" });
    expect(warn.mock.calls.flat().join()).toContain("says epsilon. Taken as v_prediction");
  });
});

describe("A file with left-overs", () => {
  const sameWeights = async (path: string, options: OpenPipelineOptions = {}) => {
    const [got, whole] = await Promise.all([
      openPipeline(path, { config: sd, ...options }),
      openPipeline(sdFile!, { config: sd }),
    ]);
    const weights = ({ parts }: StableDiffusionPipeline) =>
      [parts.unet, parts.vae, parts.textEncoder].flatMap((network) =>
        [...(network as Model).parameters().values()].map((value) => value.dataSync()),
      );
    expect(weights(got as StableDiffusionPipeline)).toEqual(weights(whole as StableDiffusionPipeline));
    got.dispose();
    whole.dispose();
  };

  it.each(["sd-vae-loss", "sd-vae-ema"])("%s: opens with the same weights, and one warning", async (name) => {
    const path = await withCase(sdFile!, name);
    await sameWeights(path);
    const names = Object.keys(CASES.get(name)!.add!);
    expect(warn).toHaveBeenCalledTimes(1);
    for (const left of names) expect(warn.mock.calls[0]![0]).toContain(left);
    const strict = openPipeline(path, { config: sd, strict: true });
    await expect(strict).rejects.toThrow(`${names.length} of its tensors have no use: ${names.sort().join(", ")}.`);
  });

  it("refuses a tensor in the place of a network that the network does not have", async () => {
    const path = await withCase(sdFile!, "sd-vae-stray");
    await expect(opened(path, { config: sd })).rejects.toThrow(
      /first_stage_model\.decoder\.conv_in2\.weight is not part of the network/,
    );
  });

  it("lists loose tensors, also of a text encoder, ten of them", async () => {
    const stray: TensorToWrite = { dtype: "F32", shape: [1], data: new Float32Array(1) };
    const path = await changed(sdFile!, (tensors) => {
      for (let i = 0; i < 11; i++) tensors.set(`stray.${i}`, stray);
      return tensors.set("cond_stage_model.transformer.text_model.more", stray);
    });
    await opened(path, { config: sd });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]![0]).toMatch(/12 of its tensors have no use: .*stray\.0.* and 2 more\.$/);
  });

  it("says in one line that it has no autoencoder, and takes another", async () => {
    const path = await changed(sdFile!, (tensors) => {
      for (const name of tensors.keys()) if (name.startsWith("first_stage_model.")) tensors.delete(name);
      return tensors;
    });
    const error: unknown = await opened(path, { config: sd }).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/has no autoencoder .* Give one as \{ vae \}/);
    expect(String(error).split("\n").length).toBe(1);
    const vae = (await loadModel(join(sd!, "vae"), { dtype: "F16" })) as AutoencoderKL;
    await sameWeights(path, { vae });
    await sameWeights(path, { vae: join(sd!, "vae"), dtype: "F16" });
    const out = join(folder, "with vae");
    await singleFileToFolder(path, out, { config: sd, vae: join(sd!, "vae") });
    const [theirs, ours] = await Promise.all([loadModel(join(sd!, "vae")), loadModel(join(out, "vae"))]);
    expect(ours.config).toEqual(theirs.config);
    theirs.dispose();
    ours.dispose();
  });

  it("keeps no tensor when it fails with a given autoencoder's file", async () => {
    const before = tf.memory().numTensors;
    const path = await changed(sdFile!, (tensors) => {
      tensors.delete("model.diffusion_model.out.2.bias");
      return tensors;
    });
    const vae = join(sd!, "vae");
    await expect(opened(path, { config: sd, vae })).rejects.toThrow("conv_out.bias is missing");
    expect(tf.memory().numTensors).toBe(before);
  });
});
