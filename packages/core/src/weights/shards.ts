import { joinPath } from "../platform/files.js";
import { WeightsFormatError } from "./errors.js";
import { readJsonObject } from "./read-json.js";

/** The paths of the files that an index names. They must be in the same folder. */
export async function readShardNames(folder: string, index: string): Promise<string[]> {
  const path = joinPath(folder, index);
  const { weight_map: map } = await readJsonObject(path, {
    remedy: "Download it again.",
    expected: "an index with a weight_map",
  });
  if (typeof map !== "object" || map === null) {
    throw new WeightsFormatError(`${path} has no weight_map, which maps tensors to files. Download it again.`);
  }
  const names = [...new Set<unknown>(Object.values(map))];
  const bad = names.find((name) => typeof name !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(name));
  if (names.length === 0 || bad !== undefined) {
    throw new WeightsFormatError(
      `${path}: its weight_map ${names.length === 0 ? "is empty" : `names ${JSON.stringify(bad)}`}; expected safetensors files of the same folder.`,
    );
  }
  return names.map((name) => joinPath(folder, name as string));
}
