/** Makes the pages that compute in the browser: bundled, with the WebAssembly and the weights that they load. */
import { copyFileSync, cpSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

const BINARIES = ["", "-simd", "-threaded-simd"].map((kind) => `tfjs-backend-wasm${kind}.wasm`);
const examples = join(root, "packages", "examples");
const weights = join(examples, "weights");

/** The benchmark: packages/examples/bench/browser. */
export function buildBenchPage(folder) {
  return buildPage(join(examples, "bench", "browser"), { "page.ts": "bench.js" }, folder);
}

/** The page that draws: packages/examples/page, with the portraits. */
export async function buildDrawPage(folder) {
  rmSync(folder, { recursive: true, force: true });
  await buildPage(join(examples, "page"), { "draw.ts": "draw.js" }, folder);
  cpSync(join(weights, "portraits"), join(folder, "portraits"), { recursive: true });
  const lora = join(weights, "portraits-loras", "few-steps", "pytorch_lora_weights.safetensors");
  copyFileSync(lora, join(folder, "few-steps.safetensors"));
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
  const require = createRequire(join(root, "packages", "core", "package.json"));
  const binaries = join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist");
  for (const file of BINARIES) copyFileSync(join(binaries, file), join(folder, file));
}
