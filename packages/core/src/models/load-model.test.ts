import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { AutoencoderKL } from "./autoencoder/autoencoder-kl.js";
import { CLIPModel } from "./clip/clip-model.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "./clip/clip-text-model.js";
import { CLIPVisionModel, CLIPVisionModelWithProjection } from "./clip/clip-vision-model.js";
import { ControlNetModel } from "./unet/controlnet.js";
import { ModelConfigError } from "./errors.js";
import { loadModel, modelFromConfig } from "./load-model.js";
import { MODEL_CLASSES } from "./model-classes.js";
import type { Model } from "./model.js";
import { PriorTransformer } from "./clip/prior-transformer.js";
import { UnCLIPTextProjModel } from "./clip/unclip-text-proj.js";
import { UNet2DConditionModel } from "./unet/unet-2d-condition.js";
import { UNet2DModel } from "./unet/unet-2d.js";

const TEXT = { hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 20 };
const VISION = {
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  image_size: 8,
  patch_size: 4,
};
const UNET = { block_out_channels: [8], norm_num_groups: 4, layers_per_block: 1, attention_head_dim: 2 };

const MODELS: Model[] = [
  new AutoencoderKL({ block_out_channels: [8], norm_num_groups: 4, scaling_factor: 0.5 }),
  new CLIPModel({ text_config: TEXT, vision_config: VISION, projection_dim: 4 }),
  new CLIPTextModel(TEXT),
  new CLIPTextModelWithProjection(TEXT),
  new CLIPVisionModel(VISION),
  new CLIPVisionModelWithProjection(VISION),
  new ControlNetModel({ ...UNET, down_block_types: ["CrossAttnDownBlock2D"], cross_attention_dim: 6 }),
  new PriorTransformer({
    num_attention_heads: 2,
    attention_head_dim: 4,
    num_layers: 1,
    embedding_dim: 6,
    num_embeddings: 3,
  }),
  new UnCLIPTextProjModel({ clip_embeddings_dim: 4, time_embed_dim: 6, cross_attention_dim: 5 }),
  new UNet2DConditionModel({
    ...UNET,
    down_block_types: ["CrossAttnDownBlock2D"],
    up_block_types: ["CrossAttnUpBlock2D"],
    cross_attention_dim: 6,
    class_embed_type: "projection",
    projection_class_embeddings_input_dim: 5,
  }),
  new UNet2DModel({ ...UNET, down_block_types: ["DownBlock2D"], up_block_types: ["UpBlock2D"] }),
];

describe("loadModel", () => {
  let folder: string;
  beforeAll(async () => {
    await useTestBackend();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "load model "));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it("knows every class of network", () => {
    expect(MODELS.map(({ constructor }) => constructor).sort()).toEqual(Object.values(MODEL_CLASSES).sort());
  });

  it.each(MODELS.map((model) => [model.constructor.name, model] as const))(
    "gives back the %s that was saved: class, config and every bit of the weights",
    async (_, model) => {
      model.initialize(keyedNoise(5));
      const before = tf.memory().numTensors;
      await model.save(folder);
      const loaded = await loadModel(folder);
      expect(loaded.constructor).toBe(model.constructor);
      expect(loaded.config).toEqual(model.config);
      for (const [name, variable] of model.parameters()) {
        expect([name, loaded.parameters().get(name)!.dataSync()]).toEqual([name, variable.dataSync()]);
      }
      loaded.dispose();
      expect(tf.memory().numTensors).toBe(before);
      model.dispose();
    },
  );

  it.each([
    ["unet2d_ddpm_cifar", "legacy_keys"],
    ["vae_basic", "legacy_keys"],
    ["clip_text_gelu", "v5_names"],
    ["clip_text_quickgelu", "v5_names"],
  ])("reads %s/%s, with names of another version of the library, as the same network", async (fixture, other) => {
    const [present, renamed] = [
      await loadModel(fixturePath(fixture)),
      await loadModel(fixturePath(`${fixture}/${other}`)),
    ];
    for (const [name, variable] of present.parameters()) {
      expect([name, renamed.parameters().get(name)!.dataSync()]).toEqual([name, variable.dataSync()]);
    }
    present.dispose();
    renamed.dispose();
  });

  it("saves a fixture's config with the values it came with", async () => {
    const model = await loadModel(fixturePath("unet_sdxl"));
    await model.save(folder);
    const [given, written] = await Promise.all(
      [fixturePath("unet_sdxl"), folder].map(
        async (path) => JSON.parse(await readFile(join(path, "config.json"), "utf8")) as object,
      ),
    );
    expect(written).toEqual(given);
    model.dispose();
  });

  it.each([
    ["groups", { norm_num_groups: 3 }, /UNet2DModel: GroupNorm: 8 channels cannot be split into 3 groups/],
    ["heads", { attention_head_dim: 3 }, /UNet2DModel: Attention: 8 channels cannot be shared/],
  ])("names the network whose %s do not divide its channels", (_, wrong, message) => {
    const build = () =>
      modelFromConfig({
        _class_name: "UNet2DModel",
        ...UNET,
        ...wrong,
        down_block_types: ["AttnDownBlock2D"],
        up_block_types: ["UpBlock2D"],
      });
    expect(build).toThrow(ModelConfigError);
    expect(build).toThrow(message);
  });

  it("refuses a class that is not known, and one that a config of another class is given to", async () => {
    await writeFile(join(folder, "config.json"), JSON.stringify({ _class_name: "FluxTransformer2DModel" }));
    await expect(loadModel(folder)).rejects.toThrow(/"FluxTransformer2DModel" is not a known network/);
    expect(() => new UNet2DModel({ _class_name: "UNet2DConditionModel" } as object)).toThrow(ModelConfigError);
  });
});
