/**
 * Bundles the published packages as a web page would. Fails where something of Node would have to come along, and where
 * a small part no longer comes alone: TensorFlow.js is the page's own, so it does not count.
 */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "./run.mjs";

/** What a page takes, and the most kilobytes it may weigh, gzipped: 10 % over what was measured on 2026-11-30. */
const PARTS = [
  { code: 'export { Linear } from "@tfjs-diffusion/core/nn";', most: 1.4 },
  { code: 'export { DDIMScheduler } from "@tfjs-diffusion/schedulers";', most: 6.7 },
  { code: 'export { StableDiffusionPipeline } from "@tfjs-diffusion/core";', most: 103.5 },
];

const { exports } = JSON.parse(readFileSync(`${root}/packages/core/package.json`, "utf8"));
const entries = Object.keys(exports).filter((path) => !path.endsWith(".json"));
const everything = entries
  .map((path, i) => `export * as e${i} from "@tfjs-diffusion/core${path.slice(1)}";`)
  .join("\n");

async function bundle(contents, external = []) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: `${root}/packages/examples` },
    bundle: true,
    minify: true,
    platform: "browser", // An import of a Node built-in is an error here.
    format: "esm",
    target: "es2022",
    external,
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  const left = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  const unexpected = left.filter((path) => !external.some((name) => path.startsWith(name.replace("*", ""))));
  if (unexpected.length > 0) throw new Error(`The bundle still imports ${unexpected.join(", ")}.`);
  return outputFiles[0].contents;
}

const { length } = await bundle(`${everything}\nexport * as schedulers from "@tfjs-diffusion/schedulers";`);
console.log(
  `The browser bundle of schedulers and core stands alone: ${(length / 1e6).toFixed(1)} MB with TensorFlow.js.`,
);
for (const { code, most } of PARTS) {
  const kilobytes = gzipSync(await bundle(code, ["@tensorflow/*"])).length / 1000;
  console.log(`${code.split(" ")[2]}: ${kilobytes.toFixed(1)} kB gzipped.`);
  if (kilobytes > most) throw new Error(`${code} takes ${kilobytes.toFixed(1)} kB; at most ${most} is expected.`);
}
