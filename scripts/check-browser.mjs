/**
 * Bundles the published packages as a web page would. Fails where something of Node would have to come along, and where
 * a small part no longer comes alone: TensorFlow.js is the page's own, so it does not count.
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "./run.mjs";

/**
 * What a page takes, and the most kilobytes that it may load at first, gzipped: 5 % over what was measured on
 * 2026-11-30. Files that are imported on demand (single files, LoRAs, downloads, saving) are not counted.
 */
const PARTS = [
  { code: 'export { Linear } from "@tfjs-diffusion/core/nn";', most: 1.4 },
  { code: 'export { DDIMScheduler } from "@tfjs-diffusion/schedulers";', most: 6.5 },
  { code: 'export { StableDiffusionPipeline } from "@tfjs-diffusion/core";', most: 96 },
];

/** Where the files would be written; they are kept in memory. */
const OUT = `${root}/node_modules/.bundle`;

const { exports } = JSON.parse(readFileSync(`${root}/packages/core/package.json`, "utf8"));
const entries = Object.keys(exports).filter((path) => !path.endsWith(".json"));
const everything = entries
  .map((path, i) => `export * as e${i} from "@tfjs-diffusion/core${path.slice(1)}";`)
  .join("\n");

async function bundle(contents, external = []) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: `${root}/packages/examples` },
    bundle: true,
    splitting: true,
    minify: true,
    platform: "browser", // An import of a Node built-in is an error here.
    format: "esm",
    target: "es2022",
    outdir: OUT,
    external,
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  const { outputs } = metafile;
  const left = Object.values(outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  const unexpected = left.filter(
    (path) => !(path in outputs) && !external.some((name) => path.startsWith(name.replace("*", ""))),
  );
  if (unexpected.length > 0) throw new Error(`The bundle still imports ${unexpected.join(", ")}.`);
  const bytes = new Map(outputFiles.map(({ path, contents }) => [relative(process.cwd(), path), contents]));
  return { first: firstFiles(outputs).map((file) => bytes.get(file)), all: [...bytes.values()] };
}

/** The files that a page loads before it runs: that of the entry, and what it imports, without what is on demand. */
function firstFiles(outputs) {
  const found = new Set();
  const visit = (file) => {
    if (found.has(file) || !(file in outputs)) return;
    found.add(file);
    for (const { path, kind } of outputs[file].imports) if (kind === "import-statement") visit(path);
  };
  visit(Object.keys(outputs).find((file) => outputs[file].entryPoint !== undefined && isStdin(outputs[file])));
  return [...found];
}

const isStdin = ({ entryPoint }) => entryPoint.endsWith("<stdin>");
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const gzipped = (files) => sum(files.map((file) => gzipSync(file).length)) / 1000;

const { all } = await bundle(`${everything}\nexport * as schedulers from "@tfjs-diffusion/schedulers";`);
const megabytes = sum(all.map(({ length }) => length)) / 1e6;
console.log(`The browser bundle of schedulers and core stands alone: ${megabytes.toFixed(1)} MB with TensorFlow.js.`);
for (const { code, most } of PARTS) {
  const files = await bundle(code, ["@tensorflow/*"]);
  const [first, whole] = [gzipped(files.first), gzipped(files.all)];
  const later = files.all.length > files.first.length ? `, and up to ${(whole - first).toFixed(1)} kB on demand` : "";
  console.log(`${code.split(" ")[2]}: ${first.toFixed(1)} kB gzipped${later}.`);
  if (first > most) throw new Error(`${code} takes ${first.toFixed(1)} kB; at most ${most} is expected.`);
}
