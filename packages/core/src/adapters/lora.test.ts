import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { loadModel } from "../models/load-model.js";
import type { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, Golden } from "../testing/fixture.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";
import { LoraSet } from "./lora.js";
import { otherMethod } from "./formats/formats.js";
import { LoraModules, loraTensor } from "./lora-names.js";

const file = (form: string) => fixturePath(`lora/${form}/pytorch_lora_weights.safetensors`);
let unet: UNet2DConditionModel;
let golden: Golden;
let loras: LoraSet;
let folder: string;

beforeAll(async () => {
  await useTestBackend();
  unet = (await loadModel(fixturePath("tiny-stable-diffusion/unet"))) as UNet2DConditionModel;
  golden = await Golden.read("lora");
  folder = mkdtempSync(join(tmpdir(), "lora "));
});
beforeEach(() => {
  loras = new LoraSet({ unet });
});
afterAll(() => {
  unet.dispose();
  rmSync(folder, { recursive: true });
});

/** The rms error of the UNet's output relative to that of diffusers. */
function error(expected: string): number {
  return tf.tidy(() => {
    const timestep = golden.tensor("in.timestep").dataSync()[0]!;
    const output = unet.forward(golden.tensor("in.sample"), timestep, golden.tensor("in.encoder_hidden_states"));
    return golden.error(expected, output);
  });
}

const bits = () => [...unet.parameters()].map(([name, value]) => [name, value.dataSync().join()]);

/** Torch's own noise floor is 8e-7; the product of the factors rounds once more. */
const TOLERANCE = 1e-5;

