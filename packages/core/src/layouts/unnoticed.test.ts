import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { LoraSet } from "../adapters/lora.js";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, loadFixture } from "../testing/fixture.js";
import { writeTinySingleFile, writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors, type TensorToWrite } from "../weights/write-safetensors.js";
import { loadSingleFile } from "./single-file.js";

type Tensors = Map<string, TensorToWrite>;

/** A kind of file, and what comes out of it: numbers and settings, as one text. */
interface Kind {
  file(): Promise<string>;
  open(bytes: Uint8Array): Promise<string>;
}

let folder: string;
let loraModels: { unet: Model; text_encoder: Model };
const warn = jest.spyOn(console, "warn").mockImplementation(() => {});

const digest = (...models: Model[]) =>
  models
    .flatMap((model) => [...model.parameters()].map(([name, value]) => `${name} ${value.dataSync().join()}`))
    .join("\n");

function disposed(text: string, ...models: Model[]): string {
  for (const model of models) model.dispose();
  return text;
}

const KINDS: Record<string, Kind> = {
  "a single file": {
    file: () => Promise.resolve(join(folder, "tiny-sd.fp16.safetensors")),
    async open(bytes) {
      const { unet, vae, textEncoders, schedulerConfig } = await loadSingleFile(bytes, { config: folder });
      const models = [unet, vae, ...textEncoders.values()];
      return disposed(`${digest(...models)}\n${JSON.stringify(schedulerConfig)}`, ...models);
    },
  },
  "an autoencoder": {
    file: () => Promise.resolve(join(folder, "vae/diffusion_pytorch_model.safetensors")),
    async open(bytes) {
      const vae = await loadModel(bytes, { config: folder });
      return disposed(digest(vae), vae);
    },
  },
  ...Object.fromEntries(
    ["base", "plus", "full"].map((name): [string, Kind] => [
      `an IP-Adapter, ${name}`,
      {
        file: () => Promise.resolve(fixturePath(`tiny-ip-adapter/${name}.safetensors`)),
        async open(bytes) {
          const model = await loadModel(bytes);
          return disposed(digest(model), model);
        },
      },
    ]),
  ),
  "a ControlNet": {
    file: () => Promise.resolve(fixturePath("controlnet/diffusion_pytorch_model.safetensors")),
    async open(bytes) {
      const model = await loadModel(bytes, { config: fixturePath("controlnet") });
      return disposed(digest(model), model);
    },
  },
  ...Object.fromEntries(
    ["lora", "loha", "lokr", "locon-tucker", "dora-kohya", "diff", "norm", "ldm-names"].map((name): [string, Kind] => [
      `a LoRA (${name})`,
      {
        file: () => Promise.resolve(fixturePath(`lora-cases/${name}.safetensors`)),
        async open(bytes) {
          const loras = new LoraSet(loraModels);
          await loras.load(bytes);
          const text = digest(loraModels.unet, loraModels.text_encoder);
          loras.unload();
          loras.dispose();
          return text;
        },
      },
    ]),
  ),
};

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "unnoticed "));
  await writeTinyStableDiffusion(folder);
  await writeTinySingleFile(folder);
  loraModels = {
    unet: await loadFixture("tiny-stable-diffusion/unet"),
    text_encoder: await loadFixture("tiny-stable-diffusion/text_encoder"),
  };
});
afterAll(() => {
  for (const model of Object.values(loraModels)) model.dispose();
  rmSync(folder, { recursive: true });
});

async function tensorsOf(path: string): Promise<Tensors> {
  const file = await openSafetensors(path);
  const tensors: Tensors = new Map();
  for (const [name, { dtype, shape }] of file.tensors) tensors.set(name, { dtype, shape, data: await file.read(name) });
  await file.close();
  return tensors;
}

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
function change(tensors: Tensors, random: () => number): { made: Tensors; what: string; name: string } {
  const names = [...tensors.keys()].filter((name) => !BUFFER.test(name));
  const name = names[Math.floor(random() * names.length)]!;
  const parts = name.split(".");
  const which = Math.floor(random() * parts.length);
  const other = parts.map((part, i) => (i === which ? `${part}x` : part)).join(".");
  const made = new Map(tensors);
  const kind = ["added", "dropped", "renamed"][Math.floor(random() * 3)]!;
  if (kind === "added") made.set(other, { dtype: "F32", shape: [1], data: Float32Array.of(random()) });
  else made.delete(name);
  if (kind === "renamed") made.set(other, tensors.get(name)!);
  return { made, what: `${kind} ${name} ${other}`, name: kind === "dropped" ? name : other };
}

describe("Of a change in a file, nothing is unnoticed:", () => {
  it.each(Object.entries(KINDS))("%s", async (kind, { file, open }) => {
    const tensors = await tensorsOf(await file());
    const before = await open(await encodeSafetensors(tensors));
    const random = randomNumbers(kind.length);
    const unnoticed: string[] = [];
    for (let i = 0; i < 15; i++) {
      const { made, what, name } = change(tensors, random);
      warn.mockClear();
      const after = await open(await encodeSafetensors(made)).catch(() => "refused");
      const isListed = warn.mock.calls.flat().join().includes(name);
      if (after === before && !isListed) unnoticed.push(what);
    }
    expect(unnoticed).toEqual([]);
  });
});
