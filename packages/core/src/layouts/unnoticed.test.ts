import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { LoraSet } from "../adapters/lora.js";
import { loadWords } from "../adapters/textual-inversion.js";
import type { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, loadFixture, tinyLoraModels } from "../testing/fixture.js";
import {
  writeTinySingleFile,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../testing/stable-diffusion.js";
import { readStored, type StoredTensors } from "../testing/stored-tensors.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import { encodeSafetensors } from "../weights/write-safetensors.js";
import { folderToSingleFile } from "./convert-to-file.js";
import { loadSingleFile } from "./single-file.js";

/** A kind of file, and what comes out of it: numbers and settings, as one text. */
interface Kind {
  file(): string;
  open(bytes: Uint8Array): Promise<string>;
  /** Which tensors are read, if not all: a LoRA's words, without the LoRA. */
  isRead?: (name: string) => boolean;
  /** Whether the caller names the tensor, so that its name in the file means nothing. */
  isNamed?: boolean;
}

let folder: string;
let loraModels: { unet: Model; text_encoder: Model };
let tokenizer: CLIPTokenizer;
const warn = jest.spyOn(console, "warn").mockImplementation(() => {});

const digest = (...models: Model[]) => {
  const hash = createHash("sha256");
  for (const [name, value] of models.flatMap((model) => [...model.parameters()]))
    hash.update(name).update(value.dataSync() as Float32Array);
  return hash.digest("hex");
};

function disposed(text: string, ...models: Model[]): string {
  for (const model of models) model.dispose();
  return text;
}

const singleFile = (name: string, config: string): Kind => ({
  file: () => join(folder, name),
  async open(bytes) {
    const from = join(folder, config);
    const { unet, vae, textEncoders, schedulerConfig } = await loadSingleFile(bytes, { config: from });
    const models = [unet, vae, ...textEncoders.values()];
    return disposed(`${digest(...models)}\n${JSON.stringify(schedulerConfig)}`, ...models);
  },
});

/** One network, by the folder of its file and config; or a file whose tensors tell its config. */
const network = (path: () => string, name = "diffusion_pytorch_model.safetensors"): Kind => ({
  file: () => (name === "" ? path() : join(path(), name)),
  async open(bytes) {
    const model = await loadModel(bytes, { config: name === "" ? undefined : path() });
    return disposed(digest(model), model);
  },
});
const inFixture = (name: string) => () => fixturePath(name);

const lora = (name: string): Kind => ({
  file: inFixture(`lora-cases/${name}.safetensors`),
  async open(bytes) {
    const loras = new LoraSet(loraModels);
    const { words } = await loras.load(bytes);
    const text = `${digest(loraModels.unet, loraModels.text_encoder)} ${words.join()}`;
    loras.unload();
    loras.dispose();
    return text;
  },
});

const word = (path: string, token?: string, encoders = ["tiny-stable-diffusion/text_encoder"]): Kind => ({
  file: inFixture(path),
  isRead: (name) => !name.startsWith("lora_"),
  isNamed: token !== undefined,
  async open(bytes) {
    const models = await Promise.all(encoders.map((encoder) => loadFixture<CLIPTextModel>(encoder)));
    try {
      const readers = models.map((textEncoder) => ({ tokenizer, textEncoder }));
      const [taught] = await loadWords(bytes, readers, { token });
      return `${digest(...models)} ${taught!.encode("<cat-toy> mystyle <word>").join()}`;
    } finally {
      for (const model of models) model.dispose();
    }
  },
});

const LORAS = ["lora", "loha", "lokr", "locon-tucker", "dora-kohya", "dora-peft", "diff", "norm", "ldm-names"];

const KINDS: Record<string, Kind> = {
  "a single file": singleFile("tiny-sd.fp16.safetensors", "."),
  "a single file of XL": singleFile("xl.safetensors", "xl"),
  "a UNet": network(inFixture("tiny-stable-diffusion/unet")),
  "a text encoder": network(inFixture("tiny-stable-diffusion/text_encoder"), "model.safetensors"),
  "XL's second text encoder": network(inFixture("tiny-sdxl/text_encoder_2"), "model.safetensors"),
  "an autoencoder": network(inFixture("tiny-stable-diffusion/vae")),
  "a tiny autoencoder": network(inFixture("vae_tiny")),
  "a ControlNet": network(inFixture("controlnet")),
  "a T2I-Adapter": network(inFixture("tiny-t2i-adapter")),
  "a light T2I-Adapter": network(inFixture("tiny-t2i-adapter-light")),
  ...Object.fromEntries(
    ["base", "plus", "full"].map((name) => [
      `an IP-Adapter, ${name}`,
      network(inFixture(`tiny-ip-adapter/${name}.safetensors`), ""),
    ]),
  ),
  ...Object.fromEntries([...LORAS, "comfy-names", "bundle-emb"].map((name) => [`a LoRA (${name})`, lora(name)])),
  "a textual inversion": word("textual_inversion/learned_embeds.safetensors"),
  "a textual inversion of AUTOMATIC1111": word("textual_inversion/a1111_style.safetensors", "<word>"),
  "a textual inversion of XL": word("tiny-sdxl/adapters/textual_inversion.safetensors", "<word>", [
    "tiny-sdxl/text_encoder",
    "tiny-sdxl/text_encoder_2",
  ]),
  "a textual inversion in a LoRA": word("lora-cases/bundle-emb.safetensors"),
};

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "unnoticed "));
  await writeTinyStableDiffusion(folder);
  await writeTinySingleFile(folder);
  await writeTinyStableDiffusionXL(join(folder, "xl"));
  await folderToSingleFile(join(folder, "xl"), join(folder, "xl.safetensors"));
  tokenizer = await CLIPTokenizer.fromFolder(join(folder, "tokenizer"));
  loraModels = await tinyLoraModels();
});
afterAll(() => {
  for (const model of Object.values(loraModels)) model.dispose();
  rmSync(folder, { recursive: true });
});

