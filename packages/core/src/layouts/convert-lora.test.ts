import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { LoraSet } from "../adapters/lora.js";
import type { Model } from "../models/model.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, loadFixture, relativeRms } from "../testing/fixture.js";
import { openSafetensors } from "../weights/safetensors.js";
import { writeSafetensors } from "../weights/write-safetensors.js";
import { convertLora, type ConvertLoraOptions } from "./convert-lora.js";
import { inspectCheckpoint } from "./inspect.js";

const warned = jest.spyOn(console, "warn").mockImplementation(() => {});
const caseFile = (name: string) => fixturePath(`lora-cases/${name}.safetensors`);
const config = fixturePath("tiny-stable-diffusion");

let folder: string;
let models: { unet: Model; text_encoder: Model };
let loras: LoraSet;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "convert lora "));
  models = {
    unet: await loadFixture("tiny-stable-diffusion/unet"),
    text_encoder: await loadFixture("tiny-stable-diffusion/text_encoder"),
  };
  loras = new LoraSet(models);
});
beforeEach(() => {
  warned.mockClear();
});
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
  rmSync(folder, { recursive: true });
});

/** All weights with a LoRA in them, by the names of the networks and parameters. */
async function weightsWith(path: string): Promise<Map<string, tf.Tensor>> {
  await loras.load(path, { scale: 0.7 });
  const weights = Object.entries(models).flatMap(([part, model]) =>
    [...model.parameters()].map(([name, value]) => [`${part}.${name}`, value.clone()] as const),
  );
  loras.unload();
  return new Map(weights);
}

async function expectSameChanges(path: string, original: string): Promise<void> {
  const [got, expected] = [await weightsWith(path), await weightsWith(original)];
  const errors = [...expected].map(([name, value]) => [name, relativeRms(got.get(name)!, value)] as const);
  expect(errors.filter(([, error]) => !(error < 1e-6))).toEqual([]);
  tf.dispose([[...got.values()], [...expected.values()]]);
}

async function converted(name: string, form: ConvertLoraOptions["form"], from = caseFile(name)): Promise<string> {
  const path = join(folder, `${name}-${form}.safetensors`);
  await convertLora(from, path, { form, config });
  return path;
}

const names = async (path: string) => {
  const file = await openSafetensors(path);
  await file.close();
  return [...file.tensors.keys()];
};

describe("A LoRA in another form", () => {
  it.each([
    ["lora", "LoRA"],
    ["locon", "LoRA"],
    ["locon-tucker", "LoRA"],
    ["loha-tucker", "LoHa"],
    ["lokr", "LoKr"],
    ["diff", "full difference"],
    ["norm", "full difference"],
    ["dora-peft", "DoRA"],
    ["dora-kohya-columns", "DoRA"],
    ["ldm-names", "LoRA"],
    ["comfy-names", "LoRA"],
  ])("%s: changes the same in kohya's", async (name, method) => {
    const path = await converted(name, "kohya");
    for (const stored of await names(path)) expect(stored).toMatch(/^lora_(unet|te)_\w+\.\w+(\.weight)?$/);
    await expectSameChanges(path, caseFile(name));
    const report = await inspectCheckpoint(path);
    expect(report.kind).toBe("lora");
    expect(report.lora!.methods).toContain(method);
  });

  it.each(["lora", "locon", "dora-kohya", "dora-peft", "ldm-names"])(
    "%s: changes the same in diffusers'",
    async (name) => {
      const path = await converted(name, "diffusers");
      for (const stored of await names(path))
        expect(stored).toMatch(/^(unet|text_encoder)\.[\w.]+\.lora_(A\.weight|B\.weight|magnitude_vector)$/);
      await expectSameChanges(path, caseFile(name));
      const back = await converted(`${name} back`, "kohya", path);
      await expectSameChanges(back, caseFile(name));
    },
  );

  it.each([
    ["loha", "LoHa"],
    ["diff", "full difference"],
    ["locon-tucker", "Tucker's LoRA"],
    ["dora-kohya-columns", "DoRA by columns"],
  ])("%s: is refused in diffusers', which has no %s", async (name, method) => {
    await expect(converted(name, "diffusers")).rejects.toThrow(`changed by ${method}, which diffusers does not have`);
  });

  it("lists what it leaves out, and needs to know the model's sizes", async () => {
    const path = await converted("bundle-emb", "kohya");
    await expectSameChanges(path, caseFile("bundle-emb"));
    expect(warned.mock.calls.flat().join()).toContain("have no use: the word");
    await expect(convertLora(caseFile("lora"), path, { form: "kohya" })).rejects.toThrow("Give that model's folder");
    await expect(convertLora(caseFile("lora"), path, { form: "peft" as "kohya" })).rejects.toThrow('form: "peft"');
  });

  it("of Stable Diffusion 1 is known by its width, and of XL has its encoders numbered", async () => {
    const half = (rank: number, width: number) => ({
      dtype: "F32" as const,
      shape: [rank, width],
      data: new Float32Array(rank * width).fill(0.5),
    });
    const pair = (path: string, inputs: number, outputs: number) => [
      [`${path}.lora_A.weight`, half(1, inputs)] as const,
      [`${path}.lora_B.weight`, half(outputs, 1)] as const,
    ];
    const attention = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k";
    const text = "text_model.encoder.layers.0.self_attn.q_proj";
    const from = join(folder, "published.safetensors");
    await writeSafetensors(
      from,
      new Map([...pair(`unet.${attention}`, 2048, 640), ...pair(`text_encoder.${text}`, 768, 768)]),
    );
    const to = join(folder, "numbered.safetensors");
    await convertLora(from, to, { form: "kohya" });
    expect(await names(to)).toEqual(
      expect.arrayContaining([
        `lora_unet_${attention.replaceAll(".", "_")}.lora_down.weight`,
        `lora_te1_${text.replaceAll(".", "_")}.lora_up.weight`,
      ]),
    );
  });
});
