/** Bundles the published packages as a web page would, and fails where something of Node would have to come along. */
import { build } from "esbuild";
import { root } from "./run.mjs";

const { outputFiles, metafile } = await build({
  stdin: {
    contents: `
      import * as schedulers from "@tfjs-diffusion/schedulers";
      import * as core from "@tfjs-diffusion/core";
      globalThis.diffusion = { schedulers, core };`,
    resolveDir: `${root}/packages/examples`,
  },
  bundle: true,
  minify: true,
  platform: "browser", // An import of a Node built-in is an error here.
  format: "esm",
  target: "es2022",
  metafile: true,
  write: false,
  logLevel: "warning",
});
const size = outputFiles[0].contents.length;
const left = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
if (left.length > 0) throw new Error(`The bundle still imports ${left.join(", ")}.`);
console.log(
  `The browser bundle of schedulers and core stands alone: ${(size / 1e6).toFixed(1)} MB with TensorFlow.js.`,
);
