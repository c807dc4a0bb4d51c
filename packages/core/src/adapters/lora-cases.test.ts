import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import type { Model } from "../models/model.js";
import type { Parameter } from "../nn/parameter.js";
import { useTestBackend } from "../testing/backend.js";
import { above, fixturePath, Golden, tinyLoraModels } from "../testing/fixture.js";
import { WeightsMismatchError } from "../weights/errors.js";
import { LoraSet } from "./lora.js";

interface Case {
  /** The parameters that change, such as "unet.conv_in.weight". */
  changes: string[];
}

/** meta.json gives the origin of the files and of the expected changes. */
const { cases, refused } = JSON.parse(readFileSync(fixturePath("lora-cases/meta.json"), "utf8")) as {
  cases: Record<string, Case>;
  refused: Record<string, { why: string }>;
};
const caseFile = (name: string) => fixturePath(`lora-cases/${name}.safetensors`);

const warned = jest.spyOn(console, "warn").mockImplementation(() => {});

let models: { unet: Model; text_encoder: Model };
let loras: LoraSet;
let before: Map<string, Float32Array>;

beforeAll(async () => {
  await useTestBackend();
  models = await tinyLoraModels();
  before = weights();
});
beforeEach(() => {
  loras = new LoraSet(models);
});
afterEach(() => {
  loras.unload();
  loras.unfuse();
});
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});

const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** A copy of every weight, by "network.parameter". */
function weights(): Map<string, Float32Array> {
  const all = Object.entries(models).flatMap(([part, model]) =>
    [...model.parameters()].map(
      ([name, value]) => [`${part}.${name}`, value.dataSync().slice() as Float32Array] as const,
    ),
  );
  return new Map(all);
}

/** The weights that differ from `since` in any bit. */
function changed(since = before): string[] {
  const isOther = ([name, now]: [string, Float32Array]) => !bytes(now).equals(bytes(since.get(name)!));
  return [...weights()].filter(isOther).map(([name]) => name);
}

const rms = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

/**
 * A tensor in the order of the file; {@link Golden.tensor} would transpose a convolution kernel as if it were a
 * picture.
 */
function onDisk({ stored }: Golden, name: string): tf.Tensor {
  const { data, shape } = stored.get(name)!;
  return tf.tensor(data, [...shape]);
}

/** The relative error of each change. */
function errors(golden: Golden, scale: string): Map<string, number> {
  const parameters = new Map<string, Parameter>(
    Object.entries(models).flatMap(([part, model]) =>
      [...model.namedParameters()].map(([name, parameter]) => [`${part}.${name}`, parameter] as const),
    ),
  );
  const found = new Map<string, number>();
  for (const name of changed()) {
    const parameter = parameters.get(name)!;
    const expected = tf.tidy(() => parameter.inMemoryOrder(onDisk(golden, `scale${scale}/${name}`)).dataSync());
    const [now, old] = [parameter.variable.dataSync() as Float32Array, before.get(name)!];
    const difference = now.map((x, i) => x - old[i]! - expected[i]!);
    found.set(name, rms(difference) / rms(expected as Float32Array));
  }
  return found;
}

function expectChanges(golden: Golden, name: string, scale: string): void {
  const found = errors(golden, scale);
  expect([...found.keys()].sort()).toEqual([...cases[name]!.changes].sort());
  // The rounding of W + dW is 1e-6 of dW.
  expect(above(1e-5, found)).toEqual([]);
}

