import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../backend/use-backend.js";
import type { Model } from "../models/model.js";
import { MissingWeightsError } from "../nn/parameter.js";
import { fixturePath, tinyLoraModels } from "../testing/fixture.js";
import { LoraSet } from "./lora.js";

/** One file of every kind: LoRA, LoCon, LoHa, LoKr, DoRA and full differences, under the names of several programs. */
const { cases } = JSON.parse(readFileSync(fixturePath("lora-cases/meta.json"), "utf8")) as { cases: object };
const KINDS = Object.keys(cases);
const caseFile = (name: string) => fixturePath(`lora-cases/${name}.safetensors`);

jest.spyOn(console, "warn").mockImplementation(() => {});

describe.each(["wasm", "cpu"])("On the %s backend, fuse and unfuse", (backend) => {
  let models: { unet: Model; text_encoder: Model };
  let loras: LoraSet;
  let before: string[];

  beforeAll(async () => {
    await useBackend(backend);
    models = await tinyLoraModels();
    loras = new LoraSet(models);
    before = bits();
  });
  afterAll(() => {
    for (const model of Object.values(models)) model.dispose();
  });

  /** The bits of every weight. */
  function bits(): string[] {
    return Object.values(models).flatMap((model) =>
      [...model.parameters()].map(([name, value]) => {
        const { buffer, byteOffset, byteLength } = value.dataSync() as Float32Array;
        return `${name} ${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}`;
      }),
    );
  }

  it.each(KINDS)("give the exact old bits: %s", async (kind) => {
    const count = tf.memory().numTensors;
    await loras.load(caseFile(kind), { name: kind, scale: 0.7 });
    const loaded = bits();
    expect(loaded).not.toEqual(before);
    loras.fuse();
    expect(bits()).toEqual(loaded);
    expect(loras.scales).toEqual({});
    loras.unfuse();
    expect(bits()).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
  });

  it("give the exact old bits after all kinds were fused, one after the other, and one more was added", async () => {
    const count = tf.memory().numTensors;
    for (const kind of KINDS) {
      await loras.load(caseFile(kind), { scale: -0.4 });
      loras.fuse();
    }
    await loras.load(caseFile("lora"), { name: "later" });
    const together = bits();
    loras.unfuse();
    expect(bits()).not.toEqual(together);
    loras.setScale("later", 0.5);
    const alone = bits();
    loras.unload();
    expect(bits()).toEqual(before);
    await loras.load(caseFile("lora"), { scale: 0.5 });
    expect(bits()).toEqual(alone);
    loras.unload();
    expect(bits()).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
  });
});

it("A LoRA is refused for networks that were disposed of, and leaves no tensor", async () => {
  const models = await tinyLoraModels();
  for (const network of Object.values(models)) network.dispose();
  const before = tf.memory().numTensors;
  const loras = new LoraSet(models);
  const loading = loras.load(fixturePath("lora/peft/pytorch_lora_weights.safetensors"));
  await expect(loading).rejects.toThrow(MissingWeightsError);
  expect(loras.scales).toEqual({});
  expect(tf.memory().numTensors).toBe(before);
});
