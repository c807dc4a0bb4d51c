import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { AutoencoderTiny } from "../models/autoencoder/autoencoder-tiny.js";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import { configOfNetwork, networkIn } from "../models/network-file.js";
import { ControlNetModel } from "../models/unet/controlnet.js";
import { firstT2IAdapterName, t2iAdapterConfig } from "../models/unet/t2i-adapter-file.js";
import { T2IAdapter, type T2IAdapterConfig } from "../models/unet/t2i-adapter.js";
import { openPipeline, type OpenPipelineOptions } from "../pipelines/open-pipeline.js";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import type { StableDiffusionXLPipeline } from "../pipelines/stable-diffusion/stable-diffusion-xl.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { type StoredTensors, writeChanged } from "../testing/stored-tensors.js";
import {
  writeTinySingleFile,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../testing/stable-diffusion.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { encodeSafetensors, type TensorToWrite } from "../weights/write-safetensors.js";
import { folderToSingleFile } from "./convert-to-file.js";
import { inspectCheckpoint } from "./inspect.js";

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

/** Pipelines that are freed after each test. */
const open: { dispose(): void }[] = [];
afterEach(() => open.splice(0).forEach((pipeline) => pipeline.dispose()));

async function opened(path: string, options: OpenPipelineOptions = {}) {
  const pipeline = await openPipeline(path, { config: path === sdFile ? sd : xl, ...options });
  open.push(pipeline);
  return pipeline as StableDiffusionPipeline | StableDiffusionXLPipeline;
}

async function loadedConfig(from: string): Promise<Model> {
  const model = await loadModel(from);
  model.dispose();
  return model;
}

describe("One network as a file", () => {
  const weights = (model: Model) => [...model.parameters()].map(([name, value]) => [name, value.dataSync()] as const);

  async function expectSame(got: Model, expected: Model): Promise<void> {
    expect(got.config).toEqual(expected.config);
    expect(weights(got)).toEqual(weights(expected));
    got.dispose();
    expected.dispose();
  }

  it.each([
    ["without its prefix", ""],
    ["with its prefix", "first_stage_model."],
  ])("an autoencoder opens %s, and its training is listed", async (_, kept) => {
    const path = await changed(sdFile!, (tensors) => {
      const own = [...tensors].filter(([name]) => name.startsWith("first_stage_model."));
      const renamed = own.map(([name, tensor]) => [kept + name.slice("first_stage_model.".length), tensor] as const);
      const left: TensorToWrite = { dtype: "F32", shape: [], data: new Float32Array(1) };
      return new Map([...renamed, [`${kept}loss.logvar`, left]]);
    });
    const vae = await loadModel(path, { config: sd });
    expect(vae).toBeInstanceOf(AutoencoderKL);
    expect(warn.mock.calls).toEqual([[expect.stringContaining(`no use: ${kept}loss.logvar.`)]]);
    await expectSame(vae, await loadModel(join(sd!, "vae"), { variant: "fp16" }));
    expect(await inspectCheckpoint(path)).toMatchObject({ kind: "network", parts: [{ name: "vae" }] });
    await expect(loadModel(path, { config: sd, strict: true })).rejects.toThrow("1 of its tensors have no use");
  });

  it("a ControlNet opens with the first code's names, with and without the prefix, and with diffusers'", async () => {
    const from = fixturePath("controlnet");
    const names = JSON.parse(readFileSync(fixturePath("single-file-cases/controlnet-names.json"), "utf8")) as Record<
      string,
      { diffusers: string; shape: number[] }
    >;
    const weightsFile = join(from, "diffusion_pytorch_model.safetensors");
    for (const prefix of ["control_model.", ""]) {
      const path = await changed(weightsFile, (tensors) => {
        const renamed = Object.entries(names).map(([ldm, { diffusers, shape }]) => {
          const { dtype, data } = tensors.get(diffusers)!;
          return [prefix + ldm.slice("control_model.".length), { dtype, shape, data }] as const;
        });
        return new Map(renamed);
      });
      const model = await loadModel(path, { config: from });
      expect(model).toBeInstanceOf(ControlNetModel);
      await expectSame(model, await loadModel(from));
      expect(await inspectCheckpoint(path)).toMatchObject({ kind: "network", parts: [{ name: "controlnet" }] });
    }
    await expectSame(await loadModel(weightsFile), await loadModel(from));
    await expectSame(await loadModel(readFileSync(weightsFile), { config: from }), await loadModel(from));
  });

  it("a UNet and a text encoder open by the names of either code", async () => {
    const part = (prefix: string) =>
      changed(sdFile!, (tensors) => new Map([...tensors].filter(([name]) => name.startsWith(prefix))));
    const unet = await loadModel(await part("model.diffusion_model."), { config: sd });
    await expectSame(unet, await loadModel(join(sd!, "unet"), { variant: "fp16" }));
    const text = await loadModel(await part("cond_stage_model.transformer."), { config: sd });
    await expectSame(text, await loadModel(join(sd!, "text_encoder"), { variant: "fp16" }));
    await expectSame(
      await loadModel(join(sd!, "unet/diffusion_pytorch_model.safetensors")),
      await loadModel(join(sd!, "unet")),
    );
    expect(warn).not.toHaveBeenCalled();
  });

  const named = (path: string, name: (own: string) => string) =>
    changed(path, (tensors) => new Map([...tensors].map(([own, tensor]) => [name(own), tensor] as const)));

  it("XL's second text encoder opens by the names of transformers and of OpenCLIP, and from the single file", async () => {
    const own = join(xl!, "text_encoder_2");
    const prefix = "conditioner.embedders.1.model.";
    const openclip = async (kept: string) =>
      changed(xlFile!, (tensors) => {
        const part = [...tensors].filter(([name]) => name.startsWith(prefix));
        return new Map(part.map(([name, tensor]) => [kept + name.slice(prefix.length), tensor] as const));
      });
    for (const path of [
      await named(join(own, "model.safetensors"), String),
      await openclip(prefix),
      await openclip(""),
    ]) {
      await expectSame(await loadModel(path, { config: xl }), await loadModel(own));
      expect(await inspectCheckpoint(path)).toMatchObject({ kind: "network" });
    }
    for (const subfolder of ["text_encoder", "text_encoder_2"])
      await expectSame(await loadModel(xlFile!, { config: xl, subfolder }), await loadModel(join(xl!, subfolder)));
    expect(warn).not.toHaveBeenCalled();
  });

  it.each<[string, Record<string, number[]>, object]>([
    ["CLIP L", { "text_model.embeddings.token_embedding.weight": [0, 768] }, { part: "text_encoder", family: "sd1" }],
    [
      "OpenCLIP H",
      {
        "transformer.resblocks.0.attn.in_proj_weight": [0, 1024],
        "token_embedding.weight": [0, 1024],
        text_projection: [0, 1024],
      },
      { part: "text_encoder", family: "sd2", className: "CLIPTextModel" },
    ],
    [
      "OpenCLIP G",
      {
        "transformer.resblocks.0.attn.in_proj_weight": [0, 1280],
        "token_embedding.weight": [0, 1280],
        text_projection: [0, 1280],
      },
      { part: "text_encoder_2", family: "sdxl", className: "CLIPTextModelWithProjection" },
    ],
    [
      "CLIP G of transformers",
      { "text_model.embeddings.token_embedding.weight": [0, 1280], "text_projection.weight": [0, 1280] },
      { part: "text_encoder_2", family: "sdxl", className: "CLIPTextModelWithProjection" },
    ],
  ])("%s is told by its names and its width, and has the config of its family", async (_, shapes, expected) => {
    const empty = (shape: number[]): TensorToWrite => ({ dtype: "F32", shape, data: new Float32Array(0) });
    const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, empty(shape)] as const));
    const file = await openSafetensors(await encodeSafetensors(tensors));
    const network = networkIn(file, "");
    expect(network).toMatchObject(expected);
    const { hidden_size } = await configOfNetwork(file.name, file, network, {});
    expect(hidden_size).toBe(Object.values(shapes).at(0)!.at(1));
    await file.close();
  });

  it.each(["tiny-t2i-adapter", "tiny-t2i-adapter-light"])("%s opens by the names of either code", async (fixture) => {
    const weightsFile = join(fixturePath(fixture), "diffusion_pytorch_model.safetensors");
    await expectSame(await loadModel(weightsFile), await loadModel(fixturePath(fixture)));
    // As TencentARC wrote its files: the blocks of all levels in one list, one for a level in this fixture.
    const first = await named(weightsFile, (name) =>
      name.replace(/^adapter\./, "").replace(/\.resnets\.(\d)\./, fixture.endsWith("light") ? ".body.$1." : "."),
    );
    await expectSame(await loadModel(first, { config: fixturePath(fixture) }), await loadModel(fixturePath(fixture)));
    for (const path of [weightsFile, first])
      expect(await inspectCheckpoint(path)).toMatchObject({ kind: "network", parts: [{ name: "adapter" }] });
    await expect(loadModel(first)).rejects.toThrow(
      /first layer reads \d+ channels; the published ones read 64, 192, 256, 768/,
    );
  });

  it.each<[string, Partial<T2IAdapterConfig>, string, object]>([
    ["full", {}, "body.2.in_conv.weight", { family: "sd1" }],
    ["for sketches", { in_channels: 1 }, "body.2.in_conv.weight", { family: "sd1" }],
    ["of XL", { adapter_type: "full_adapter_xl", downscale_factor: 16 }, "body.4.in_conv.weight", { family: "sdxl" }],
    [
      "light",
      { adapter_type: "light_adapter", channels: [320, 640, 1280], num_res_blocks: 4 },
      "body.1.body.3.block2.weight",
      { family: "sd1" },
    ],
  ])("a published T2I-Adapter, %s, has its config in its shapes", (_, given, known, expected) => {
    const model = new T2IAdapter(given);
    const own = [...model.namedParameters()].map(
      ([name, { diskShape: shape }]) => [name, { dtype: "F32", shape }] as const,
    );
    const first = own.map(([name, info]) => [firstT2IAdapterName(name, model.config), info] as const);
    expect(new Map(first).has(known)).toBe(true);
    for (const tensors of [new Map(own), new Map(first)]) {
      const file = { name: "adapter", tensors } as unknown as SafetensorsFile;
      const network = networkIn(file, "");
      expect(network).toMatchObject({ part: "adapter", ...expected });
      expect(new T2IAdapter(t2iAdapterConfig(file, network.prefix)).config).toEqual(model.config);
    }
  });

  it("is asked for, where a file holds several", async () => {
    await expect(loadModel(sdFile!, { config: sd })).rejects.toThrow("holds 3 networks (unet, vae, text_encoder)");
    const vae = await loadModel(sdFile!, { config: sd, subfolder: "vae" });
    await expectSame(vae, await loadModel(join(sd!, "vae"), { variant: "fp16" }));
    await expect(loadModel(sdFile!, { subfolder: "controlnet" })).rejects.toThrow("holds no controlnet, but unet, vae");
  });

  it("is of no published size, or of a size that its names do not tell, and says so", async () => {
    const lone = join(folder, "lone.safetensors");
    mkdirSync(folder, { recursive: true });
    cpSync(join(sd!, "unet/diffusion_pytorch_model.safetensors"), lone);
    await expect(loadModel(lone)).rejects.toThrow("a UNet2DConditionModel of no published size");
    const stray = await changed(lone, () => new Map([["x", { dtype: "F32", shape: [0], data: new Float32Array(0) }]]));
    await expect(loadModel(stray)).rejects.toThrow("of no network that is known by its names, which are such as x");
    cpSync(join(sd!, "vae/diffusion_pytorch_model.safetensors"), lone);
    await expect(loadModel(lone)).rejects.toThrow("these are not the weights of this network");
    expect(warn.mock.calls.flat().join()).toContain('give { family: "sdxl" }');
  });
});

