import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { FakeHub } from "../hub/testing/fake-hub.js";
import { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { useTestBackend } from "../testing/backend.js";
import { WeightsFormatError, WeightsMismatchError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { writeSafetensors } from "../weights/write-safetensors.js";
import { type LoadLoraOptions, LoraSet } from "./lora.js";

const QUERY = "text_model.encoder.layers.0.self_attn.q_proj";
const VALUE = "text_model.encoder.layers.0.self_attn.v_proj";
let text: CLIPTextModel;
let loras: LoraSet;
let folder: string;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "lora scaling "));
  text = new CLIPTextModel({
    hidden_size: 8,
    intermediate_size: 16,
    num_attention_heads: 2,
    num_hidden_layers: 1,
    vocab_size: 20,
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

/** A LoRA of two modules with all ones at rank 4: without alpha each weight grows by 4. */
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

/** The factors of the two modules, alpha / rank: their change divided by 4. */
async function factors(from: BytesFrom, options?: LoadLoraOptions): Promise<number[]> {
  const read = () => [QUERY, VALUE].map((module) => text.parameters().get(`${module}.weight`)!.dataSync()[5]!);
  const before = read();
  await loras.load(from, options);
  const after = read();
  loras.unload();
  return after.map((value, i) => Math.round(((value - before[i]!) / 4) * 1e4) / 1e4);
}

describe("The factor of a LoRA's product", () => {
  it("is 1 if the file has no settings", async () => {
    expect(await factors(await write("a.safetensors", "text_encoder."))).toEqual([1, 1]);
  });

  it.each<[string, object, number[]]>([
    ["alpha / rank", { lora_alpha: 8 }, [2, 2]],
    ["alpha / sqrt(rank), rank-stabilised", { lora_alpha: 8, use_rslora: true }, [4, 4]],
    ["a module's alpha from alpha_pattern", { lora_alpha: 8, alpha_pattern: { q_proj: 2 } }, [0.5, 2]],
    ["that alpha over the square root", { lora_alpha: 8, alpha_pattern: { [VALUE]: 2 }, use_rslora: true }, [4, 1]],
    ["a pattern that starts at the root", { lora_alpha: 4, alpha_pattern: { [`^${QUERY}`]: 8, "^v_proj": 8 } }, [2, 1]],
    ["the first of several patterns", { alpha_pattern: { "self_attn.q_proj": 8, q_proj: 2, v_proj: 0 } }, [2, 0]],
    ["whole names, not their ends", { lora_alpha: 4, alpha_pattern: { _proj: 8 } }, [1, 1]],
    ["the tensors' rank, for any r and rank_pattern", { lora_alpha: 8, r: 16, rank_pattern: { q_proj: 4 } }, [2, 2]],
  ])("is %s", async (_, settings, expected) => {
    const own = Object.entries(settings).map(
      ([key, value]: [string, unknown]) => [`text_encoder.${key}`, value] as const,
    );
    expect(await factors(await withSettings(Object.fromEntries([["unet.lora_alpha", 99], ...own])))).toEqual(expected);
  });

  it("comes from the settings of a network's own save, which name no network, like its tensors", async () => {
    const save = (settings: object) => {
      const metadata = { format: "pt", lora_adapter_metadata: JSON.stringify(settings) };
      return write("pytorch_lora_weights.safetensors", "", metadata);
    };
    expect(await factors(await save({ peft_type: "LORA", r: 4, lora_alpha: 8 }))).toEqual([2, 2]);
    expect(await factors(await save({ lora_alpha: 8, use_rslora: true }))).toEqual([4, 4]);
    expect(await factors(await save({ lora_alpha: 8, alpha_pattern: { q_proj: 2 } }))).toEqual([0.5, 2]);
    expect(await factors(await save({ lora_alpha: 8, "text_encoder.lora_alpha": 4 }))).toEqual([1, 1]);
    for (const unknown of [{ bias: "all" }, { lora_bias: true }, { init_lora_weights: "pissa_niter_4" }])
      await expect(loras.load(await save({ lora_alpha: 8, ...unknown }))).rejects.toThrow(WeightsFormatError);
  });

  it("comes from adapter_config.json for PEFT's own files, which do not name their network", async () => {
    const path = await write("adapter_model.safetensors", "base_model.model.");
    const warned = jest.spyOn(console, "warn").mockImplementation(() => {});
    expect(await factors(path)).toEqual([1, 1]);
    expect(warned).toHaveBeenCalledTimes(1);
    expect(warned.mock.calls.join()).toMatch(
      /no alpha, which PEFT writes to .*adapter_config.json; .* as if alpha were the rank/,
    );
    warned.mockRestore();
    const config = {
      peft_type: "LORA",
      bias: "none",
      modules_to_save: null,
      lora_alpha: 8,
      alpha_pattern: { q_proj: 2 },
    };
    writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(config));
    expect(await factors(path)).toEqual([0.5, 2]);
    expect(await factors(path, { adapterConfig: {} })).toEqual([1, 1]);
    expect(await factors(path, { adapterConfig: { lora_alpha: 2 } })).toEqual([0.5, 0.5]);
    const stored = await withSettings({ "text_encoder.lora_alpha": 8 });
    expect(await factors(stored, { adapterConfig: { lora_alpha: 4 } })).toEqual([1, 1]);
  });

  it("is found next to PEFT's own file, however that is opened", async () => {
    const place = await mkdtemp(join(folder, "peft "));
    const path = join(place, "adapter_model.safetensors");
    renameSync(await write("adapter_model.safetensors", "base_model.model."), path);
    // Other names, of the file or of its tensors, as people give them.
    const [renamed, bare] = [join(place, "my style.safetensors"), join(place, "bare.safetensors")];
    cpSync(path, renamed);
    renameSync(await write("bare.safetensors", ""), bare);
    writeFileSync(join(place, "adapter_config.json"), JSON.stringify({ lora_alpha: 8, use_rslora: true }));
    const requested: string[] = [];
    const server = createServer((request, response) => {
      const name = decodeURIComponent(basename(new URL(request.url!, "http://here").pathname));
      requested.push(name);
      readFile(join(place, name)).then(
        (bytes) => void response.writeHead(200, { "content-length": bytes.length }).end(bytes),
        () => void response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}/lora/adapter_model.safetensors`;
    const hub = await FakeHub.start({
      "adapter_model.safetensors": await readFile(path),
      "adapter_config.json": await readFile(join(place, "adapter_config.json")),
      "later/adapter_model.safetensors": await readFile(path),
      "later/adapter_config.json": JSON.stringify({ lora_alpha: 2 }),
    });
    const environment = { ...process.env };
    process.env = { ...environment, HF_HOME: join(place, "home"), HF_ENDPOINT: hub.endpoint };
    try {
      const renamedHttp = http.replace("adapter_model", "my%20style");
      for (const from of [renamed, pathToFileURL(renamed), renamedHttp, `${renamedHttp}?a=/b#c`, bare])
        expect([String(from), await factors(from)]).toEqual([String(from), [4, 4]]);
      expect(await factors(http.replace("adapter_model", "bare"))).toEqual([1, 1]);
      expect(requested.filter((name) => name === "adapter_config.json").length).toBe(4); // HEAD and GET of each.
      const [file, directory] = [pathToFileURL(path), pathToFileURL(place)];
      for (const from of [path, place, file, file.href, directory, directory.href, http, new URL(http), `${http}?a=1`])
        expect([String(from), await factors(from)]).toEqual([String(from), [4, 4]]);
      expect(await factors("owner/name")).toEqual([4, 4]);
      expect(await factors("owner/name", { weightName: "later/adapter_model.safetensors" })).toEqual([0.5, 0.5]);
      // Bytes have no file next to them.
      const bytes = await readFile(path);
      const warned = jest.spyOn(console, "warn").mockImplementation(() => {});
      expect(await factors(bytes)).toEqual([1, 1]);
      expect(warned.mock.calls.join()).toMatch(/as if alpha were the rank .* Give its settings as \{ adapterConfig \}/);
      warned.mockRestore();
      expect(await factors(new Blob([bytes]), { adapterConfig: { lora_alpha: 8 } })).toEqual([2, 2]);
    } finally {
      process.env = environment;
      await hub.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
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
  ])("is refused with the name of an unsupported setting: %s = %j", async (key, value) => {
    const path = await withSettings({ [`text_encoder.${key}`]: value });
    await expect(loras.load(path)).rejects.toThrow(WeightsFormatError);
    await expect(loras.load(path)).rejects.toThrow(`${key} = ${JSON.stringify(value)}`);
  });

  it.each<[string, RegExp]>([
    ["{not json", /lora_adapter_metadata.*cannot be read/],
    ["[1]", /lora_adapter_metadata.*is not a JSON object/],
    ["null", /is not a JSON object/],
    ['{"text_encoder.use_rslora": "yes"}', /the LoRA's setting use_rslora is "yes"; expected true or false/],
    ['{"alpha_pattern": 3}', /the LoRA's setting alpha_pattern is 3; expected an object, or null/],
    ['{"text_encoder.lora_alpha": "8"}', /alpha of text_model.*q_proj is "8"; expected a number/],
    ['{"text_encoder.lora_alpha": 1e999}', /expected a number/],
    ['{"text_encoder.alpha_pattern": {"(a+)+$": 1}}', /alpha_pattern "\(a\+\)\+\$" is a regular expression/],
  ])("is refused if the settings are %s", async (settings, expected) => {
    const path = await write("a.safetensors", "text_encoder.", { lora_adapter_metadata: settings });
    await expect(loras.load(path)).rejects.toThrow(WeightsFormatError);
    await expect(loras.load(path)).rejects.toThrow(expected);
    expect(loras.scales).toEqual({});
  });

  it("is refused if an alpha tensor has more than one number", async () => {
    const alpha = { dtype: "F32", shape: [2], data: new Float32Array(2) };
    const path = await write("a.safetensors", "text_encoder.", {}, { [`text_encoder.${QUERY}.alpha`]: alpha });
    await expect(loras.load(path)).rejects.toThrow(WeightsMismatchError);
    await expect(loras.load(path)).rejects.toThrow("alpha is not one number");
  });
});
