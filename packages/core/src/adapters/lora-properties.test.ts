import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { keyedNoise, type NoiseSource } from "@tfjs-diffusion/schedulers";
import * as tf from "@tensorflow/tfjs";
import type { Model } from "../models/model.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, tinyLoraModels } from "../testing/fixture.js";
import { WeightsMismatchError } from "../weights/errors.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors, type TensorToWrite } from "../weights/write-safetensors.js";
import { LoraSet } from "./lora.js";

const { cases } = JSON.parse(readFileSync(fixturePath("lora-cases/meta.json"), "utf8")) as { cases: object };
type Tensors = Map<string, TensorToWrite>;

jest.spyOn(console, "warn").mockImplementation(() => {});

let models: { unet: Model; text_encoder: Model };
let loras: LoraSet;

beforeAll(async () => {
  await useTestBackend();
  models = await tinyLoraModels();
  loras = new LoraSet(models);
});
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});

async function read(name: string): Promise<Tensors> {
  const file = await openSafetensors(fixturePath(`lora-cases/${name}.safetensors`));
  const tensors: Tensors = new Map();
  for (const [key, { dtype, shape }] of file.tensors) tensors.set(key, { dtype, shape, data: await file.read(key) });
  await file.close();
  return tensors;
}

const bits = () =>
  Object.values(models)
    .flatMap((model) => [...model.parameters().values()])
    .map((value) => Buffer.from((value.dataSync() as Float32Array).slice().buffer).toString("base64"))
    .join();

/** The observable effect of a load: the weights and the listed names, or the refusal. */
async function effect(tensors: Tensors): Promise<string> {
  try {
    const listed = await loras.load(await encodeSafetensors(tensors), { scale: 0.9 });
    const result = JSON.stringify([listed.unused.sort(), listed.words.sort(), bits()]);
    loras.unload();
    return result;
  } catch (error) {
    expect(error).toBeInstanceOf(WeightsMismatchError);
    return "refused";
  }
}

/** A whole number below `count`. */
function draw(noise: NoiseSource, count: number): number {
  return tf.tidy(() => Math.floor(noise.uniform([1]).dataSync()[0]! * count));
}

const LETTERS = "abdo_.0123wx";

/** A file with one key dropped, renamed in one or two letters, or added; and a description. */
function changedFile(tensors: Tensors, noise: NoiseSource): [what: string, Tensors] {
  const keys = [...tensors.keys()];
  const key = keys[draw(noise, keys.length)]!;
  const kind = draw(noise, 3);
  if (kind === 0) return [`drop ${key}`, new Map([...tensors].filter(([name]) => name !== key))];
  const place = draw(noise, key.length);
  const renamed = key.slice(0, place) + LETTERS[draw(noise, LETTERS.length)]! + key.slice(place + draw(noise, 2));
  if (tensors.has(renamed)) return changedFile(tensors, noise);
  if (kind === 1) return [`add ${renamed}`, new Map([...tensors, [renamed, tensors.get(key)!]])];
  const entries = [...tensors].map(([name, tensor]) => [name === key ? renamed : name, tensor] as const);
  return [`rename ${key} to ${renamed}`, new Map(entries)];
}

/**
 * Whether dropping this key has no effect: an alpha that equals the rank, or that of a LoKr with both matrices whole.
 */
function saysNothing(what: string, tensors: Tensors): boolean {
  const [, module] = /^drop (.*)\.alpha$/.exec(what) ?? [];
  if (module === undefined) return false;
  const rank = ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"]
    .map((end) => tensors.get(`${module}.${end}`)?.shape[0])
    .find((length) => length !== undefined);
  return rank === undefined || rank === (tensors.get(`${module}.alpha`)!.data as Float32Array)[0];
}

describe.each(Object.keys(cases))("In the file %s", (name) => {
  it("each dropped, renamed or added key is used, listed or refused", async () => {
    const tensors = await read(name);
    const [old, count] = [bits(), tf.memory().numTensors];
    const whole = await effect(tensors);
    expect(whole).not.toBe("refused");
    const noise = keyedNoise([...name].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0), 7) % 1e6);
    for (let i = 0; i < 16; i++) {
      const [what, changed] = changedFile(tensors, noise);
      const isNoticed = (await effect(changed)) !== whole;
      expect([what, isNoticed || saysNothing(what, tensors)]).toEqual([what, true]);
    }
    expect(bits() === old).toBe(true);
    expect(tf.memory().numTensors).toBe(count);
  });
});
