import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { describe, expect, it } from "@jest/globals";
import ts from "typescript";
import { root } from "./run.mjs";

/** What a package, or a folder of core, must not know of. */
const FORBIDDEN_PACKAGES = {
  schedulers: ["@tfjs-diffusion/core", "@tfjs-diffusion/examples"],
  core: ["@tfjs-diffusion/examples"],
  examples: [],
};
const FORBIDDEN_FOLDERS = {
  nn: ["models", "pipelines"],
  models: ["pipelines"],
  weights: ["models", "pipelines"],
};

/** Every import of every source of a package: [file, what it imports], both relative to the package's folder. */
function importsOf(name) {
  const folder = join(root, "packages", name);
  const isSource = (file) => file.endsWith(".ts") && !/(^|[\\/])(node_modules|dist)[\\/]/.test(file);
  const files = readdirSync(folder, { recursive: true }).filter(isSource);
  return files.flatMap((file) => {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(folder, file), "utf8"));
    return importedFiles.map(({ fileName }) => [
      file.split(sep).join("/"),
      fileName.startsWith(".")
        ? relative(folder, resolve(folder, dirname(file), fileName))
            .split(sep)
            .join("/")
        : fileName,
    ]);
  });
}

/** A test may use what the tests of a package before its own are helped by. */
const isTestHelper = ([file, target], forbidden) => {
  const [, name] = /^\.\.\/(\w+)\/src\/(?:.*\/)?testing\//.exec(target) ?? [];
  return isTest(file) && name !== undefined && !forbidden.includes(`@tfjs-diffusion/${name}`);
};

const isTest = (file) => file.endsWith(".test.ts") || file.includes("/testing/");

describe("Imports", () => {
  it.each(Object.entries(FORBIDDEN_PACKAGES))("of %s go along schedulers <- core <- examples", (name, forbidden) => {
    const imports = importsOf(name);
    expect(imports.length).toBeGreaterThan(0);
    const isForbidden = ([file, target]) =>
      forbidden.includes(target) || (target.startsWith("../") && !isTestHelper([file, target], forbidden));
    expect(imports.filter(isForbidden)).toEqual([]);
  });

  it.each(Object.entries(FORBIDDEN_FOLDERS))(
    "of core/src/%s go along nn <- models <- pipelines",
    (folder, forbidden) => {
      const imports = importsOf("core").filter(([file]) => file.startsWith(`src/${folder}/`) && !isTest(file));
      expect(imports.length).toBeGreaterThan(0);
      const isForbidden = (target) => forbidden.some((other) => target.startsWith(`src/${other}/`));
      expect(imports.filter(([, target]) => isForbidden(target))).toEqual([]);
    },
  );
});
