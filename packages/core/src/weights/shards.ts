import { joinPath, writeText } from "../platform.js";
import { dtypeBytes } from "./dtypes.js";
import { WeightsFormatError } from "./errors.js";
import { readJsonObject } from "./read-json.js";
import { type TensorToWrite, writeSafetensors } from "./write-safetensors.js";

/** The paths of the files that an index names. They must lie in the same folder. */
export async function readShardNames(folder: string, index: string): Promise<string[]> {
  const path = joinPath(folder, index);
  const { weight_map: map } = await readJsonObject(path, {
    remedy: "Download it again.",
    expected: "an index with a weight_map",
  });
  if (typeof map !== "object" || map === null) {
    throw new WeightsFormatError(
      `${path} has no weight_map, which says what tensor is in what file. Download it again.`,
    );
  }
  const names = [...new Set<unknown>(Object.values(map))];
  const bad = names.find((name) => typeof name !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(name));
  if (names.length === 0 || bad !== undefined) {
    throw new WeightsFormatError(
      `${path}: its weight_map ${names.length === 0 ? "is empty" : `names ${JSON.stringify(bad)}`}; safetensors files of the same folder are expected.`,
    );
  }
  return names.map((name) => joinPath(folder, name as string));
}

export interface Shards {
  /** Name of the files, up to the first dot. */
  base: string;
  variant?: string;
  tensors: ReadonlyMap<string, TensorToWrite>;
  maxShardBytes: number;
}

/**
 * Writes tensors as one safetensors file, or, if they are larger together than `maxShardBytes`, as several with an index,
 * as Python's huggingface_hub splits and names them: in order, each file filled while the next tensor fits.
 */
export async function writeShards(folder: string, { base, variant, tensors, maxShardBytes }: Shards): Promise<void> {
  if (!(maxShardBytes > 0))
    throw new RangeError(`maxShardBytes is ${maxShardBytes}; a number of bytes above 0 is expected.`);
  const suffix = variant ? `.${variant}` : "";
  const shards = split(tensors, maxShardBytes);
  const fileName = (i: number) => {
    const number = (n: number) => String(n).padStart(5, "0");
    return `${base}${suffix}${shards.length === 1 ? "" : `-${number(i + 1)}-of-${number(shards.length)}`}.safetensors`;
  };
  for (const [i, shard] of shards.entries())
    await writeSafetensors(joinPath(folder, fileName(i)), shard, { format: "pt" });
  if (shards.length === 1) return;
  const map = shards.flatMap((shard, i) => [...shard.keys()].map((name) => [name, fileName(i)] as const));
  const index = {
    metadata: { total_size: [...tensors.values()].reduce((size, tensor) => size + bytesOf(tensor), 0) },
    weight_map: Object.fromEntries(map.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  // Last, so that a folder with an index is a whole one.
  await writeText(joinPath(folder, `${base}.safetensors.index${suffix}.json`), `${JSON.stringify(index, null, 2)}\n`);
}

/** A tensor that is too large for any file gets one of its own, and the file before it is filled further. */
function split(tensors: ReadonlyMap<string, TensorToWrite>, maxBytes: number): Map<string, TensorToWrite>[] {
  const shards: Map<string, TensorToWrite>[] = [];
  let current = new Map<string, TensorToWrite>();
  let filled = 0;
  for (const [name, tensor] of tensors) {
    const bytes = bytesOf(tensor);
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

function bytesOf({ dtype, shape }: TensorToWrite): number {
  return shape.reduce((size, count) => size * count, dtypeBytes(dtype));
}
