/**
 * Writes the entries of the npm packages of the trained models (`packages/examples/weights/NAME`), which list the
 * model's files: `node scripts/model-packages.mjs`. A list in the code, because bundlers find only files that are
 * written out as `new URL("./file", import.meta.url)`. It runs before a package is packed.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./run.mjs";

const weights = join(root, "packages", "examples", "weights");

/** The names of the trained models that are packages. */
export const modelPackages = readdirSync(weights).filter((name) => existsSync(join(weights, name, "package.json")));

/** What a model is made of, by its paths in the folder. */
function filesOf(folder) {
  const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const inside = folders.flatMap(({ name }) => readdirSync(join(folder, name)).map((file) => `${name}/${file}`));
  return ["model_index.json", ...inside.sort()];
}

/** The files of a package that are written here: [{ file, text }]. */
export function entriesOf(name) {
  const { description } = JSON.parse(readFileSync(join(weights, name, "package.json"), "utf8"));
  const header = "// Written by scripts/model-packages.mjs.\n";
  const files = (here) =>
    filesOf(join(weights, name))
      .map((file) => `  ${JSON.stringify(file)}: new URL(${JSON.stringify(`./${file}`)}, ${here}).href,\n`)
      .join("");
  const doc =
    `/**\n * ${description}\n * The address of each file by its path in the model's folder, for openPipeline.\n */\n` +
    `export declare const ${name}: Readonly<Record<string, string>>;\n`;
  return [
    { file: "index.js", text: `${header}export const ${name} = {\n${files("import.meta.url")}};\n` },
    {
      file: "index.cjs",
      text:
        `${header}const { pathToFileURL } = require("node:url");\n\nconst here = pathToFileURL(__filename);\n\n` +
        `exports.${name} = {\n${files("here")}};\n`,
    },
    { file: "index.d.ts", text: header + doc },
    { file: "index.d.cts", text: header + doc },
  ].map(({ file, text }) => ({ file: join(weights, name, file), text }));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const { file, text } of modelPackages.flatMap(entriesOf)) writeFileSync(file, text);
}