describe.each(Object.keys(cases))("The file %s", (name) => {
  it("changes the weights as the programs that write such files do, and unloading restores them bit for bit", async () => {
    const count = tf.memory().numTensors;
    const golden = await Golden.read("lora-cases/expected", `${name}.safetensors`);
    const scales = golden.has(`scale0.7/${cases[name]!.changes[0]}`) ? ["1.0", "0.7"] : ["1.0"];
    for (const scale of scales) {
      await loras.load(caseFile(name), { name: scale, scale: Number(scale) });
      expectChanges(golden, name, scale);
      loras.setScale(scale, 0);
      expect(changed()).toEqual([]);
      loras.setScale(scale, -0.3);
      for (const other of scales) {
        loras.setScale(scale, Number(other));
        expectChanges(golden, name, other);
      }
      loras.unload();
      expect(changed()).toEqual([]);
    }
    expect(tf.memory().numTensors).toBe(count);
  });

  it("can be fused and unfused bit for bit, also together with another", async () => {
    const count = tf.memory().numTensors;
    await loras.load(caseFile(name), { name: "a", scale: 0.8 });
    const alone = weights();
    loras.fuse();
    expect(changed(alone)).toEqual([]);
    await loras.load(caseFile("lora"), { name: "b", scale: 0.5 });
    await loras.load(caseFile("dora-kohya"), { name: "c" });
    loras.unload("b");
    loras.fuse();
    loras.unfuse();
    expect(changed()).toEqual([]);
    expect(tf.memory().numTensors).toBe(count);
  });
});

it("give the same weights in any order: each change is computed from the original weight", async () => {
  const names = ["dora-kohya", "lora", "lokr", "dora-peft"];
  const mixed = async (order: string[]) => {
    for (const name of order) await loras.load(caseFile(name), { name, scale: 0.6 });
    const result = weights();
    loras.unload();
    return result;
  };
  const [forwards, backwards] = [await mixed(names), await mixed([...names].reverse())];
  const sum = new Map([...before].map(([name, value]) => [name, value.map(() => 0)]));
  for (const name of names) {
    for (const [parameter, now] of await mixed([name])) {
      const total = sum.get(parameter)!;
      now.forEach((x, i) => (total[i]! += x - before.get(parameter)![i]!));
    }
  }
  for (const [parameter, now] of forwards) {
    const change = now.map((x, i) => x - before.get(parameter)![i]!);
    expect(rms(backwards.get(parameter)!.map((x, i) => x - now[i]!))).toBeLessThan(1e-6);
    expect(rms(sum.get(parameter)!.map((x, i) => x - change[i]!))).toBeLessThan(1e-6);
  }
});

it.each(Object.entries(refused))("%s is refused before any weight changes", async (name) => {
  const count = tf.memory().numTensors;
  const error = await loras.load(caseFile(name)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WeightsMismatchError);
  expect((error as Error).message.split("\n").length).toBeLessThanOrEqual(20);
  expect(changed()).toEqual([]);
  expect(loras.scales).toEqual({});
  expect(tf.memory().numTensors).toBe(count);
});

it("lists unused tensors and learned words; strict refuses unused tensors", async () => {
  warned.mockClear();
  expect(await loras.load(caseFile("bundle-emb"))).toEqual({ unused: [], words: ["mystyle"] });
  loras.unload();
  const unused = [
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_q.alpha",
    "lora_unet_down_blocks_7_attentions_0_proj_in.alpha",
  ];
  expect(warned.mock.calls.join()).toMatch(/holds words for prompts: mystyle. .*loadTextualInversion/);
  warned.mockClear();
  const loaded = await loras.load(caseFile("orphan-alpha"));
  expect(warned).toHaveBeenCalledTimes(1);
  for (const name of unused) expect(warned.mock.calls.join()).toContain(name);
  expect(warned.mock.calls.join()).toContain("2 of its tensors change nothing in these networks");
  expect({ ...loaded, unused: loaded.unused.sort() }).toEqual({ unused, words: [] });
  loras.unload();
  const strict = await loras.load(caseFile("orphan-alpha"), { strict: true }).catch((reason: unknown) => reason);
  expect(strict).toBeInstanceOf(WeightsMismatchError);
  for (const name of unused) expect((strict as Error).message).toContain(name);
  warned.mockClear();
  await loras.load(caseFile("lora"), { strict: true });
  loras.unload();
  expect(warned).not.toHaveBeenCalled();
  const alone = new LoraSet({ unet: models.unet });
  expect((await alone.load(caseFile("lora"))).unused.length).toBe(3); // The tensors of the text encoder.
  alone.unload();
});
