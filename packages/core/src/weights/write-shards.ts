import { joinPath, listFolder } from "../platform/files.js";
import { removeFiles, writeText } from "../platform/write-files.js";
import { bytesOf, type TensorToWrite, writeSafetensors } from "./write-safetensors.js";

export interface Shards {
  /** Name of the files, up to the first dot. */
  base: string;
  variant?: string;
  tensors: ReadonlyMap<string, TensorToWrite>;
  maxShardBytes: number;
}

/**
 * Writes tensors as one safetensors file, or, if they are larger than `maxShardBytes` together, as several with an
 * index. They are split and named as in Python's huggingface_hub: in order, each file is filled as long as the next
 * tensor fits. Files of an earlier save with other names are removed, so that they are not read in place of the new
 * ones.
 */
export async function writeShards(folder: string, { base, variant, tensors, maxShardBytes }: Shards): Promise<void> {
  if (!(maxShardBytes > 0))
    throw new RangeError(`maxShardBytes is ${maxShardBytes}; expected a number of bytes above 0.`);
  const suffix = variant ? `.${variant}` : "";
  const shards = split(tensors, maxShardBytes);
  const fileName = (i: number) => {
    const number = (n: number) => String(n).padStart(5, "0");
    return `${base}${suffix}${shards.length === 1 ? "" : `-${number(i + 1)}-of-${number(shards.length)}`}.safetensors`;
  };
  const index = `${base}.safetensors.index${suffix}.json`;
  const earlier = await earlierFiles(folder, base, suffix);
  const written = new Set(shards.map((_, i) => fileName(i)));
  for (const [i, shard] of shards.entries())
    await writeSafetensors(joinPath(folder, fileName(i)), shard, { format: "pt" });
  if (shards.length > 1) {
    const map = shards.flatMap((shard, i) => [...shard.keys()].map((name) => [name, fileName(i)] as const));
    const contents = {
      metadata: {
        total_size: [...tensors.values()].reduce((size, tensor) => size + bytesOf(tensor.dtype, tensor.shape), 0),
      },
      weight_map: Object.fromEntries(map.sort(([a], [b]) => (a < b ? -1 : 1))),
    };
    // The index is written last, so that a folder with an index is complete.
    await writeText(joinPath(folder, index), `${JSON.stringify(contents, null, 2)}\n`);
    written.add(index);
  }
  await removeFiles(
    folder,
    earlier.filter((name) => !written.has(name)),
  );
}

/** The files of weights and indexes of this variant in a folder. */
async function earlierFiles(folder: string, base: string, suffix: string): Promise<string[]> {
  const [start, mark] = [base, suffix].map((text) => text.replaceAll(".", "\\."));
  const number = "-\\d{5}-of-\\d{5}";
  const files = new RegExp(
    `^${start}(${mark}|${mark}${number}|${number}${mark})\\.safetensors$|^${start}(\\.safetensors\\.index${mark}|${mark}\\.safetensors\\.index)\\.json$`,
  );
  return (await listFolder(folder)).filter((name) => files.test(name));
}

/** A tensor that is too large for any file gets a separate one, and the file before it continues to be filled. */
function split(tensors: ReadonlyMap<string, TensorToWrite>, maxBytes: number): Map<string, TensorToWrite>[] {
  const shards: Map<string, TensorToWrite>[] = [];
  let current = new Map<string, TensorToWrite>();
  let filled = 0;
  for (const [name, tensor] of tensors) {
    const bytes = bytesOf(tensor.dtype, tensor.shape);
    if (bytes > maxBytes) {
      shards.push(new Map([[name, tensor]]));
      continue;
    }
    if (filled + bytes > maxBytes) {
      shards.push(current);
      current = new Map();
      filled = 0;
    }
    current.set(name, tensor);
    filled += bytes;
  }
  return current.size > 0 || shards.length === 0 ? [...shards, current] : shards;
}
