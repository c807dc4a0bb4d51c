import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { openModelFolder } from "../weights/model-folder.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";
import { AutoencoderKL } from "./autoencoder/autoencoder-kl.js";
import { AutoencoderTiny } from "./autoencoder/autoencoder-tiny.js";
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
import { IPAdapter } from "./unet/ip-adapter.js";
import { T2IAdapter } from "./unet/t2i-adapter.js";
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
  new AutoencoderTiny({
    encoder_block_out_channels: [4, 4],
    decoder_block_out_channels: [4, 4],
    num_encoder_blocks: [1, 1],
    num_decoder_blocks: [1, 1],
  }),
  new T2IAdapter({ channels: [4, 8], num_res_blocks: 1, downscale_factor: 2 }),
  new IPAdapter({
    image_proj_type: "resampler",
    image_embed_dim: 6,
    cross_attention_dim: 5,
    attention_widths: [4, 8],
    hidden_dim: 3,
    num_heads: 1,
    num_layers: 2,
  }),
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
    "loads the saved %s: the same class, config and bits of the weights",
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

  /** Names as diffusers wrote them for attention over pictures before version 0.15, and transformers 5 writes them. */
  const OTHER_NAMES = {
    "diffusers 0.14": (name: string) =>
      name
        .replace(/\.to_(q|k|v)\./, (_, letter: "q" | "k" | "v") => `.${{ q: "query", k: "key", v: "value" }[letter]}.`)
        .replace(".to_out.0.", ".proj_attn."),
    "transformers 5": (name: string) => name.replace(/^text_model\./, ""),
  };

  it.each<[string, keyof typeof OTHER_NAMES]>([
    ["unet2d_ddpm_cifar", "diffusers 0.14"],
    ["vae_basic", "diffusers 0.14"],
    ["clip_text_gelu", "transformers 5"],
    ["clip_text_quickgelu", "transformers 5"],
  ])("reads %s with the names of %s as the same network", async (fixture, library) => {
    const [stored] = await openModelFolder(fixturePath(fixture));
    const tensors = new Map<string, TensorToWrite>();
    for (const [name, info] of stored!.tensors) {
      tensors.set(OTHER_NAMES[library](name), { ...info, data: await stored!.read(name) });
    }
    await stored!.close();
    expect([...tensors.keys()].filter((name) => !stored!.tensors.has(name)).length).toBeGreaterThan(9);
    await writeSafetensors(
      join(folder, `${library.startsWith("d") ? "diffusion_pytorch_" : ""}model.safetensors`),
      tensors,
    );
    await copyFile(join(fixturePath(fixture), "config.json"), join(folder, "config.json"));
    const [present, renamed] = [await loadModel(fixturePath(fixture)), await loadModel(folder)];
    for (const [name, variable] of present.parameters()) {
      expect([name, renamed.parameters().get(name)!.dataSync()]).toEqual([name, variable.dataSync()]);
    }
    present.dispose();
    renamed.dispose();
  });

  it("saves a fixture's config with its original values", async () => {
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
    ["heads", { attention_head_dim: 3 }, /UNet2DModel: Attention: 8 channels cannot be divided/],
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

  it("reads config and weights of one network if another process saves over the folder meanwhile", async () => {
    const config = { sample_size: 8, block_out_channels: [8], down_block_types: ["DownBlock2D"], norm_num_groups: 4 };
    const layers = { ...config, up_block_types: ["UpBlock2D"], mid_block_type: null } as const;
    const saved = async (name: string, freq_shift: number) => {
      const unet = new UNet2DModel({ ...(layers as object), freq_shift });
      unet.initialize(keyedNoise(freq_shift));
      await unet.save(join(folder, name));
      const weight = unet.conv_in.weight.value.dataSync()[0];
      unet.dispose();
      return { freq_shift, weight };
    };
    await saved("target", 1);
    const second = await saved("second", 2);
    const before = tf.memory().numTensors;
    /** Replaces the folder after its config was read, and before its weights are. */
    class Overtaken extends UNet2DModel {
      constructor(given: object) {
        super(given);
        if (this.config.freq_shift !== 1) return;
        renameSync(join(folder, "target"), join(folder, "first"));
        renameSync(join(folder, "second"), join(folder, "target"));
      }
    }
    const classes = { UNet2DModel: Overtaken as never };
    const unet = (await loadModel(join(folder, "target"), { classes })) as UNet2DModel;
    const found = { freq_shift: unet.config.freq_shift, weight: unet.conv_in.weight.value.dataSync()[0] };
    expect(found).toEqual(second);
    unet.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses an unknown class, and a config of another class", async () => {
    await writeFile(join(folder, "config.json"), JSON.stringify({ _class_name: "FluxTransformer2DModel" }));
    await expect(loadModel(folder)).rejects.toThrow(/"FluxTransformer2DModel" is not a known network/);
    expect(() => new UNet2DModel({ _class_name: "UNet2DConditionModel" } as object)).toThrow(ModelConfigError);
  });
});