/** Buffers of the first code, which no program reads: there is nothing to notice where they are missing. */
const BUFFER = /^(betas|alphas_cumprod\w*|sqrt_\w+|log_\w+|posterior_\w+)$|position_ids$/;

/** Mulberry32: the same changes in each run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One change of a file, and the name that it is noticed by. */
function change(
  tensors: StoredTensors,
  random: () => number,
  { isRead = () => true, isNamed = false }: Kind,
): { made: StoredTensors; what: string; name: string } {
  const names = [...tensors.keys()].filter((name) => !BUFFER.test(name) && isRead(name));
  const name = names[Math.floor(random() * names.length)]!;
  const parts = name.split(".");
  const which = Math.floor(random() * parts.length);
  const other = parts.map((part, i) => (i === which ? `${part}x` : part)).join(".");
  const made = new Map(tensors);
  const kinds = ["added", "dropped", ...(isNamed ? [] : ["renamed"])];
  const kind = kinds[Math.floor(random() * kinds.length)]!;
  if (kind === "added") made.set(other, { dtype: "F32", shape: [1], data: Float32Array.of(random()) });
  else made.delete(name);
  if (kind === "renamed") made.set(other, tensors.get(name)!);
  return { made, what: `${kind} ${name} ${other}`, name: kind === "dropped" ? name : other };
}

describe("Of a change in a file, nothing is unnoticed:", () => {
  it.each(Object.entries(KINDS))("%s", async (name, kind) => {
    const { open } = kind;
    const { tensors } = await readStored(kind.file());
    const before = await open(await encodeSafetensors(tensors));
    const random = randomNumbers(name.length);
    const unnoticed: string[] = [];
    for (let i = 0; i < 15; i++) {
      const { made, what, name } = change(tensors, random, kind);
      warn.mockClear();
      const after = await open(await encodeSafetensors(made)).catch(() => "refused");
      const isListed = warn.mock.calls.flat().join().includes(name);
      if (after === before && !isListed) unnoticed.push(what);
    }
    expect(unnoticed).toEqual([]);
  });
});
