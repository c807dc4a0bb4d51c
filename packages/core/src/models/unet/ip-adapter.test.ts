import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { singleFileToFolder } from "../../layouts/convert-to-folder.js";
import { inspectCheckpoint } from "../../layouts/inspect.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { WeightsFormatError, WeightsMismatchError } from "../../weights/errors.js";
import { openSafetensors } from "../../weights/safetensors.js";
import { encodeSafetensors, type TensorToWrite } from "../../weights/write-safetensors.js";
import { ModelConfigError, ModelInputError } from "../errors.js";
import { loadModel, modelFromConfig } from "../load-model.js";
import { PUBLISHED } from "../published-configs.js";
import { IPAdapter } from "./ip-adapter.js";
import { UNet2DConditionModel } from "./unet-2d-condition.js";

const file = (name: string) => fixturePath(`tiny-ip-adapter/${name}.safetensors`);
const zeros = (shape: number[]): TensorToWrite => ({
  dtype: "F32",
  shape,
  data: new Float32Array(shape.reduce((size, length) => size * length, 1)),
});

/** The bytes of the base adapter's file after a change. */
async function changed(change: (tensors: Map<string, TensorToWrite>) => void): Promise<Uint8Array> {
  const stored = await openSafetensors(file("base"));
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, { dtype, shape }] of stored.tensors)
    tensors.set(name, { dtype, shape, data: await stored.read(name) });
  await stored.close();
  change(tensors);
  return encodeSafetensors(tensors);
}

let folder: string;
beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "ip adapter "));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("IPAdapter", () => {
  it("has by default the sizes and the names of ip-adapter_sd15, for the layers of Stable Diffusion 1", () => {
    const adapter = new IPAdapter();
    const names = [...adapter.namedParameters()].map(([name, { diskShape }]) => [name, ...diskShape]);
    expect(names.slice(0, 4)).toEqual([
      ["image_proj.proj.weight", 3072, 1024],
      ["image_proj.proj.bias", 3072],
      ["image_proj.norm.weight", 768],
      ["image_proj.norm.bias", 768],
    ]);
    expect(names[4]).toEqual(["ip_adapter.1.to_k_ip.weight", 320, 768]);
    expect(names.at(-1)).toEqual(["ip_adapter.31.to_v_ip.weight", 1280, 768]);
    const layers = (unet: UNet2DConditionModel) => unet.contextAttentions(64, 64).map(({ shape }) => shape[2]);
    expect(layers(new UNet2DConditionModel(PUBLISHED.sd1.unet))).toEqual(adapter.config.attention_widths);
    expect(layers(new UNet2DConditionModel(PUBLISHED.sdxl.unet))).toHaveLength(70);
  });

  it.each([
    ["base", { image_proj_type: "linear", image_embed_dim: 20, num_image_text_embeds: 4 }],
    ["plus", { image_proj_type: "resampler", image_embed_dim: 24, num_image_text_embeds: 3, num_heads: 1 }],
    ["full", { image_proj_type: "full", image_embed_dim: 24 }],
  ])("opens a file by its tensors, and a saved folder by its config: %s", async (name, sizes) => {
    const before = tf.memory().numTensors;
    const adapter = (await loadModel(file(name))) as IPAdapter;
    expect(adapter).toBeInstanceOf(IPAdapter);
    expect(adapter.config).toMatchObject({ ...sizes, cross_attention_dim: 16, attention_widths: [16, 16, 16, 32] });
    await adapter.save(join(folder, name));
    const saved = await loadModel(join(folder, name));
    expect(saved.config).toEqual(adapter.config);
    for (const [key, value] of adapter.parameters())
      expect([key, saved.parameters().get(key)!.dataSync()]).toEqual([key, value.dataSync()]);
    saved.dispose();
    adapter.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("says what it reads, and refuses other shapes", async () => {
    const [base, plus] = [(await loadModel(file("base"))) as IPAdapter, (await loadModel(file("plus"))) as IPAdapter];
    tf.tidy(() => {
      expect(base.forward(tf.ones([2, 20])).shape).toEqual([2, 4, 16]);
      expect(plus.forward(tf.ones([2, 9, 24])).shape).toEqual([2, 3, 16]);
      expect(() => base.forward(tf.ones([2, 9, 24]))).toThrow(ModelInputError);
      expect(() => base.forward(tf.ones([2, 24]))).toThrow("an image encoder whose projection_dim is 20");
      expect(() => plus.forward(tf.ones([2, 24]))).toThrow("an image encoder whose hidden_size is 24");
    });
    base.dispose();
    plus.dispose();
  });

  it("refuses the kinds that are not supported by their names, and sizes that make no sense", async () => {
    const faceId = await changed((tensors) => {
      tensors.delete("image_proj.proj.weight");
      tensors.set("image_proj.proj.0.weight", zeros([8, 4]));
      tensors.set("ip_adapter.0.to_k_lora.down.weight", zeros([2, 16]));
    });
    const faceIdPlus = await changed((tensors) =>
      tensors.set("image_proj.perceiver_resampler.proj_in.weight", zeros([2, 2])),
    );
    const unknown = await changed((tensors) => tensors.delete("image_proj.proj.weight"));
    for (const [bytes, kind] of [
      [faceId, "an IP-Adapter FaceID, which is not supported"],
      [faceIdPlus, "an IP-Adapter FaceID Plus, which is not supported"],
      [unknown, "an IP-Adapter of an unknown kind"],
    ] as const) {
      await expect(loadModel(bytes)).rejects.toThrow(WeightsFormatError);
      await expect(loadModel(bytes)).rejects.toThrow(kind);
    }
    expect(await inspectCheckpoint(faceId)).toMatchObject({
      kind: "network",
      notes: ["An IP-Adapter FaceID, which is not read here."],
    });
    const odd = await changed((tensors) => tensors.set("image_proj.proj.weight", zeros([50, 20])));
    await expect(loadModel(odd)).rejects.toThrow(ModelConfigError);
    const less = await changed((tensors) => tensors.delete("ip_adapter.3.to_k_ip.weight"));
    await expect(loadModel(less)).rejects.toThrow(WeightsMismatchError);
    for (const attention_widths of [[1.5], "16", Array(1001).fill(4)]) {
      const build = () => modelFromConfig({ _class_name: "IPAdapter", attention_widths });
      expect(build).toThrow(/IPAdapter: attention_widths = .*expected at most 1000 whole numbers above 0/);
    }
  });

  it("is named by inspect, and by what opens whole checkpoints", async () => {
    const base = await inspectCheckpoint(file("base"));
    expect(base).toMatchObject({ kind: "network", parts: [{ name: "ip_adapter", className: "IPAdapter" }] });
    expect(base.notes).toEqual([
      "An IP-Adapter: it gives 4 layers of a UNet 4 tokens of a picture.",
      "It needs an image encoder whose projection_dim is 20.",
    ]);
    expect((await inspectCheckpoint(file("plus"))).notes[0]).toContain("An IP-Adapter Plus");
    expect((await inspectCheckpoint(file("full"))).notes[0]).toContain("a token for each state of a picture");
    await expect(singleFileToFolder(file("base"), join(folder, "converted"))).rejects.toThrow(
      "not a complete checkpoint of Stable Diffusion 1, 2 or XL, but one network alone, IPAdapter. Open it with loadModel",
    );
  });
});
