import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import type { Model } from "../models/model.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, tinyLoraModels } from "../testing/fixture.js";
import { LoraSet } from "./lora.js";
import { type LoraScale, scaleOf } from "./lora-scale.js";

const FILE = fixturePath("lora/kohya/pytorch_lora_weights.safetensors");
let models: { unet: Model; text_encoder: Model };
let loras: LoraSet;

beforeAll(async () => {
  await useTestBackend();
  models = await tinyLoraModels();
  loras = new LoraSet(models);
});
afterEach(() => loras.unload());
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});

const weights = () =>
  new Map([...models.unet.parameters()].map(([name, value]) => [name, value.dataSync().slice() as Float32Array]));

const bits = (values = weights()) =>
  [...values].map(([name, value]) => name + Buffer.from(value.buffer).toString("base64"));

/** The fraction of the full change that each weight of the UNet changed by, for weights that change. */
function shares(before: Map<string, Float32Array>, whole: Map<string, Float32Array>): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, now] of weights()) {
    const [old, full] = [before.get(name)!, whole.get(name)!];
    const norm = full.reduce((sum, x, i) => sum + (x - old[i]!) ** 2, 0);
    if (norm > 0) found.set(name, full.reduce((sum, x, i) => sum + (x - old[i]!) * (now[i]! - old[i]!), 0) / norm);
  }
  return found;
}

describe("The scale of a LoRA", () => {
  it("can be given for each network, and for each block and layer of the UNet", async () => {
    const before = weights();
    await loras.load(FILE);
    const whole = weights();
    loras.unload();
    const scale: LoraScale = { unet: { down: 0.5, mid: 0, up: { block_1: [0.2, -1] } }, text_encoder: 3 };
    await loras.load(FILE, { scale });
    expect(loras.scales).toEqual({ default: scale });
    const expected: [RegExp, number][] = [
      [/^down_blocks/, 0.5],
      [/^mid_block/, 0],
      [/^up_blocks\.1\.(attentions|resnets)\.0/, 0.2],
      [/^up_blocks\.1\.(attentions|resnets)\.1/, -1],
      [/./, 1],
    ];
    const blocks = () => {
      const found = shares(before, whole);
      expect(found.size).toBeGreaterThan(60);
      for (const [name, share] of found) {
        const wanted = expected.find(([pattern]) => pattern.test(name))![1];
        expect([name, Math.abs(share - wanted) < 1e-4]).toEqual([name, true]);
      }
    };
    blocks();
    loras.setScale("default", { unet: 0 });
    expect(bits()).toEqual(bits(before));
    loras.setScale("default", scale);
    blocks();
    loras.setScale("default", { text_encoder: 0.1 });
    expect(bits()).toEqual(bits(whole));
  });

  it("is 1 for everything that is not named", () => {
    const scale: LoraScale = { unet: { up: { block_1: 0.5 } } };
    expect(scaleOf(scale, "text_encoder", "text_model.encoder.layers.0.mlp.fc1.weight")).toBe(1);
    expect(scaleOf(scale, "unet", "conv_in.weight")).toBe(1);
    expect(scaleOf(scale, "unet", "down_blocks.0.resnets.0.conv1.weight")).toBe(1);
    expect(scaleOf(scale, "unet", "up_blocks.0.resnets.0.conv1.weight")).toBe(1);
    expect(scaleOf(scale, "unet", "up_blocks.1.resnets.1.conv1.weight")).toBe(0.5);
    expect(scaleOf({ unet: { down: { block_0: [0.3] } } }, "unet", "down_blocks.0.downsamplers.0.conv.weight")).toBe(
      0.3,
    );
  });

  it.each<[unknown, RegExp]>([
    [NaN, /the scale is NaN; give a finite number/],
    [null, /the scale is null/],
    [{ unet: "1" }, /the scale of unet is 1; give a finite number/],
    [{ unet: { mid: Infinity } }, /the scale of unet.mid is Infinity/],
    [{ unet: { up: { block_1: [0.5, NaN] } } }, /the scale of unet.up.block_1 is NaN/],
    [{ text_encoder_2: 1 }, /given for text_encoder_2, which does not exist; give one of unet, text_encoder/],
    [{ unet: { middle: 1 } }, /given for unet.middle, which does not exist; give one of down, mid, up/],
    [
      { unet: { down: { block_2: 1 } } },
      /given for unet.down.block_2, which does not exist; give one of block_0, block_1/,
    ],
    [
      { unet: { up: { block_1: [1, 2, 3] } } },
      /unet.up.block_1 has 3 scales, but the block has 2 layers. Give one or 2/,
    ],
    [{ text_encoder: { down: 1 } }, /the scale of text_encoder is \[object Object\]/],
  ])("%j is refused before anything changes", async (scale, expected) => {
    await loras.load(FILE, { name: "there", scale: 0.5 });
    const before = weights();
    expect(() => loras.setScale("there", scale as LoraScale)).toThrow(expected);
    await expect(loras.load(FILE, { scale: scale as LoraScale })).rejects.toThrow(RangeError);
    expect(loras.scales).toEqual({ there: 0.5 });
    expect(bits()).toEqual(bits(before));
  });
});
