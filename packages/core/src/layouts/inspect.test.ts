import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { fixturePath } from "../testing/fixture.js";
import { writeShardedUnet } from "../testing/sharded-unet.js";
import { writeTinySingleFile, writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../testing/unclip.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors } from "../weights/write-safetensors.js";
import { inspectCheckpoint } from "./inspect.js";
import { ldmUnetName, ldmVaeName } from "../weights/ldm-names.js";
import { openClipPiece } from "../weights/open-clip.js";

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "inspect "));
  await writeTinyStableDiffusion(join(folder, "pipeline"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with only a header: every shape contains a 0, so that thousands of tensors have no bytes. */
function headerOnly(shapes: Record<string, readonly number[]>, metadata?: Record<string, string>): Uint8Array {
  const entries = Object.entries(shapes).map(([name, shape]) => [name, { dtype: "F16", shape, data_offsets: [0, 0] }]);
  const json = Buffer.from(
    JSON.stringify({ ...(metadata && { __metadata__: metadata }), ...Object.fromEntries(entries) }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

const KEYS = JSON.parse(gunzipSync(readFileSync(fixturePath("state-dict-keys/keys.json.gz"))).toString()) as Record<
  string,
  Record<string, number[]>
>;

/** All names of a published single file. The shapes only have the second axis, in which the families differ. */
function published(unet: string, texts: [prefix: string, keys: string, openClip: boolean][], extra: string[] = []) {
  const cross = "CrossAttnUpBlock2D";
  const up_block_types = unet === "sdxl.unet" ? [cross, cross, "UpBlock2D"] : ["UpBlock2D", cross, cross, cross];
  const layout = { layers_per_block: 2, up_block_types };
  const emptied = ([, inside = 1]: readonly number[]) => [0, inside];
  return Object.fromEntries([
    ...Object.entries(KEYS[unet]!).map(([name, shape]) => [
      `model.diffusion_model.${ldmUnetName(name, layout)}`,
      emptied(shape),
    ]),
    ...Object.entries(KEYS["vae"]!).map(([name, shape]) => [
      `first_stage_model.${ldmVaeName(name, 4)}`,
      emptied(shape),
    ]),
    ...texts.flatMap(([prefix, keys, openClip]) =>
      Object.entries(KEYS[keys]!).map(([name, shape]) => [
        prefix + (openClip ? openClipPiece(name).stored : name),
        emptied(shape),
      ]),
    ),
    ...extra.map((name) => [name, [0]]),
  ]) as Record<string, number[]>;
}

const CLIP_L = (prefix: string): [string, string, boolean] => [prefix, "clip-l.text", false];
const FILES = {
  sd1: published("sd15.unet", [CLIP_L("cond_stage_model.transformer.")], ["model_ema.decay"]),
  "sd1 inpainting": published("sd15-inpaint.unet", [CLIP_L("cond_stage_model.transformer.")]),
  sd2: published("sd21.unet", [["cond_stage_model.model.", "sd21.text", true]]),
  sdxl: published("sdxl.unet", [
    CLIP_L("conditioner.embedders.0.transformer."),
    ["conditioner.embedders.1.model.", "sdxl.text_2", true],
  ]),
};

describe("Inspecting a checkpoint", () => {
  it("recognises the families of single files and their prediction types", async () => {
    const report = async (name: keyof typeof FILES, metadata?: Record<string, string>) => {
      const { kind, family, inChannels, pictureSize, prediction } = await inspectCheckpoint(
        headerOnly(FILES[name], metadata),
      );
      return [kind, family, inChannels, pictureSize, prediction?.type, prediction?.certainty];
    };
    expect(await report("sd1")).toEqual(["single file", "sd1", 4, 512, "epsilon", "guessed"]);
    expect(await report("sd1 inpainting")).toEqual(["single file", "sd1", 9, 512, "epsilon", "guessed"]);
    expect(await report("sd2")).toEqual(["single file", "sd2", 4, 768, "v_prediction", "guessed"]);
    expect(await report("sdxl")).toEqual(["single file", "sdxl", 4, 1024, "epsilon", "guessed"]);
    expect((await report("sd2", { "modelspec.predict_key": "epsilon" })).slice(3)).toEqual([512, "epsilon", "stated"]);
    expect((await report("sdxl", { "modelspec.prediction_type": "v" })).slice(4)).toEqual(["v_prediction", "stated"]);
    const base = Object.entries(FILES.sd2).map(
      ([key, shape]) => [key, { dtype: "F16", shape, data: new Float32Array(0) }] as const,
    );
    const steps = { dtype: "I64", shape: [], data: BigInt64Array.of(875_000n) } as const;
    const withSteps = await encodeSafetensors(new Map<string, never>([...base, ["global_step", steps]] as never));
    expect(await inspectCheckpoint(withSteps)).toMatchObject({ pictureSize: 512, prediction: { type: "epsilon" } });
    const marked = headerOnly({ ...FILES.sdxl, v_pred: [0] });
    expect((await inspectCheckpoint(marked)).prediction).toMatchObject({ type: "v_prediction", certainty: "stated" });
  });

  it("estimates the memory of a drawing of the trained size, without weights", async () => {
    const before = tf.memory().numTensors;
    const drawingOf = async (from: string | Uint8Array) => (await inspectCheckpoint(from)).drawing;
    // The autoencoder's last enlargement has 256 channels at full size, and its result 3.
    const decoding = (side: number) => 4 * side * side * (256 + 3);
    expect(await drawingOf(headerOnly(FILES.sd1))).toEqual({ width: 512, height: 512, bytes: decoding(512) });
    expect(await drawingOf(headerOnly(FILES.sdxl))).toEqual({ width: 1024, height: 1024, bytes: decoding(1024) });
    const base = headerOnly(FILES.sd2, { "modelspec.predict_key": "epsilon" });
    expect(await drawingOf(base)).toMatchObject({ width: 512, height: 512 });
    expect(await drawingOf(join(folder, "pipeline"))).toMatchObject({ width: 32, height: 32 });
    expect(await drawingOf(headerOnly({ "lora.up.weight": [0] }))).toBeUndefined();
    await writeTinyUnCLIP(join(folder, "stages"), "text");
    expect(await drawingOf(join(folder, "stages"))).toMatchObject({ width: 16, height: 16 });
    expect(tf.memory().numTensors).toBe(before);
  });

  it("counts the tensors of each network of a single file", async () => {
    const { parts, notes } = await inspectCheckpoint(headerOnly(FILES.sd1));
    expect(parts.map(({ name, tensors }) => [name, tensors])).toEqual([
      ["unet", 686],
      ["vae", 248],
      ["text_encoder", 196],
      ["unet (averaged)", 1],
    ]);
    expect(notes).toEqual(["It also holds averaged weights of the UNet."]);
    const tiny = await inspectCheckpoint(await writeTinySingleFile(folder));
    const unet = tiny.parts.find(({ name }) => name === "unet")!;
    expect(unet.dtypes).toEqual({ F16: unet.parameters });
    expect(unet.bytes).toBe(2 * unet.parameters);
  });

  it("reads a pipeline folder's configs, headers and variants, and allocates nothing", async () => {
    const before = tf.memory().numTensors;
    const report = await inspectCheckpoint(join(folder, "pipeline"));
    expect(tf.memory().numTensors).toBe(before);
    expect(report).toMatchObject({ kind: "pipeline folder", inChannels: 4, pictureSize: 32 });
    expect(report.notes).toContain("Saved by StableDiffusionPipeline.");
    expect(report.prediction).toMatchObject({ type: "epsilon", certainty: "stated" });
    const sets = report.parts.map(({ name, variant, className }) => [name, variant, className]);
    for (const name of ["unet", "vae", "text_encoder"]) {
      expect(
        sets
          .filter(([part]) => part === name)
          .map(([, variant]) => variant)
          .sort(),
      ).toEqual(["fp16", undefined]);
    }
    expect(sets).toContainEqual(["unet", "fp16", "UNet2DConditionModel"]);
  });

  it("finds the same at an address, but for the variants, which a server does not list", async () => {
    const server = createServer((request, response) => {
      const [path, isHead] = [join(folder, request.url!), request.method === "HEAD"];
      readFile(path).then(
        (bytes) => response.end(isHead ? undefined : bytes),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      for (const part of ["pipeline", "pipeline/unet"]) {
        const local = await inspectCheckpoint(join(folder, part));
        const parts = local.parts.filter(({ variant }) => variant === undefined);
        expect(await inspectCheckpoint(`${address}/${part}/`)).toEqual({ ...local, parts });
      }
      await expect(inspectCheckpoint(`${address}/elsewhere`)).rejects.toThrow(/the server answered 404/);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("describes folders that draw from noise alone, of a class, and in stages", async () => {
    for (const [name, fixture] of [
      ["ddpm", "unet2d_ddpm_cifar"],
      ["classes", "unet2d_class_scaleshift"],
    ] as const) {
      cpSync(fixturePath(fixture), join(folder, name, "unet"), { recursive: true });
      mkdirSync(join(folder, name, "scheduler"));
      const index = { _class_name: "DDPMPipeline", unet: ["diffusers", "UNet2DModel"] };
      writeFileSync(join(folder, name, "model_index.json"), JSON.stringify(index));
      const scheduler = { _class_name: "DDPMScheduler", prediction_type: "v_prediction" };
      writeFileSync(join(folder, name, "scheduler", "scheduler_config.json"), JSON.stringify(scheduler));
    }
    const ddpm = await inspectCheckpoint(join(folder, "ddpm"));
    expect(ddpm).toMatchObject({ pictureSize: 8, inChannels: 3, prediction: { type: "v_prediction" } });
    expect(ddpm.family).toBeUndefined();
    expect(ddpm.classes).toBeUndefined();
    expect(await inspectCheckpoint(join(folder, "classes"))).toMatchObject({ pictureSize: 8, classes: 5 });
    expect(await inspectCheckpoint(join(folder, "classes", "unet"))).toMatchObject({ pictureSize: 8, classes: 5 });
    await writeTinyUnCLIP(join(folder, "unclip"), "text");
    const unclip = await inspectCheckpoint(join(folder, "unclip"));
    expect(unclip).toMatchObject({ pictureSize: 16, prediction: { type: "epsilon" } });
  });

  it("accepts the folder of a single network, also in shards", async () => {
    await writeShardedUnet(join(folder, "sharded"));
    const sharded = await inspectCheckpoint(join(folder, "sharded"));
    expect(sharded).toMatchObject({ kind: "model folder", inChannels: 4 });
    const whole = await inspectCheckpoint(fixturePath("tiny-stable-diffusion/unet"));
    const { tensors, parameters } = whole.parts.find(({ variant }) => variant === undefined)!;
    expect(sharded.parts).toMatchObject([{ name: "unet", tensors, parameters }]);
  });

  it.each([
    ["lora/peft/pytorch_lora_weights.safetensors", "lora", "unet", "Changes 48 layers, at rank 4."],
    ["lora/attn_processor/pytorch_lora_weights.safetensors", "lora", "unet", "Changes 32 layers, at rank 4."],
    ["lora/kohya/pytorch_lora_weights.safetensors", "lora", "unet", "Changes 73 layers, at rank 4."],
    [
      "textual_inversion/learned_embeds.safetensors",
      "textual inversion",
      "<cat-toy>",
      "<cat-toy>: 1 vector of 16 numbers.",
    ],
    [
      "textual_inversion/a1111_style.safetensors",
      "textual inversion",
      "emb_params",
      "emb_params: 3 vectors of 16 numbers.",
    ],
    ["controlnet/diffusion_pytorch_model.safetensors", "network", "controlnet", undefined],
    ["tiny-stable-diffusion/vae/diffusion_pytorch_model.safetensors", "network", "vae", undefined],
    ["tiny-stable-diffusion/unet/diffusion_pytorch_model.safetensors", "network", "unet", undefined],
    ["clip_text_gelu/model.safetensors", "network", "text_encoder", undefined],
    ["safetensors/golden.safetensors", "unknown", "other", undefined],
  ])("recognises %s", async (path, kind, part, note) => {
    const report = await inspectCheckpoint(fixturePath(path));
    expect([report.kind, report.parts[0]!.name]).toEqual([kind, part]);
    if (note) expect(report.notes).toEqual([note]);
  });

  it("recognises a text tower by the names of transformers 5, without its prefix", async () => {
    const file = await openSafetensors(fixturePath("clip_text_gelu/model.safetensors"));
    await file.close();
    const shapes = [...file.tensors].map(
      ([name, { shape }]) => [name.replace(/^text_model\./, ""), [0, ...shape.slice(1)]] as const,
    );
    const { kind, parts } = await inspectCheckpoint(headerOnly(Object.fromEntries(shapes)));
    expect([kind, parts[0]!.name]).toEqual(["network", "text_encoder"]);
  });

  it.each<[string, object, string]>([
    ["lora", { methods: ["LoRA"], modules: 2, ranks: [4], words: [] }, "Changes 2 layers, at rank 4."],
    ["loha", { methods: ["LoHa"], modules: 6, ranks: [2, 4] }, "Changes 6 layers by LoHa, at rank 2, 4."],
    ["lokr", { methods: ["LoKr"], modules: 6, ranks: [2] }, "Changes 6 layers by LoKr, at rank 2."],
    ["dora-kohya", { methods: ["DoRA"], modules: 6 }, "Changes 6 layers by DoRA, at rank 2, 4."],
    ["dora-peft", { methods: ["DoRA"], modules: 5, alphas: [] }, "Changes 5 layers by DoRA, at rank 2, 4."],
    ["norm", { methods: ["LoRA", "full difference"] }, "Changes 4 layers by LoRA, full difference, at rank 4."],
    ["comfy-names", { methods: ["LoRA"], modules: 6 }, "Changes 6 layers, at rank 4."],
    ["bundle-emb", { modules: 2, words: ["mystyle"] }, "Changes 2 layers, at rank 4."],
  ])("gives the method, layers, ranks and words of %s", async (name, lora, note) => {
    const before = tf.memory().numTensors;
    const report = await inspectCheckpoint(fixturePath(`lora-cases/${name}.safetensors`));
    expect(report).toMatchObject({ kind: "lora", lora });
    expect(report.notes[0]).toBe(note);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("reads the alphas of a LoRA, and marks what cannot be loaded", async () => {
    const kohya = await inspectCheckpoint(fixturePath("lora/kohya/pytorch_lora_weights.safetensors"));
    expect(kohya.lora!.alphas).toEqual([2]);
    const settings = { lora_adapter_metadata: '{"unet.lora_alpha": 8}' };
    const stated = headerOnly({ "unet.conv_in.lora_A.weight": [0, 4], "unet.conv_in.lora_B.weight": [0, 4] }, settings);
    expect((await inspectCheckpoint(stated)).lora!.alphas).toEqual([8]);
    const oft = headerOnly({ "lora_unet_conv_in.oft_blocks": [0, 4] });
    expect((await inspectCheckpoint(oft)).lora!.methods).toEqual(["OFT (not read)"]);
  });

  it("recognises the family of a LoRA and of an embedding by the width of the text states", async () => {
    const lora = headerOnly({
      "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": [0, 2048],
    });
    expect((await inspectCheckpoint(lora)).family).toBe("sdxl");
    expect((await inspectCheckpoint(headerOnly({ emb_params: [0, 768] }))).family).toBe("sd1");
    expect((await inspectCheckpoint(headerOnly({ clip_l: [0, 768], clip_g: [0, 1280] }))).family).toBe("sdxl");
  });

  it("looks into a folder that holds a LoRA", async () => {
    const lora = join(folder, "lora");
    mkdirSync(lora, { recursive: true });
    const name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight";
    const weights = headerOnly({ [name]: [0, 768] });
    writeFileSync(join(lora, "pytorch_lora_weights.safetensors"), weights);
    expect(await inspectCheckpoint(lora)).toEqual(await inspectCheckpoint(weights));
    writeFileSync(join(lora, "adapter_config.json"), "{}");
    expect((await inspectCheckpoint(lora)).kind).toBe("lora");
  });

  it("says what is missing, and what to do if it is not a checkpoint", async () => {
    const broken = join(folder, "broken");
    mkdirSync(join(broken, "unet"), { recursive: true });
    await expect(inspectCheckpoint(broken)).rejects.toThrow(
      "has no model_index.json and no config.json; it holds unet",
    );
    const index = {
      unet: ["diffusers", "UNet2DConditionModel"],
      vae: ["diffusers", "AutoencoderKL"],
      "../x": ["a", "B"],
    };
    writeFileSync(join(broken, "model_index.json"), JSON.stringify(index));
    writeFileSync(join(broken, "unet", "config.json"), "{}");
    writeFileSync(join(broken, "unet", "diffusion_pytorch_model.bin"), "");
    expect((await inspectCheckpoint(broken)).notes).toEqual([
      "unet: diffusion_pytorch_model.bin is a pickle, which is not read: convert it to safetensors.",
      "vae (AutoencoderKL) is missing.",
    ]);
    writeFileSync(join(broken, "model_index.json"), "[]");
    await expect(inspectCheckpoint(broken)).rejects.toThrow(
      "model_index.json is not a JSON object; expected a JSON object. Download it again.",
    );
    await expect(inspectCheckpoint(join(folder, "nothing.safetensors"))).rejects.toThrow("Check the path");
  });
});
