import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { LoraSet } from "../adapters/lora.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { openSafetensors } from "../weights/safetensors.js";
import { TrainableLora } from "./lora.js";
import { train } from "./train.js";

let unet: UNet2DConditionModel;
let folder: string;
let x: tf.Tensor4D;
let context: tf.Tensor3D;
let lora: TrainableLora;

beforeAll(async () => {
  await useTestBackend();
  unet = new UNet2DConditionModel({
    sample_size: 4,
    in_channels: 4,
    out_channels: 4,
    block_out_channels: [8, 8],
    layers_per_block: 1,
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
    cross_attention_dim: 6,
    attention_head_dim: 2,
    norm_num_groups: 4,
  });
  unet.initialize(keyedNoise(0));
  x = keyedNoise(1).normal([2, 4, 4, 4]) as tf.Tensor4D;
  context = keyedNoise(2).normal([2, 3, 6]) as tf.Tensor3D;
  folder = mkdtempSync(join(tmpdir(), "lora-"));
});
afterEach(() => lora?.dispose());
afterAll(() => {
  tf.dispose([x, context]);
  unet.dispose();
  rmSync(folder, { recursive: true });
});

const forward = () => unet.forward(x, 100, context) as tf.Tensor;
const bits = () => [...unet.parameters()].map(([name, value]) => `${name} ${value.dataSync().join()}`);
const start = (options: Partial<ConstructorParameters<typeof TrainableLora>[1]> = {}) =>
  (lora = new TrainableLora(unet, { noise: keyedNoise(3), ...options }));
const difference = (a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => a.sub(b).abs().max().dataSync()[0]!);

/** Sets the `up` matrices, which are zero at first, to other values. */
function stir(): void {
  for (const [name, variable] of lora.parameters()) {
    if (name.includes("lora_B")) tf.tidy(() => variable.assign(keyedNoise(4).at(name).normal(variable.shape)));
  }
}

describe("A LoRA in training", () => {
  it("changes nothing at first, and later only inside `within`", () => {
    start();
    tf.tidy(() => {
      const plain = forward();
      expect(difference(lora.within(forward), plain)).toBe(0);
      stir();
      expect(difference(lora.within(forward), plain)).toBeGreaterThan(0.01);
      expect(difference(forward(), plain)).toBe(0);
      expect(() =>
        lora.within(() => {
          throw new Error("no");
        }),
      ).toThrow("no");
      expect(difference(forward(), plain)).toBe(0);
    });
  });

  it("learns the effect of another LoRA by training, and leaves the network's weights unchanged", async () => {
    start({ noise: keyedNoise(7), rank: 2 });
    stir();
    const target = lora.within(forward);
    lora.dispose();
    const before = bits();
    start({ rank: 2 });
    const losses: number[] = [];
    const steps = train({
      parameters: lora.parameters(),
      loss: () => lora.within(() => forward().sub(target).square().mean<tf.Scalar>()),
      steps: 60,
      batchSize: 2,
      schedule: 0.02,
      seed: 0,
    });
    for await (const { loss } of steps) losses.push(loss);
    target.dispose();
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 4);
    expect(bits()).toEqual(before);
  });

  it.each([
    [1, undefined],
    [6, undefined],
    [6, ["conv1", "conv_out", "conv_shortcut", "to_v"]],
  ])("has the same effect after saving and loading: rank 3, alpha %d, on %s", async (alpha, targets) => {
    start({ rank: 3, alpha, targets });
    stir();
    const within = lora.within(forward);
    const file = join(folder, "saved.safetensors");
    await lora.save(file);
    const loaded = new LoraSet({ unet });
    await loaded.load(file);
    tf.tidy(() => expect(difference(forward(), within)).toBeLessThan(1e-5));
    loaded.setScale("default", 0);
    tf.tidy(() => expect(difference(forward(), within)).toBeGreaterThan(0.01));
    loaded.dispose();
    within.dispose();
  });

  it("has the names and shapes of PEFT", async () => {
    start();
    const file = join(folder, "named.safetensors");
    await lora.save(file, { dtype: "F16" });
    const [own, golden] = [
      await openSafetensors(file),
      await openSafetensors(fixturePath("lora/peft/pytorch_lora_weights.safetensors")),
    ];
    const forms = (names: Iterable<string>) =>
      new Set(
        [...names]
          .filter((name) => name.includes("attn1"))
          .map((name) => name.replace(/^.*attn1/, "").replace("base_model.model.", "")),
      );
    expect(forms(own.tensors.keys())).toEqual(forms(golden.tensors.keys()));
    const q = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k";
    expect(own.tensors.get(`${q}.lora_A.weight`)).toMatchObject({ dtype: "F16", shape: [4, 6] });
    expect(own.tensors.get(`${q}.lora_B.weight`)).toMatchObject({ dtype: "F16", shape: [8, 4] });
    expect(JSON.parse(own.metadata.lora_adapter_metadata!)).toMatchObject({ "unet.r": 4, "unet.lora_alpha": 4 });
    await Promise.all([own.close(), golden.close()]);
  });

  it("leaves no tensor behind", () => {
    const before = tf.memory().numTensors;
    start();
    lora.within(forward).dispose();
    lora.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([
    [{ rank: 0 }, "rank is 0; it must be a whole number, 1 or more"],
    [{ rank: 2.5 }, "rank is 2.5"],
    [{ alpha: NaN }, "alpha is NaN"],
    [{ targets: [] }, "none is given"],
    [{ targets: ["to_q", "to_w"] }, "no linear layer or convolution has a name that ends with to_w"],
    [{ targets: ["norm1"] }, "no linear layer or convolution has a name that ends with norm1"],
  ])("refuses %j", (options, message) => {
    const before = tf.memory().numTensors;
    expect(() => start(options)).toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
  });
});
