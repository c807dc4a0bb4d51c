import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { useTestBackend } from "../testing/backend.js";
import { WeightsFormatError, WeightsMismatchError } from "../weights/errors.js";
import { writeSafetensors } from "../weights/write-safetensors.js";
import { LoraSet } from "./lora.js";

const QUERY = "text_model.encoder.layers.0.self_attn.q_proj";
const VALUE = "text_model.encoder.layers.0.self_attn.v_proj";
let text: CLIPTextModel;
let loras: LoraSet;
let folder: string;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "lora scaling "));
  text = new CLIPTextModel({
    ...{ hidden_size: 8, intermediate_size: 16, num_attention_heads: 2, num_hidden_layers: 1, vocab_size: 20 },
    max_position_embeddings: 6,
  });
  text.initialize(keyedNoise(0));
});
beforeEach(() => {
  loras = new LoraSet({ text_encoder: text });
});
afterAll(() => {
  text.dispose();
  rmSync(folder, { recursive: true });
});

/** A LoRA of two modules, all ones at rank 4: without any alpha each weight grows by 4. */
async function write(name: string, prefix: string, metadata?: Record<string, string>, extra = {}): Promise<string> {
  const ones = (shape: number[]) => ({ dtype: "F32", shape, data: new Float32Array(32).fill(1) }) as const;
  const path = join(folder, name);
  const tensors = [QUERY, VALUE].flatMap((module) => [
    [`${prefix}${module}.lora_A.weight`, ones([4, 8])] as const,
    [`${prefix}${module}.lora_B.weight`, ones([8, 4])] as const,
  ]);
  await writeSafetensors(path, new Map([...tensors, ...Object.entries(extra)]) as never, metadata);
  return path;
}

const withSettings = (settings: object) =>
  write("a.safetensors", "text_encoder.", { lora_adapter_metadata: JSON.stringify(settings) });

/** By how much the LoRA changes the two modules, over 4: alpha / rank. */
async function factors(path: string): Promise<number[]> {
  const read = () => [QUERY, VALUE].map((module) => text.parameters().get(`${module}.weight`)!.dataSync()[5]!);
  const before = read();
  await loras.load(path);
  const after = read();
  loras.unload();
  return after.map((value, i) => Math.round(((value - before[i]!) / 4) * 1e4) / 1e4);
}

describe("What a LoRA's product is multiplied by", () => {
  it("is 1 where the file says nothing", async () => {
    expect(await factors(await write("a.safetensors", "text_encoder."))).toEqual([1, 1]);
  });

  it.each<[string, object, number[]]>([
    ["alpha / rank", { lora_alpha: 8 }, [2, 2]],
    ["alpha / sqrt(rank), rank-stabilised", { lora_alpha: 8, use_rslora: true }, [4, 4]],
    ["by alpha_pattern a module's own alpha", { lora_alpha: 8, alpha_pattern: { q_proj: 2 } }, [0.5, 2]],
    ["that alpha over the square root too", { lora_alpha: 8, alpha_pattern: { [VALUE]: 2 }, use_rslora: true }, [4, 1]],
    [
      "by a pattern that starts at the root",
      { lora_alpha: 4, alpha_pattern: { [`^${QUERY}`]: 8, "^v_proj": 8 } },
      [2, 1],
    ],
    ["by the first of several patterns", { alpha_pattern: { "self_attn.q_proj": 8, q_proj: 2, v_proj: 0 } }, [2, 0]],
    ["by whole names, not by their ends", { lora_alpha: 4, alpha_pattern: { _proj: 8 } }, [1, 1]],
    [
      "the tensors' own rank, whatever r and rank_pattern say",
      { lora_alpha: 8, r: 16, rank_pattern: { q_proj: 4 } },
      [2, 2],
    ],
  ])("is %s", async (_, settings, expected) => {
    const own = Object.entries(settings).map(
      ([key, value]: [string, unknown]) => [`text_encoder.${key}`, value] as const,
    );
    expect(await factors(await withSettings(Object.fromEntries([["unet.lora_alpha", 99], ...own])))).toEqual(expected);
  });

  it("is what adapter_config.json says, for the files of PEFT's own, which do not name their network", async () => {
    const path = await write("adapter_model.safetensors", "base_model.model.");
    expect(await factors(path)).toEqual([1, 1]);
    const config = {
      peft_type: "LORA",
      bias: "none",
      modules_to_save: null,
      lora_alpha: 8,
      alpha_pattern: { q_proj: 2 },
    };
    writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(config));
    expect(await factors(path)).toEqual([0.5, 2]);
    await loras.load(path, { adapterConfig: {} });
    loras.unload();
  });

  it.each([
    ["use_dora", true],
    ["use_qalora", true],
    ["lora_bias", true],
    ["bias", "all"],
    ["fan_in_fan_out", true],
    ["peft_type", "LOHA"],
    ["modules_to_save", ["classifier"]],
    ["trainable_token_indices", [1]],
  ])("is refused with the name of a setting that is not known: %s = %j", async (key, value) => {
    const path = await withSettings({ [`text_encoder.${key}`]: value });
    await expect(loras.load(path)).rejects.toThrow(WeightsFormatError);
    await expect(loras.load(path)).rejects.toThrow(`${key} = ${JSON.stringify(value)}`);
  });

  it.each<[string, RegExp]>([
    ["{not json", /lora_adapter_metadata.*cannot be read/],
    ["[1]", /they are no object/],
    ["null", /they are no object/],
    ['{"text_encoder.lora_alpha": "8"}', /alpha of text_model.*q_proj is "8"; a number is expected/],
    ['{"text_encoder.lora_alpha": 1e999}', /a number is expected/],
    ['{"text_encoder.alpha_pattern": {"(a+)+$": 1}}', /alpha_pattern "\(a\+\)\+\$" is a regular expression/],
  ])("is refused where the settings are %s", async (settings, expected) => {
    const path = await write("a.safetensors", "text_encoder.", { lora_adapter_metadata: settings });
    await expect(loras.load(path)).rejects.toThrow(WeightsFormatError);
    await expect(loras.load(path)).rejects.toThrow(expected);
    expect(loras.scales).toEqual({});
  });

  it("is refused where an alpha beside the tensors is more than one number", async () => {
    const alpha = { dtype: "F32", shape: [2], data: new Float32Array(2) };
    const path = await write("a.safetensors", "text_encoder.", {}, { [`text_encoder.${QUERY}.alpha`]: alpha });
    await expect(loras.load(path)).rejects.toThrow(WeightsMismatchError);
    await expect(loras.load(path)).rejects.toThrow("alpha is not one number");
  });
});
