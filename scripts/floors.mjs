import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, sep } from "node:path";
import ts from "typescript";
import { root } from "./run.mjs";

/**
 * The floors of each package, from the ground up. A file may import from its own folder and from lower floors, but not
 * from another folder of the same floor. Subfolders count as folders of their own, and so do single files that are
 * listed here because they are higher or lower than their folder. The files that `exports` in package.json names are
 * in "entries".
 */
export const FLOORS = {
  schedulers: [
    ["src/combine.ts"],
    ["src/noise", "src/numerics"],
    ["src"],
    ["src/methods"],
    ["src/from-config.ts", "src/analysis"],
    ["entries"],
  ],
  core: [
    ["src/platform", "assembly/lib"],
    ["src/nn"],
    ["src/hub", "src/weights", "src/adapters/formats", "assembly"],
    ["src/text", "src/image", "src/models"],
    ["src/models/unet", "src/models/clip", "src/image/png"],
    ["src/models/autoencoder", "src/image/decode-image.ts"],
    ["src/models/published-configs.ts", "src/models/stored-names.ts"],
    ["src/models/network-file.ts"],
    ["src/models/build-model.ts"],
    ["src/models/model-classes.ts", "src/models/open-autoencoder.ts"],
    ["src/models/load-model.ts"],
    ["src/adapters"],
    ["src/layouts", "src/training", "src/metrics"],
    ["src/backend"],
    ["src/backend/native", "src/backend/wasm"],
    ["src/backend/native/kernels", "src/backend/native/recording"],
    ["src/backend/wasm/kernels", "src/backend/wasm/recording", "src/backend/wasm/threads"],
    ["src/backend/wasm/simd.ts", "src/backend/fused-kernels.ts"],
    ["src/backend/native/register.ts", "src/backend/wasm/register.ts"],
    ["src/backend/native/candidate.ts", "src/backend/wasm/candidate.ts"],
    ["src/backend/use-backend.ts"],
    ["src/pipelines/pipeline-step.ts"],
    ["src/pipelines/options"],
    ["src/pipelines/pipeline.ts", "src/pipelines/files", "src/pipelines/drawing", "src/pipelines/parts"],
    ["src/pipelines/stable-diffusion"],
    ["src/pipelines/diff-edit", "src/pipelines/pixels", "src/pipelines/unclip"],
    ["src/pipelines"],
    ["src/worker"],
    ["entries"],
  ],
  examples: [
    ["src", "datasets/faces", "minimal.ts"],
    ["datasets/portraits", "src/chapter", "src/cli/terminal"],
    ["datasets/portraits-2"],
    ["datasets", "src/cli/options", "lab/draw", "lab/schedules"],
    ["src/cli/files"],
    ["bench"],
    ["bench/browser", "bench/onnx"],
    ["bench/prepare.ts", "bench/runner.ts"],
    ["bench/main.ts"],
    ["src/cli/server/jobs"],
    ["src/cli/server"],
    ["src/cli/server/openai"],
    ["src/cli/server/webui"],
    ["src/cli/server/app.ts"],
    ["src/cli/commands"],
    ["src/cli"],
    ["train"],
    ["train/faces", "train/portraits", "classifier", "methods"],
    ["methods/plane", "methods/faces"],
    ["train/portraits-2", "chapters", "chapters/solutions"],
    ["train/faces.ts", "train/portraits.ts", "train/portraits-2.ts", "train/tune-portraits.ts", "methods/main.ts"],
    ["evaluate"],
  ],
};

/** Folders from which only one file may be imported. */
export const ENTRY_FILES = { "core/src/hub": "core/src/hub/model-source.ts" };

/** Every folder with its package and the height of its floor, counted through all packages: `core/src/nn` -> 7. */
export const HEIGHTS = new Map(
  Object.entries(FLOORS)
    .flatMap(([name, floors]) => floors.map((folders) => folders.map((folder) => `${name}/${folder}`)))
    .flatMap((folders, height) => folders.map((folder) => [folder, height])),
);

/** What importers of a package may name: `@tfjs-diffusion/core/nn` -> `core/src/nn/index.ts`. */
const ENTRIES = new Map(
  Object.keys(FLOORS).flatMap((name) => {
    const { exports = {} } = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
    const built = Object.entries(exports).filter(([, { default: file }]) => file !== undefined);
    return built.map(([entry, { default: file }]) => [
      posix.join("@tfjs-diffusion", name, entry),
      source(posix.join(name, file.replace("./dist/", "src/"))),
    ]);
  }),
);
const entryFiles = new Set(ENTRIES.values());

/** Whether a file (`core/src/nn/index.ts`) is one of its package's entries. */
export const isEntry = (file) => entryFiles.has(file);

/** The folder that a file (`core/src/nn/linear.ts`) is in: its package's entries, itself, or its folder. */
export function folderOf(file) {
  if (isEntry(file)) return `${packageOf(file)}/entries`;
  return HEIGHTS.has(file) ? file : dirname(file);
}

/** `core` of `core/src/nn/linear.ts`. */
export const packageOf = (file) => file.split("/")[0];

/** Tests, and what only they use; `outside` holds those that are written as other people's programs are. */
export const isTest = (file) => file.endsWith(".test.ts") || /\/(testing|outside)\//.test(file);

/** The source files of all packages, as `core/src/nn/linear.ts`. */
export function sourceFiles() {
  return Object.keys(FLOORS).flatMap((name) =>
    readdirSync(join(root, "packages", name), { recursive: true })
      .map((file) => `${name}/${file.split(sep).join("/")}`)
      .filter((file) => /(?<!\.d)\.ts$/.test(file) && !/\/(node_modules|dist)\//.test(file)),
  );
}

/** What each source file imports from the packages, types included: [importing file, imported file]. */
export function importsOf(files) {
  return files.flatMap((file) =>
    ts
      .preProcessFile(readFileSync(join(root, "packages", file), "utf8"))
      .importedFiles.map(({ fileName }) => resolved(file, fileName))
      .filter((target) => target !== undefined)
      .map((target) => [file, target]),
  );
}

/** The source that an import means; undefined for other people's packages. */
function resolved(file, specifier) {
  return specifier.startsWith(".") ? source(posix.join(dirname(file), specifier)) : ENTRIES.get(specifier);
}

function source(path) {
  return path.replace(/(\.js)?$/, ".ts");
}
