import { HubError } from "./errors.js";
import type { HubFile } from "./listing.js";

/** Which files of a model to download. */
export interface FileSelection {
  /**
   * Patterns such as `unet/*` or `*.json`, as in Python's `allow_patterns`; `*` matches anything. Default: the files
   * that this library reads.
   */
  files?: readonly string[];
  /** Patterns of files to leave out. */
  except?: readonly string[];
  /** Variant of the weights, as in `model.fp16.safetensors`; a folder without it gives its plain weights. */
  variant?: string;
  /** Only this folder of the model, such as "unet". */
  subfolder?: string;
  /** Only these folders of a pipeline. Default: all. */
  parts?: readonly string[];
}

/** Configs, vocabularies and indexes, which are small and safe to read. */
const TEXT = /\.(json|txt)$/;
/** Opening such a file can run any code in it. */
const UNSAFE = /\.(bin|ckpt|pt|pth|pkl|pickle|py)$/i;
/** Names of weights in diffusers and transformers; the variant comes before or after the number of the shard. */
const WEIGHTS = /^(diffusion_pytorch_model|model)(?:\.([^.]+?))?(?:-\d+-of-\d+)?(?:\.([^.]+?))?\.safetensors$/;
const INDEX = /^(diffusion_pytorch_model|model)(?:\.([^.]+?))?\.safetensors\.index(?:\.([^.]+?))?\.json$/;

/**
 * The files to download: those that match the patterns, or those of a pipeline (`model_index.json`) or a network
 * (`config.json`) in the layout of diffusers, with one set of safetensors weights per folder. Never a pickle.
 *
 * @throws HubError if there is no file to read; it lists the existing files
 */
export function selectFiles(all: readonly HubFile[], selection: FileSelection, at: string): HubFile[] {
  const { subfolder, files, except = [] } = selection;
  const inside = all.filter(({ path }) => !subfolder || path.startsWith(`${subfolder.replace(/\/+$/, "")}/`));
  if (inside.length === 0) throw nothing(at, subfolder ? `has no folder ${subfolder}` : "is empty", all);
  const wanted = files ? byPatterns(inside, files, at) : byLayout(inside, selection, at);
  return wanted.filter(({ path }) => !except.some((pattern) => matches(path, pattern)));
}

function byPatterns(all: readonly HubFile[], patterns: readonly string[], at: string): HubFile[] {
  const unsafe = patterns.find((pattern) => UNSAFE.test(pattern));
  if (unsafe !== undefined) {
    throw new HubError(
      "request",
      `${at}: ${unsafe} can run any code when it is opened, and is not downloaded. Request .safetensors files.`,
    );
  }
  const wanted = all.filter(({ path }) => !UNSAFE.test(path) && patterns.some((pattern) => matches(path, pattern)));
  if (wanted.length === 0)
    throw nothing(at, `has no file that matches ${patterns.join(" or ")} and is safe to open`, all);
  return wanted;
}

function byLayout(
  all: readonly HubFile[],
  { variant, subfolder, parts, except = [] }: FileSelection,
  at: string,
): HubFile[] {
  const folders = new Map<string, HubFile[]>();
  for (const file of all) {
    const folder = file.path.slice(0, file.path.lastIndexOf("/") + 1);
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const root = subfolder ? `${subfolder.replace(/\/+$/, "")}/` : "";
  const has = (name: string) => all.some(({ path }) => path === root + name);
  const isPipeline = has("model_index.json");
  if (
    !isPipeline &&
    !has("config.json") &&
    !all.some(({ path }) => path.startsWith(root) && TEXT.test(path) && /vocab|tokenizer|scheduler/.test(path))
  ) {
    throw nothing(at, "is not a model in the layout of diffusers: it has no model_index.json and no config.json", all);
  }
  const wanted: HubFile[] = [];
  for (const [folder, files] of folders) {
    const depth = folder.slice(root.length).split("/").length - 1;
    if (depth > (isPipeline ? 1 : 0)) continue;
    if (depth === 1 && parts && !parts.includes(folder.slice(root.length, -1))) continue;
    wanted.push(...files.filter(({ path }) => TEXT.test(path) && !INDEX.test(baseName(path))));
    const isSkipped = except.some((pattern) => matches(`${folder}model.safetensors`, pattern));
    if ((!isPipeline || depth === 1) && !isSkipped) wanted.push(...weightsOf(folder, files, variant, at));
  }
  return wanted;
}

/** The weights of one folder with their index; none if the folder has no weights. */
function weightsOf(folder: string, files: readonly HubFile[], variant: string | undefined, at: string): HubFile[] {
  const sets = new Map<string, HubFile[]>();
  for (const file of files) {
    const name = baseName(file.path);
    const found = WEIGHTS.exec(name) ?? INDEX.exec(name);
    if (!found) continue;
    const key = found[2] ?? found[3] ?? "";
    sets.set(key, [...(sets.get(key) ?? []), file]);
  }
  const chosen = (variant && sets.get(variant)) || sets.get("");
  if (chosen) {
    // If a folder has a single file and also shards, the single file is read.
    const whole = chosen.filter(({ path }) =>
      /(^|\/)(diffusion_pytorch_model|model)(\.[^.-]+)?\.safetensors$/.test(path),
    );
    return whole.length > 0 ? whole : chosen;
  }
  const where = folder === "" ? "" : ` (${folder})`;
  if (sets.size > 0) {
    const others = [...sets.keys()];
    throw new HubError(
      "request",
      `${at}${where} has no weights${variant ? ` of the variant "${variant}"` : ""}, but those of ${others.join(", ")}: give { variant: "${others[0]}" }.`,
    );
  }
  const pickle = files.find(({ path }) => UNSAFE.test(path) && /(model|weights)/i.test(path));
  if (pickle) {
    throw new HubError(
      "request",
      `${at}${where} has its weights only as ${baseName(pickle.path)}, which can run any code when it is opened and is not downloaded. ` +
        "Look for a copy of the model, or a revision, with .safetensors files.",
    );
  }
  return [];
}

/** Whether a path matches a pattern; `*` matches any text, "/" included, and `?` one character. */
function matches(path: string, pattern: string): boolean {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${escaped}${pattern.endsWith("/") ? ".*" : ""}$`, "s").test(path);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function nothing(at: string, what: string, all: readonly HubFile[]): HubError {
  const single = all.filter(({ path }) => path.endsWith(".safetensors") && !path.includes("/")).map(({ path }) => path);
  const advice =
    single.length > 0
      ? `It has ${single.slice(0, 5).join(", ")}: give { files: ["${single[0]}"] } and open that file.`
      : `It holds ${
          all.length === 0
            ? "no files"
            : all
                .slice(0, 8)
                .map(({ path }) => path)
                .join(", ")
        }.`;
  return new HubError("request", `${at} ${what}. ${advice}`);
}
