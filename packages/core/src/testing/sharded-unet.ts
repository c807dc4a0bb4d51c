import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { openSafetensors } from "../weights/safetensors.js";
import { writeShards } from "../weights/write-shards.js";
import type { TensorToWrite } from "../weights/write-safetensors.js";
import { fixturePath } from "./fixture.js";

/** What diffusers wrote besides the shards, and the hashes of those: see its meta.json. */
export const SHARDED = fixturePath("unet_sharded");
export const SHARD_INDEX = "diffusion_pytorch_model.safetensors.index.json";

/**
 * Writes the UNet of the tiny Stable Diffusion as diffusers' save_pretrained(max_shard_size="150KB") did: in six files.
 * The tensors are stored once, in its own folder; model-folder.test.ts compares the bytes with diffusers' by hash.
 */
export async function writeShardedUnet(folder: string): Promise<void> {
  const { weight_map } = JSON.parse(await readFile(join(SHARDED, SHARD_INDEX), "utf8")) as {
    weight_map: Record<string, string>;
  };
  const file = await openSafetensors(fixturePath("tiny-stable-diffusion/unet/diffusion_pytorch_model.safetensors"));
  const size = (name: string) => tf.util.sizeFromShape([...file.tensors.get(name)!.shape]);
  // Within a file the order is lost; with the largest first, the split falls where it fell.
  const order = [...file.tensors.keys()].sort(
    (a, b) => weight_map[a]!.localeCompare(weight_map[b]!) || size(b) - size(a),
  );
  const tensors = new Map<string, TensorToWrite>();
  for (const name of order) tensors.set(name, { ...file.tensors.get(name)!, data: await file.read(name) });
  await file.close();
  await writeShards(folder, { base: "diffusion_pytorch_model", tensors, maxShardBytes: 150_000 });
  await copyFile(join(SHARDED, "config.json"), join(folder, "config.json"));
}
