import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { libraryAndClass } from "../../models/library-and-class.js";
import { Model } from "../../models/model.js";
import { joinPath } from "../../platform/files.js";
import { replaceFolder } from "../../platform/replace-folder.js";
import { removeFolder, writeText } from "../../platform/write-files.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { requireSaveOptions } from "../../weights/save-model-folder.js";
import { PipelinePartsError } from "../options/errors.js";
import { MODEL_INDEX, SCHEDULER_FILE } from "./model-index.js";

/** The parts of a pipeline by the names of their subfolders; undefined: absent. */
export type PipelineParts = Record<string, object | undefined>;

/** Further entries of the index, and how to write the weights. */
export interface WritePipelineOptions {
  /** Entries of the index that are not parts. */
  others?: Record<string, unknown>;
  save?: SaveOptions;
}

/** See `writePipelineFolder`. */
export async function savePipelineFolder(
  folder: string,
  className: string,
  parts: PipelineParts,
  { others, save }: WritePipelineOptions,
): Promise<void> {
  requireSaveOptions(save ?? {});
  const index: Record<string, unknown> = { ...others };
  const present = Object.entries(parts).filter((entry): entry is [string, object] => entry[1] !== undefined);
  const writes = present.map(([name, part]) => ({ name, ...writeOf(name, part, save) }));
  for (const { name, entry } of writes) index[name] = entry;
  const sorted = Object.fromEntries(Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1)));
  await replaceFolder(folder, async (to) => {
    for (const { name, write } of writes) await write(joinPath(to, name));
    await writeText(joinPath(to, MODEL_INDEX), toJson({ _class_name: className, ...sorted }));
  });
}

/** How a part is written to its subfolder, and its entry in the index. */
function writeOf(name: string, part: object, save: SaveOptions | undefined): PartWrite {
  if (isPreprocessor(part)) return { entry: ["transformers", part.className], write: (to) => part.save(to) };
  if (isScheduler(part)) {
    const { config } = part;
    const write = (to: string) => writeText(joinPath(to, SCHEDULER_FILE), toJson(config));
    return { entry: ["diffusers", config._class_name], write };
  }
  const { library, className } = isSaveable(part) ? libraryAndClass(part.config) : {};
  if (isSaveable(part) && library && className) {
    const write = async (to: string) => {
      // A method of your own may write into files that are still those of the old folder.
      if (part.save !== Model.prototype.save) await removeFolder(to);
      await part.save(to, save);
    };
    return { entry: [library, className], write };
  }
  throw new PipelinePartsError(
    `${name}: a ${part.constructor?.name ?? "plain object"} cannot be saved; let its class extend Model, with a ` +
      "config whose _class_name names it, or replace it with a network that can be saved.",
  );
}

interface PartWrite {
  entry: [library: string, className: string];
  write: (to: string) => Promise<void>;
}

function isScheduler(part: object): part is Scheduler {
  return "plan" in part;
}

/** A tokenizer or an image processor. */
function isPreprocessor(part: object): part is { className: string; save: (folder: string) => Promise<void> } {
  return "className" in part && "save" in part;
}

function isSaveable(part: object): part is Pick<Model, "config" | "save"> {
  return "config" in part && "save" in part && typeof part.save === "function";
}

function toJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
