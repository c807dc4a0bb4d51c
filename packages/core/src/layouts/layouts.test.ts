import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../backend/use-backend.js";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import { fixturePath } from "../testing/fixture.js";
import { writeTinySingleFile, writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { openSafetensors } from "../weights/safetensors.js";
import { writeSafetensors } from "../weights/write-safetensors.js";
import { checkpointFamily } from "./families.js";
import { viewOf } from "../weights/file-view.js";
import { ldmUnetName, ldmVaeName } from "../weights/ldm-names.js";
import { openClipPiece } from "../weights/open-clip.js";
import { loadSingleFile } from "./single-file.js";

let folder: string;
let singleFile: string;

beforeAll(async () => {
  await useBackend("wasm");
  folder = mkdtempSync(join(tmpdir(), "layouts "));
  await writeTinyStableDiffusion(folder);
  singleFile = await writeTinySingleFile(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Names and shapes on disk of the published models. */
const KEYS = JSON.parse(gunzipSync(readFileSync(fixturePath("state-dict-keys/keys.json.gz"))).toString()) as Record<
  string,
  Record<string, number[]>
>;

const CROSS = "CrossAttnUpBlock2D";
const UNETS = {
  "sd15.unet": { layers_per_block: 2, up_block_types: ["UpBlock2D", CROSS, CROSS, CROSS] },
  "sd21.unet": { layers_per_block: 2, up_block_types: ["UpBlock2D", CROSS, CROSS, CROSS] },
  "sdxl.unet": { layers_per_block: 2, up_block_types: [CROSS, CROSS, "UpBlock2D"] },
};

describe("The names of a single file", () => {
  it.each(Object.entries(UNETS))("exist once for each parameter of %s", (model, layout) => {
    const names = Object.keys(KEYS[model]!);
    const stored = new Set(names.map((name) => ldmUnetName(name, layout)));
    expect(stored.size).toBe(names.length);
    for (const name of stored)
      expect(name).toMatch(/^(input_blocks|middle_block|output_blocks|time_embed|label_emb|out)\./);
  });

  it("are those of the published files, block by block", () => {
    // Names out of v1-5-pruned-emaonly.safetensors and sd_xl_base_1.0.safetensors.
    const sd = (name: string) => ldmUnetName(name, UNETS["sd15.unet"]);
    expect(sd("conv_in.weight")).toBe("input_blocks.0.0.weight");
    expect(sd("down_blocks.0.resnets.0.norm1.weight")).toBe("input_blocks.1.0.in_layers.0.weight");
    expect(sd("down_blocks.0.downsamplers.0.conv.bias")).toBe("input_blocks.3.0.op.bias");
    expect(sd("down_blocks.1.attentions.1.proj_in.weight")).toBe("input_blocks.5.1.proj_in.weight");
    expect(sd("down_blocks.3.resnets.1.time_emb_proj.weight")).toBe("input_blocks.11.0.emb_layers.1.weight");
    expect(sd("mid_block.attentions.0.norm.weight")).toBe("middle_block.1.norm.weight");
    expect(sd("mid_block.resnets.1.conv2.weight")).toBe("middle_block.2.out_layers.3.weight");
    expect(sd("up_blocks.0.upsamplers.0.conv.weight")).toBe("output_blocks.2.1.conv.weight");
    expect(sd("up_blocks.1.upsamplers.0.conv.weight")).toBe("output_blocks.5.2.conv.weight");
    expect(sd("up_blocks.3.resnets.2.conv_shortcut.bias")).toBe("output_blocks.11.0.skip_connection.bias");
    expect(sd("conv_norm_out.bias")).toBe("out.0.bias");
    const xl = (name: string) => ldmUnetName(name, UNETS["sdxl.unet"]);
    expect(xl("add_embedding.linear_2.weight")).toBe("label_emb.0.2.weight");
    expect(xl("down_blocks.2.attentions.1.transformer_blocks.9.ff.net.0.proj.bias")).toBe(
      "input_blocks.8.1.transformer_blocks.9.ff.net.0.proj.bias",
    );
    expect(xl("up_blocks.0.upsamplers.0.conv.weight")).toBe("output_blocks.2.2.conv.weight");
    expect(() => sd("fc.weight")).toThrow("fc.weight is not a parameter of a UNet");
  });

  it("of the autoencoder count the decoder's levels from the finest", () => {
    const names = Object.keys(KEYS["vae"]!);
    expect(new Set(names.map((name) => ldmVaeName(name, 4))).size).toBe(names.length);
    const vae = (name: string) => ldmVaeName(name, 4);
    expect(vae("decoder.up_blocks.0.resnets.2.conv1.weight")).toBe("decoder.up.3.block.2.conv1.weight");
    expect(vae("decoder.up_blocks.2.upsamplers.0.conv.bias")).toBe("decoder.up.1.upsample.conv.bias");
    expect(vae("encoder.down_blocks.1.resnets.0.conv_shortcut.weight")).toBe(
      "encoder.down.1.block.0.nin_shortcut.weight",
    );
    expect(vae("encoder.mid_block.attentions.0.to_out.0.weight")).toBe("encoder.mid.attn_1.proj_out.weight");
    expect(vae("encoder.mid_block.attentions.0.to_q.bias")).toBe("encoder.mid.attn_1.q.bias");
    expect(vae("encoder.conv_norm_out.bias")).toBe("encoder.norm_out.bias");
    expect(vae("quant_conv.bias")).toBe("quant_conv.bias");
  });

  it.each(["sd21.text", "sdxl.text_2"])("of OpenCLIP's %s stack three projections", (model) => {
    const pieces = Object.keys(KEYS[model]!).map(openClipPiece);
    const places = pieces.map(({ stored, third }) => `${stored} ${third ?? ""}`);
    expect(new Set(places).size).toBe(pieces.length);
    expect(openClipPiece("text_model.encoder.layers.3.self_attn.v_proj.bias")).toEqual({
      stored: "transformer.resblocks.3.attn.in_proj_bias",
      third: 2,
    });
    expect(openClipPiece("text_model.encoder.layers.0.mlp.fc2.weight").stored).toBe(
      "transformer.resblocks.0.mlp.c_proj.weight",
    );
    expect(() => openClipPiece("visual.proj")).toThrow("visual.proj is not a parameter of a text tower");
  });
});

describe("A view of a file", () => {
  it("splits stacked tensors in three and transposes matrices, for every number type", async () => {
    const path = join(folder, "stacked.safetensors");
    const stacked = { dtype: "F16", shape: [6, 2], data: Float32Array.from({ length: 12 }, (_, i) => i) } as const;
    const matrix = { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;
    await writeSafetensors(
      path,
      new Map<string, never>([
        ["stacked", stacked],
        ["matrix", matrix],
      ] as never),
    );
    const file = await openSafetensors(path);
    const view = viewOf(
      file,
      new Map([
        ["k", { stored: "stacked", third: 1 as const }],
        ["turned", { stored: "matrix", transposed: true }],
        ["absent", { stored: "nothing" }],
      ]),
      (stored) => stored === "stacked" || stored === "matrix",
    );
    expect([...view.tensors.keys()]).toEqual(["k", "turned"]);
    expect(view.tensors.get("k")!.shape).toEqual([2, 2]);
    expect([...(await view.read("k"))]).toEqual([4, 5, 6, 7]);
    expect(view.tensors.get("turned")!.shape).toEqual([3, 2]);
    expect([...(await view.read("turned"))]).toEqual([1, 4, 2, 5, 3, 6]);
    await expect(view.read("stacked")).rejects.toThrow("has no tensor stacked");
    await view.close();
  });
});

describe("A checkpoint that is one file", () => {
  it("has exactly the weights of the folder's fp16 variant", async () => {
    const { family, unet, vae, textEncoders } = await loadSingleFile(singleFile, { config: folder });
    expect(family).toBe("sd1");
    for (const [part, model] of [["unet", unet], ["vae", vae], ...textEncoders] as [string, Model][]) {
      const expected = await loadModel(join(folder, part), { variant: "fp16" });
      const values = expected.parameters();
      for (const [name, variable] of model.parameters()) {
        expect([name, ...variable.dataSync()]).toEqual([name, ...values.get(name)!.dataSync()]);
      }
      expect(model.parameters().size).toBe(values.size);
      expected.dispose();
      model.dispose();
    }
  });

  it("draws the same as the folder", async () => {
    const options = { prompt: "a red cube", width: 32, height: 32, numInferenceSteps: 3 };
    const before = tf.memory().numTensors;
    const drawn: number[][] = [];
    for (const [from, opening] of [
      [singleFile, { config: folder }],
      [folder, { variant: "fp16" }],
    ] as const) {
      const pipeline = await StableDiffusionPipeline.fromPretrained(from, opening);
      const { images, latents } = await pipeline.generate(options);
      drawn.push([...images.dataSync()]);
      tf.dispose([images, latents]);
      pipeline.dispose();
    }
    expect(drawn[0]).toEqual(drawn[1]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("is refused completely, listing everything that does not fit, before anything is allocated", async () => {
    const before = tf.memory().numTensors;
    // Without the folder's configs the published sizes are expected, which the tiny model does not have.
    await expect(loadSingleFile(singleFile)).rejects.toThrow("these are not the weights of this network");
    await expect(loadSingleFile(singleFile, { config: folder, ema: true })).rejects.toThrow("has no averaged weights");
    await expect(StableDiffusionPipeline.fromPretrained(singleFile)).rejects.toThrow("a single file has no vocabulary");
    expect(tf.memory().numTensors).toBe(before);
  });

  it("reads the averaged weights with { ema: true }", async () => {
    const file = await openSafetensors(singleFile);
    const tensors = new Map<string, object>();
    for (const [name, { dtype, shape }] of file.tensors) {
      if (dtype === "I64") continue;
      const data = (await file.read(name)) as Float32Array;
      tensors.set(name, { dtype: "F32", shape, data });
      if (!name.startsWith("model.")) continue;
      const averaged = `model_ema.${name.slice("model.".length).replaceAll(".", "")}`;
      tensors.set(averaged, { dtype: "F32", shape, data: data.map((value) => value + 1) });
    }
    await file.close();
    const path = join(folder, "with-ema.safetensors");
    await writeSafetensors(path, tensors as never);
    const [plain, ema] = [
      await loadSingleFile(path, { config: folder }),
      await loadSingleFile(path, { config: folder, ema: true }),
    ];
    const bias = (parts: typeof plain) => parts.unet.parameters().get("conv_in.bias")!.dataSync();
    bias(ema).forEach((value, i) => expect(value).toBeCloseTo(bias(plain)[i]! + 1, 6));
    for (const { unet, vae, textEncoders } of [plain, ema])
      for (const model of [unet, vae, ...textEncoders.values()]) model.dispose();
  });

  it("can have text encoder names without text_model, as other programs wrote in 2022", async () => {
    const file = await openSafetensors(singleFile);
    const tensors = new Map<string, object>();
    for (const [name, { dtype, shape }] of file.tensors) {
      if (dtype === "I64") continue;
      const bare = name.replace("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer.");
      tensors.set(bare, { dtype: "F32", shape, data: await file.read(name) });
    }
    await file.close();
    const path = join(folder, "bare.safetensors");
    await writeSafetensors(path, tensors as never);
    const [usual, bare] = [
      await loadSingleFile(singleFile, { config: folder }),
      await loadSingleFile(path, { config: folder }),
    ];
    const last = ({ textEncoders }: typeof bare) =>
      textEncoders.get("text_encoder")!.parameters().get("text_model.final_layer_norm.weight")!.dataSync();
    expect(last(bare)).toEqual(last(usual));
    for (const { unet, vae, textEncoders } of [usual, bare])
      for (const model of [unet, vae, ...textEncoders.values()]) model.dispose();
  });

  it("has a family that is recognised by its names", async () => {
    const named = (...names: string[]) => ({ name: "x", tensors: new Map(names.map((name) => [name, {}])) }) as never;
    const unet = "model.diffusion_model.out.2.bias";
    expect(checkpointFamily(named(unet, "cond_stage_model.transformer.text_model.x"))).toBe("sd1");
    expect(checkpointFamily(named(unet, "cond_stage_model.model.ln_final.bias"))).toBe("sd2");
    expect(checkpointFamily(named(unet, "conditioner.embedders.0.model.ln_final.bias"))).toBe("sdxl-refiner");
    expect(
      checkpointFamily(
        named(unet, "conditioner.embedders.0.transformer.x", "conditioner.embedders.1.model.ln_final.bias"),
      ),
    ).toBe("sdxl");
    expect(() => checkpointFamily(named("lora_unet_x.alpha"))).toThrow(
      "not a complete checkpoint of Stable Diffusion 1, 2 or XL",
    );
    expect(() => checkpointFamily(named(unet))).toThrow("its text encoder, or a folder of diffusers");
    writeFileSync(join(folder, "old.ckpt"), Buffer.from("PK\u0003\u0004 archive/data.pkl and so on ............."));
    await expect(StableDiffusionPipeline.fromPretrained(join(folder, "old.ckpt"), { config: folder })).rejects.toThrow(
      /pickle/i,
    );
  });
});
