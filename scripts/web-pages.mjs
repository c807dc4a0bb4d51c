/** Makes the pages that compute in the browser: bundled, with the WebAssembly and the weights that they load. */
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

const BINARIES = ["", "-simd", "-threaded-simd"].map((kind) => `tfjs-backend-wasm${kind}.wasm`);
const examples = join(root, "packages", "examples");
const weights = join(examples, "weights");

/** The benchmark: packages/examples/bench/browser. */
export function buildBenchPage(folder) {
  return buildPage(join(examples, "bench", "browser"), { "page.ts": "bench.js" }, folder);
}

/** What the lab's pages load: the portraits model, its LoRA for few steps, and TensorFlow.js's WebAssembly. */
export function copyLabFiles(folder) {
  const models = join(folder, "models");
  rmSync(models, { recursive: true, force: true });
  // The folder is an npm package, too, whose own files are of no use to a page.
  const isOfModel = (file) => !/^(package\.json|README\.md|index\..*)$/.test(basename(file));
  cpSync(join(weights, "portraits"), join(models, "portraits"), { recursive: true, filter: isOfModel });
  // A tokenizer is asked for this file, and a browser prints an error for each file that is missing.
  for (const part of ["tokenizer", "tokenizer_2"])
    writeFileSync(join(models, "portraits", part, "added_tokens.json"), "{}\n");
  const lora = join(weights, "portraits-loras", "few-steps", "pytorch_lora_weights.safetensors");
  copyFileSync(lora, join(models, "few-steps.safetensors"));
  copyBinaries(join(folder, "wasm"));
}

async function buildPage(source, scripts, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [entry, bundle] of Object.entries(scripts)) {
    await build({
      entryPoints: [join(source, entry)],
      bundle: true,
      minify: true,
      platform: "browser",
      format: "esm",
      target: "es2022",
      // Found by core at run time, where somebody installed it; a page has it in the bundle.
      external: ["webgpu"],
      outfile: join(folder, bundle),
      logLevel: "warning",
    });
  }
  copyFileSync(join(source, "index.html"), join(folder, "index.html"));
  copyBinaries(folder);
}

function copyBinaries(folder) {
  mkdirSync(folder, { recursive: true });
  const require = createRequire(join(root, "packages", "core", "package.json"));
  const binaries = join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist");
  for (const file of BINARIES) copyFileSync(join(binaries, file), join(folder, file));
}