describe("A LoRA", () => {
  it.each(["peft", "attn_processor", "kohya"])("in the format of %s changes the UNet as in diffusers", async (form) => {
    const before = bits();
    expect(error("out.base")).toBeLessThan(TOLERANCE);
    await loras.load(file(form));
    expect(error(`out.${form}.scale1.0`)).toBeLessThan(TOLERANCE);
    loras.setScale("default", 0.5);
    expect(error(`out.${form}.scale0.5`)).toBeLessThan(TOLERANCE);
    loras.setScale("default", 0);
    expect(bits()).toEqual(before);
    loras.setScale("default", -3);
    expect(bits()).not.toEqual(before);
    loras.unload();
    expect(bits()).toEqual(before);
  });

  it("adds to others, and can be unloaded in any order, which restores the weights bit for bit and leaves no tensor", async () => {
    const before = bits();
    const count = tf.memory().numTensors;
    await loras.load(file("peft"), { name: "a", scale: 0.3 });
    await loras.load(file("kohya"), { name: "b", scale: 0.7 });
    expect(loras.scales).toEqual({ a: 0.3, b: 0.7 });
    const both = bits();
    loras.unload("a");
    await loras.load(file("peft"), { name: "a", scale: 0.3 });
    // Sums in another order are equal up to rounding, which a forward pass does not show.
    expect(bits()).not.toEqual(before);
    expect(both).not.toEqual(before);
    loras.unload("b");
    loras.unload("a");
    expect(bits()).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
  });

  it("that is fused remains below later ones, and unfusing restores the weights bit for bit", async () => {
    const before = bits();
    const count = tf.memory().numTensors;
    await loras.load(file("peft"));
    const mixed = bits();
    loras.fuse();
    expect(loras.scales).toEqual({});
    expect(bits()).toEqual(mixed);
    await loras.load(file("kohya"), { scale: 0.7 });
    loras.fuse();
    await loras.load(file("peft"), { name: "later", scale: -2 });
    loras.unload();
    expect(bits()).not.toEqual(mixed);
    loras.unfuse();
    expect(bits()).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
    loras.unfuse();
    expect(bits()).toEqual(before);
  });

  it("that is not fused remains when others are unfused", async () => {
    await loras.load(file("kohya"), { name: "stays" });
    const alone = bits();
    loras.unload();
    await loras.load(file("peft"));
    loras.fuse();
    await loras.load(file("kohya"), { name: "stays" });
    loras.unfuse();
    expect(loras.scales).toEqual({ stays: 1 });
    expect(bits()).toEqual(alone);
    loras.unload();
  });

  it("that is fused for good remains, and takes no memory", async () => {
    const own = (await loadModel(fixturePath("tiny-stable-diffusion/unet"))) as UNet2DConditionModel;
    const count = tf.memory().numTensors;
    const set = new LoraSet({ unet: own });
    await set.load(file("kohya"), { scale: 2 });
    set.fuse();
    await set.load(file("peft"));
    const fused = [...own.parameters()].map(([name, value]) => [name, value.dataSync().join()]);
    set.fuse({ forGood: true });
    expect(tf.memory().numTensors).toBe(count);
    set.unfuse();
    expect([...own.parameters()].map(([name, value]) => [name, value.dataSync().join()])).toEqual(fused);
    await set.load(file("peft"));
    set.dispose();
    expect(tf.memory().numTensors).toBe(count);
    own.dispose();
  });

  it("is refused before a weight changes, with a list of everything that does not fit", async () => {
    const before = bits();
    const path = join(folder, "wrong.safetensors");
    const zeros = (...shape: number[]) =>
      ({ dtype: "F32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }) as const;
    await writeSafetensors(
      path,
      new Map<string, TensorToWrite>([
        ["unet.mid_block.attentions.0.proj_in.lora_A.weight", zeros(4, 31)],
        ["unet.mid_block.attentions.0.proj_in.lora_B.weight", zeros(32, 4)],
        ["unet.mid_block.attentions.0.proj_out.lora_A.weight", zeros(4, 32)],
        ["unet.nowhere.lora_A.weight", zeros(4, 32)],
        ["lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", zeros(4, 32)],
        ["lora_unet_mid_block_attentions_0_proj_out.oft_blocks", zeros(4, 32)],
        ["unet.conv_out.lora_A.weight", { dtype: "I64", shape: [4, 144], data: new BigInt64Array(4 * 144) }],
        ["unet.conv_out.lora_B.weight", zeros(4, 4)],
      ]),
    );
    const refusal = await loras.load(path).catch((error: Error) => error.message);
    expect(refusal).toContain("not a LoRA of these networks (4 problems)");
    expect(refusal).toContain("lora_unet_mid_block_attentions_0_proj_out.oft_blocks is of another method, OFT");
    expect(refusal).toContain("[4, 31]");
    expect(refusal).toContain("unet.conv_out.lora_A.weight is of the whole-number type I64");
    expect(refusal).toContain("unet mid_block.attentions.0.proj_out.weight: its up matrix is missing");
    await expect(loras.load(file("peft"), { scale: NaN })).rejects.toThrow('LoRA "default": the scale is NaN');
    expect(() => loras.setScale("none", 1)).toThrow('There is no LoRA "none" in these networks; there is: none.');
    expect(bits()).toEqual(before);
  });

  it("is refused if no tensor belongs to these networks; only the first are listed", async () => {
    const path = join(folder, "nowhere.safetensors");
    const zeros = { dtype: "F32", shape: [4, 32], data: new Float32Array(128) } as const;
    const names = ["unet.nowhere.lora_A.weight", "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight"];
    await writeSafetensors(path, new Map(names.map((name) => [name, zeros])));
    const refusal = await loras.load(path).catch((error: Error) => error.message);
    for (const name of names) expect(refusal).toContain(`${name} changes no module of unet`);
    const many = Array.from({ length: 40 }, (_, i) => [`unet.${i}.lora_A.weight`, zeros] as const);
    await writeSafetensors(path, new Map(many));
    const long = await loras.load(path).catch((error: Error) => error.message);
    expect(long).toContain("40 problems");
    expect((long as string).split("\n").length).toBeLessThanOrEqual(20);
  });

  it.each([
    ["mid_block_attentions_0_proj_in.oft_blocks", "OFT"],
    ["mid_block_attentions_0_proj_in.a1.weight", "GLoRA"],
    ["mid_block_attentions_0_proj_in.on_input", "(IA)^3"],
    ["mid_block.attentions.0.proj_in.lora_B.bias", "LoRA with its own bias"],
    ["mid_block_attentions_0_proj_in.set_weight", "a replaced weight"],
  ])("is distinguished from other methods: %s belongs to %s", (stored, method) => {
    expect(otherMethod(stored)).toBe(method);
    expect(loraTensor(`lora_unet_${stored}`, new Map([["unet", new LoraModules(unet)]]))).toBeUndefined();
  });

  it("of a text encoder is recognised with and without the prefix that transformers 5 leaves out", () => {
    const modules = new Map([["text_encoder", new LoraModules(new CLIPTextModel())]] as const);
    const parameter = "text_model.encoder.layers.0.self_attn.q_proj.weight";
    for (const stored of [
      "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.up.weight",
      "text_encoder.encoder.layers.0.self_attn.q_proj.lora_B.weight",
      "base_model.model.encoder.layers.0.self_attn.q_proj.lora_B.weight",
      "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight",
      "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight",
      "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight",
      "text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.q_proj.lora_up.weight",
      "cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.lora_up.weight",
    ]) {
      expect([stored, loraTensor(stored, modules)]).toEqual([stored, { part: "text_encoder", parameter, role: "up" }]);
    }
  });

  it("of kohya's scripts is also recognised with the single file's block names, and with all prefixes", () => {
    const modules = new Map([["unet", new LoraModules(unet)]] as const);
    const inside = "transformer_blocks.0.attn1.to_q.weight";
    for (const stored of [
      "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight",
      "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
      "lycoris_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
      "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.lora_down.weight",
      "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.lora_down.weight",
      "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
      "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight",
      "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.default.weight",
    ]) {
      const expected = { part: "unet", parameter: `down_blocks.0.attentions.0.${inside}`, role: "down" };
      expect(loraTensor(stored, modules)).toEqual(expected);
    }
  });
});
