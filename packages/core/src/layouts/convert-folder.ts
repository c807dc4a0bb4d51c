import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { libraryAndClass } from "../models/library-and-class.js";
import { modelFromConfig } from "../models/load-model.js";
import { MODEL_CLASSES } from "../models/model-classes.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { fileExists, joinPath, listFolder, readText } from "../platform/files.js";
import { replaceFolder } from "../platform/replace-folder.js";
import { writeText } from "../platform/write-files.js";
import { type CopyOptions, tensorsToCopy } from "../weights/copy-tensors.js";
import { closeAll, openModelFolder, readConfig, type SaveOptions } from "../weights/model-folder.js";
import { writeModelFolder } from "../weights/save-model-folder.js";
import { readJsonObject } from "../weights/read-json.js";
import type { SafetensorsFile } from "../weights/safetensors.js";

/** Which weights to read, and how to write them. */
export interface ConvertFolderOptions
  extends CopyOptions, Pick<HubModelOptions, "onProgress">, Pick<SaveOptions, "maxShardBytes"> {
  /** Variant of the weights to read, such as "fp16". */
  variant?: string;
  /** Variant in the names of the written files. Default: none. */
  saveVariant?: string;
}

const OPTIONS = optionNames<ConvertFolderOptions>()({
  variant: true,
  saveVariant: true,
  dtype: true,
  maxShardBytes: true,
  signal: true,
  onProgress: true,
});

/**
 * Writes a copy of a diffusers pipeline folder in another precision or other shards, tensor by tensor. Everything is
 * checked before anything is written, and at every moment `to` holds what was there or the whole copy. Networks of an
 * unknown class, such as safety checkers, are left out.
 *
 * @param from a folder, or a model of the hub
 * @throws WeightsFormatError if the folder has no index; those of loadModel for networks that do not fit;
 *   RangeError for an unknown option
 */
export async function convertFolder(from: string, to: string, options: ConvertFolderOptions = {}): Promise<void> {
  requireKnownOptions("convertFolder", options, OPTIONS);
  const { variant, saveVariant, dtype, maxShardBytes, signal, onProgress } = options;
  const folder = await modelFolder(from, { variant, signal, onProgress });
  const index = await readJsonObject(joinPath(folder, "model_index.json"), {
    remedy: "Give the folder of a complete pipeline.",
  });
  const opened: SafetensorsFile[] = [];
  try {
    const writes: ((to: string) => Promise<void>)[] = [];
    for (const [part, entry] of Object.entries(index)) {
      if (!/^\w+$/.test(part)) delete index[part]; // The index must not lead out of the folder; a part is a plain name.
      if (!(part in index) || !Array.isArray(entry) || typeof entry[1] !== "string") continue;
      const inside = joinPath(folder, part);
      if (Object.hasOwn(MODEL_CLASSES, entry[1])) {
        const config = await readConfig(inside);
        const files = await openModelFolder(inside, variant);
        opened.push(...files);
        const tensors = tensorsToCopy(
          files,
          modelFromConfig(config, { from: joinPath(inside, "config.json") }).namedParameters(),
          {
            dtype,
            signal,
          },
        );
        const { library } = libraryAndClass(config);
        const how = { variant: saveVariant, maxShardBytes };
        writes.push((to) => writeModelFolder(joinPath(to, part), library, config, tensors, how));
      } else if (await fileExists(joinPath(inside, "config.json"))) index[part] = [null, null];
      else writes.push((to) => copyTexts(inside, joinPath(to, part)));
    }
    await replaceFolder(to, async (folder) => {
      for (const write of writes) await write(folder);
      await writeText(joinPath(folder, "model_index.json"), `${JSON.stringify(index, null, 2)}\n`);
    });
  } finally {
    await closeAll(opened);
  }
}

/** Vocabularies and settings of tokenizers and samplers. */
async function copyTexts(from: string, to: string): Promise<void> {
  for (const name of await listFolder(from))
    if (/\.(json|txt)$/.test(name)) await writeText(joinPath(to, name), await readText(joinPath(from, name)));
}
