import type { ModelClasses } from "../../models/build-model.js";
import { joinPath } from "../../platform/files.js";
import { flag, flawOf } from "../../weights/config-schema.js";
import { type JsonObject, readJsonObject } from "../../weights/read-json.js";
import { PipelineFolderError } from "../options/errors.js";

/** The settings in an index that are read. */
const SETTINGS = { force_zeros_for_empty_prompt: flag(true) };

/** What a pipeline requires of one part of its folder. */
export interface PartRequirement {
  /** For a network: the allowed classes. */
  networks?: ModelClasses;
  /** For another part: the class it must have, or several allowed ones. Undefined if any class is allowed. */
  className?: string | readonly string[];
  optional?: boolean;
}

/** What a pipeline requires of its folder, by the names of the parts. */
export type PartRequirements = Readonly<Record<string, PartRequirement>>;

/** How to recognise a pipeline's folder. */
export interface FolderKind {
  /** `_class_name` in the index. */
  readonly className: string;
  readonly parts: PartRequirements;
}

/** The content of a folder's index. */
export interface ModelIndex {
  present: ReadonlySet<string>;
  settings: Readonly<Record<string, unknown>>;
}

/** The name of the file that names the parts of a diffusers folder: `{ part: [library, class], … }`. */
export const MODEL_INDEX = "model_index.json";
/** The file of a scheduler's config, in its folder. */
export const SCHEDULER_FILE = "scheduler_config.json";

/**
 * Checks a folder's `model_index.json` against a pipeline's requirements, before anything large is read. Returns the
 * parts of `required` that are there, and the entries of the index that are not parts.
 *
 * @param ownClasses names of the caller's own classes, which any part may have
 * @throws PipelineFolderError if there is no index, or a part is missing, has another class, or is not used by this
 *   pipeline
 */
export async function readModelIndex(
  folder: string,
  required: PartRequirements,
  ownClasses: readonly string[] = [],
): Promise<ModelIndex> {
  const index = await readIndex(folder);
  const classes = partClasses(folder, index);
  for (const [part, requirement] of Object.entries(required)) {
    const found = classes.get(part);
    if (found === undefined && requirement.optional) continue;
    const allowed = allowedClasses(requirement);
    if (found === undefined || (allowed && ![...allowed, ...ownClasses].includes(found))) {
      const remedy =
        found === undefined ? "" : ` If ${found} is a class of your own, give it as classes: { ${found} }.`;
      throw new PipelineFolderError(
        `${folder}: ${part} is ${found === undefined ? "missing" : `a ${found}`} in ${MODEL_INDEX}; ` +
          `this pipeline needs ${allowed ? `a ${allowed.join(" or a ")}` : "one"}.${remedy}`,
      );
    }
  }
  const { unused } = differences(classes, required);
  if (unused.length > 0) {
    throw new PipelineFolderError(
      `${folder}: this pipeline does not use ${unused.map((part) => `${part} (${classes.get(part)})`).join(", ")}; ` +
        `it is made of ${Object.keys(required).join(", ")}. Open the folder with the pipeline that saved it, or with openPipeline.`,
    );
  }
  const settings = Object.fromEntries(Object.entries(index).filter(([, entry]) => !Array.isArray(entry)));
  const flaw = flawOf(SETTINGS, settings);
  if (flaw) {
    throw new PipelineFolderError(
      `${joinPath(folder, MODEL_INDEX)}: ${flaw.key} is ${flaw.value}; expected ${flaw.expected}. Copy the file from the ` +
        "model's page.",
    );
  }
  return { present: new Set(classes.keys()), settings };
}

/** The names of the classes that a part may have; undefined: any. */
export function allowedClasses({ networks, className }: PartRequirement): readonly string[] | undefined {
  if (networks) return Object.keys(networks);
  return className === undefined ? undefined : [className].flat();
}

/** How a folder differs from what a pipeline requires: both lists are empty if it is of that kind. */
export function differences(present: ReadonlyMap<string, string>, required: PartRequirements) {
  return {
    missing: Object.keys(required).filter((part) => !required[part]!.optional && !present.has(part)),
    unused: [...present.keys()].filter((part) => !(part in required)),
  };
}

/** The class of the pipeline that saved a folder, and the parts in its index with their classes. */
export async function readClasses(
  folder: string,
): Promise<{ pipeline: string | undefined; parts: ReadonlyMap<string, string> }> {
  const index = await readIndex(folder);
  const parts = partClasses(folder, index);
  const { _class_name: name } = index;
  return { pipeline: typeof name === "string" ? name : undefined, parts };
}

async function readIndex(folder: string): Promise<JsonObject> {
  return readJsonObject(joinPath(folder, MODEL_INDEX), {
    remedy: "Give the folder that holds it, with a subfolder for each part.",
    expected: '{ "unet": ["diffusers", "…"], … }',
    Failure: PipelineFolderError,
  });
}

/** Maps each part to its class. Parts written as [null, null] are absent; keys with other values are not parts. */
function partClasses(folder: string, index: JsonObject): Map<string, string> {
  const classes = Object.entries(index).flatMap(([part, entry]): [string, string][] => {
    if (!Array.isArray(entry) || typeof entry[1] === "number") return [];
    if (typeof entry[1] === "string") return [[part, entry[1]]];
    if (entry[1] === null || entry[1] === undefined) return [];
    throw new PipelineFolderError(
      `${folder}: ${MODEL_INDEX} gives ${part} the class ${JSON.stringify(entry[1])}; the name of one class is expected, ` +
        'as in ["diffusers", "UNet2DConditionModel"].',
    );
  });
  return new Map(classes);
}
