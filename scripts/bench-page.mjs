/** Makes the benchmark's web page: packages/examples/bench/browser, bundled, with the WebAssembly that it loads. */
import { copyFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

const BINARIES = ["", "-simd", "-threaded-simd"].map((kind) => `tfjs-backend-wasm${kind}.wasm`);

export async function buildBenchPage(folder) {
  const source = join(root, "packages", "examples", "bench", "browser");
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [join(source, "page.ts")],
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    // Found by core at run time, where somebody installed it; a page has it in the bundle.
    external: ["webgpu"],
    outfile: join(folder, "bench.js"),
    logLevel: "warning",
  });
  copyFileSync(join(source, "index.html"), join(folder, "index.html"));
  const require = createRequire(join(root, "packages", "core", "package.json"));
  const binaries = join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist");
  for (const file of BINARIES) copyFileSync(join(binaries, file), join(folder, file));
}