describe("An autoencoder of the caller's", () => {
  it("takes the place of a folder's, by option and by assignment, and belongs to the pipeline", async () => {
    const before = tf.memory().numTensors;
    const file = join(sd!, "vae/diffusion_pytorch_model.fp16.safetensors");
    const byFile = await StableDiffusionPipeline.fromPretrained(sd!, { vae: file });
    const vae = (await loadModel(join(sd!, "vae"), { variant: "fp16" })) as AutoencoderKL;
    const given = await StableDiffusionPipeline.fromPretrained(sd!, { vae });
    expect(given.parts.vae).toBe(vae);
    const assigned = await StableDiffusionPipeline.fromPretrained(sd!);
    assigned.parts.vae.dispose();
    assigned.parts.vae = byFile.parts.vae;
    const settings = { prompt: "a boat", numInferenceSteps: 1, guidanceScale: 1 };
    const drawings = await Promise.all([byFile, given, assigned].map((pipeline) => pipeline.generate(settings)));
    const [first, ...others] = drawings.map(({ images }) => images.dataSync());
    for (const other of others) expect(other).toEqual(first);
    tf.dispose(drawings);
    for (const pipeline of [byFile, given, assigned]) pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  /** A copy of a folder without its autoencoder, and perhaps another config in its place. */
  const withoutVae = (from: string, name: string, config?: object): string => {
    const out = join(folder, name);
    cpSync(from, out, { recursive: true });
    rmSync(join(out, "vae"), { recursive: true });
    if (!config) return out;
    mkdirSync(join(out, "vae"));
    writeFileSync(join(out, "vae/config.json"), JSON.stringify(config));
    return out;
  };
  /** A file whose folder has no config. */
  const loneVae = (name: string): string => {
    const path = join(folder, `${name}.safetensors`);
    cpSync(join(sd!, "vae/diffusion_pytorch_model.safetensors"), path);
    return path;
  };

  it("as a file, has the config beside it, else that of the pipeline, else that of its family", async () => {
    const own = (await loadedConfig(join(sd!, "vae"))).config as AutoencoderKL["config"];
    const other = withoutVae(xl!, "scaled", { ...own, scaling_factor: 0.25 });
    for (const [from, vae, scaling_factor] of [
      [other, loneVae("lone vae"), 0.25],
      [other, join(sd!, "vae/diffusion_pytorch_model.safetensors"), own.scaling_factor],
    ] as const) {
      const byFolder = await opened(from, { vae });
      expect(byFolder.parts.vae.config).toMatchObject({ scaling_factor });
      const byFile = await opened(xlFile!, { vae, config: other });
      expect(byFile.parts.vae.config).toMatchObject({ scaling_factor });
    }
    expect(warn).not.toHaveBeenCalled();
    const file = await openSafetensors(loneVae("lone vae"));
    const network = networkIn(file, "");
    const none = { pipeline: withoutVae(xl!, "none"), family: "sdxl" } as const;
    expect(await configOfNetwork(file.name, file, network, none)).toMatchObject({ scaling_factor: 0.13025 });
    await file.close();
  });

  it("as a file of XL's, for a folder without its autoencoder, is not taken as 1's", async () => {
    // The published sizes are not those of the tiny file: it is refused, but without a doubt about its family.
    const [bare, vae] = [withoutVae(xl!, "bare"), loneVae("bare vae")];
    await expect(opened(bare, { vae })).rejects.toThrow("these are not the weights of this network");
    await expect(opened(xlFile!, { vae, config: bare })).rejects.toThrow("these are not the weights of this network");
    expect(warn).not.toHaveBeenCalled();
    await expect(loadModel(vae, { config: bare })).rejects.toThrow(
      `config: ${bare} has neither vae/config.json nor config.json.`,
    );
  });

  it("may be tiny, for a pipeline with a full one", async () => {
    const path = join(folder, "taesd.safetensors");
    const tiny = new AutoencoderTiny();
    tiny.initialize(keyedNoise(0));
    await tiny.save(join(folder, "taesd"));
    tiny.dispose();
    cpSync(join(folder, "taesd/diffusion_pytorch_model.safetensors"), path);
    for (const [from, config] of [
      [sd!, undefined],
      [sdFile!, sd],
    ] as const) {
      const { parts } = await opened(from, { vae: path, config });
      expect(parts.vae).toBeInstanceOf(AutoencoderTiny);
    }
  });

  it("is refused if it is no autoencoder", async () => {
    await expect(StableDiffusionPipeline.fromPretrained(sd!, { vae: join(sd!, "unet") })).rejects.toThrow(
      "known: AutoencoderKL, AutoencoderTiny",
    );
  });
});
