import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import { loadModel } from "../models/load-model.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { writeTinySingleFile, writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { openSafetensors } from "../weights/safetensors.js";
import { folderToSingleFile } from "./convert-to-file.js";
import { convertFolder } from "./convert-folder.js";
import { singleFileToFolder } from "./convert-to-folder.js";
import { inspectCheckpoint } from "./inspect.js";

let folder: string;
let singleFile: string;
let tiny: string;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "convert "));
  tiny = join(folder, "tiny");
  await writeTinyStableDiffusion(tiny);
  singleFile = await writeTinySingleFile(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The number type, shape and bytes of each tensor, by its name. */
async function contents(path: string): Promise<Map<string, string>> {
  const file = await openSafetensors(path);
  const all = new Map<string, string>();
  for (const [name, { dtype, shape }] of file.tensors)
    all.set(name, `${dtype} [${shape.join()}] ${Buffer.from(await file.readBytes(name)).toString("base64")}`);
  await file.close();
  return all;
}

const NETWORKS = ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"] as const;

describe("A single file as a folder", () => {
  it("has the tensors of diffusers' folder, bit for bit, without allocating memory for them", async () => {
    const before = tf.memory().numTensors;
    const out = join(folder, "out");
    await singleFileToFolder(singleFile, out, { config: tiny, variant: "fp16", predictionType: "v_prediction" });
    expect(tf.memory().numTensors).toBe(before);
    for (const name of NETWORKS)
      expect(await contents(join(out, `${name}.fp16.safetensors`))).toEqual(
        await contents(join(tiny, `${name}.fp16.safetensors`)),
      );
    const json = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    const { _diffusers_version: _, ...index } = json(join(tiny, "model_index.json"));
    expect(json(join(out, "model_index.json"))).toEqual(index);
    expect((await inspectCheckpoint(out)).prediction).toMatchObject({ type: "v_prediction", certainty: "stated" });
    expect(json(join(out, "tokenizer/special_tokens_map.json"))).toMatchObject({ pad_token: "<|endoftext|>" });
  });

  it("needs a vocabulary, and fitting sizes, before anything is written", async () => {
    const out = join(folder, "none");
    await expect(singleFileToFolder(singleFile, out)).rejects.toThrow("these are not the weights of this network");
    const config = join(folder, "no tokenizer");
    for (const part of ["unet", "vae", "text_encoder"]) {
      mkdirSync(join(config, part), { recursive: true });
      writeFileSync(join(config, part, "config.json"), readFileSync(join(tiny, part, "config.json")));
    }
    await expect(singleFileToFolder(singleFile, out, { config })).rejects.toThrow("tokenizer");
    expect(existsSync(out)).toBe(false);
  });
});

describe("A folder as a single file", () => {
  it("has the tensors of the file with the original code's names, bit for bit", async () => {
    const path = join(folder, "made.safetensors");
    await folderToSingleFile(tiny, path, { variant: "fp16" });
    const expected = await contents(singleFile);
    for (const name of expected.keys()) if (/position_ids|^betas|^alphas_cumprod/.test(name)) expected.delete(name);
    expect(await contents(path)).toEqual(expected);
    expect((await inspectCheckpoint(path)).prediction).toMatchObject({ type: "epsilon", certainty: "stated" });
  });

  it("is the same after converting back, also for XL with OpenCLIP's stacked and transposed tensors", async () => {
    const xl = join(folder, "xl");
    await writeTinyXl(xl);
    const path = join(folder, "xl.safetensors");
    await folderToSingleFile(xl, path);
    expect(await inspectCheckpoint(path)).toMatchObject({ kind: "single file", family: "sdxl" });
    const back = join(folder, "xl back");
    await singleFileToFolder(path, back, { config: xl, tokenizer: join(tiny, "tokenizer") });
    for (const name of [...NETWORKS, "text_encoder_2/model"])
      expect(await contents(join(back, `${name}.safetensors`))).toEqual(
        await contents(join(xl, `${name}.safetensors`)),
      );
    const pad = (part: string) => readFileSync(join(back, part, "special_tokens_map.json"), "utf8");
    expect(pad("tokenizer")).toContain('"pad_token": "<|endoftext|>"');
    expect(pad("tokenizer_2")).toContain('"pad_token": "!"');
  });

  it("is refused without an autoencoder", async () => {
    const faces = fixturePath("../../examples/weights/faces");
    await expect(folderToSingleFile(faces, join(folder, "x.safetensors"))).rejects.toThrow(
      /there is no vae\/config\.json.*Convert it to a folder instead\./,
    );
  });

  it("is refused without a text encoder, which determines the family", async () => {
    mkdirSync(join(folder, "empty"));
    await expect(folderToSingleFile(join(folder, "empty"), join(folder, "x.safetensors"))).rejects.toThrow(
      "there is no text_encoder/config.json",
    );
  });
});

/** A folder with the parts of Stable Diffusion XL, tiny. */
async function writeTinyXl(target: string): Promise<void> {
  const text = {
    vocab_size: 30,
    max_position_embeddings: 7,
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    projection_dim: 6,
  };
  const parts = {
    unet: await loadModel(fixturePath("unet_sdxl")),
    vae: await loadModel(fixturePath("vae_basic")),
    text_encoder: new CLIPTextModel(text),
    text_encoder_2: new CLIPTextModelWithProjection({ ...text, hidden_act: "gelu" }),
  };
  parts.text_encoder.initialize(keyedNoise(1));
  parts.text_encoder_2.initialize(keyedNoise(2));
  for (const [part, model] of Object.entries(parts)) {
    await model.save(join(target, part));
    model.dispose();
  }
}

describe("A folder as another folder", () => {
  it("has the same tensors, bit for bit, configs and vocabulary, without allocating memory for the tensors", async () => {
    const before = tf.memory().numTensors;
    const out = join(folder, "again");
    await convertFolder(tiny, out);
    expect(tf.memory().numTensors).toBe(before);
    for (const name of NETWORKS)
      expect(await contents(join(out, `${name}.safetensors`))).toEqual(
        await contents(join(tiny, `${name}.safetensors`)),
      );
    const json = (path: string) => JSON.parse(readFileSync(path, "utf8")) as unknown;
    for (const file of [
      "model_index.json",
      "unet/config.json",
      "scheduler/scheduler_config.json",
      "tokenizer/vocab.json",
    ])
      expect(json(join(out, file))).toEqual(json(join(tiny, file)));
  });

  it("has diffusers' rounded numbers, in shards and as a variant", async () => {
    const out = join(folder, "half");
    await convertFolder(tiny, out, { dtype: "F16", saveVariant: "fp16", maxShardBytes: 300_000 });
    const [ours, theirs] = await Promise.all(
      [out, tiny].map((from) => loadModel(join(from, "unet"), { variant: "fp16" })),
    );
    for (const [name, value] of ours!.parameters())
      expect(value.dataSync()).toEqual(theirs!.parameters().get(name)!.dataSync());
    ours!.dispose();
    theirs!.dispose();
  });

  it("does not follow an index out of the folder, and leaves out networks of unknown classes", async () => {
    const from = join(folder, "strange");
    await convertFolder(tiny, from);
    const index = JSON.parse(readFileSync(join(from, "model_index.json"), "utf8")) as Record<string, unknown>;
    mkdirSync(join(from, "safety_checker"));
    writeFileSync(join(from, "safety_checker/config.json"), "{}");
    const strange = {
      "../tiny": ["diffusers", "UNet2DConditionModel"],
      safety_checker: ["diffusers", "SafetyChecker"],
    };
    writeFileSync(join(from, "model_index.json"), JSON.stringify({ ...index, ...strange }));
    const out = join(folder, "inside/out");
    await convertFolder(from, out);
    expect(existsSync(join(folder, "inside/tiny"))).toBe(false);
    expect(existsSync(join(out, "safety_checker"))).toBe(false);
    const written = JSON.parse(readFileSync(join(out, "model_index.json"), "utf8")) as unknown;
    expect(written).toEqual({ ...index, safety_checker: [null, null] });
  });

  it("is refused completely if one network does not fit, or if it is not a pipeline", async () => {
    const from = join(folder, "broken");
    await convertFolder(tiny, from);
    writeFileSync(join(from, "vae/diffusion_pytorch_model.safetensors"), "version https://git-lfs.github.com/spec/v1");
    const out = join(folder, "not there");
    await expect(convertFolder(from, out)).rejects.toThrow("git lfs pull");
    expect(existsSync(out)).toBe(false);
    await expect(convertFolder(join(tiny, "unet"), out)).rejects.toThrow("Give the folder of a complete pipeline.");
  });
});
