import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../../../..");

/** Makes one plain JavaScript file of a TypeScript program, so that a process of it starts in a quarter of a second. */
export function bundleScript(source: string, outfile: string): void {
  const options = {
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
    mainFields: ["module", "main"],
    alias: { "@tfjs-diffusion/schedulers": resolve(ROOT, "packages/schedulers/src/index.ts") },
    banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
  };
  // In a process of its own: esbuild and Jest's globals do not go together.
  const build = `import { build } from "esbuild"; await build(${JSON.stringify(options)});`;
  execFileSync(process.execPath, ["--input-type=module", "--eval", build], { cwd: ROOT, stdio: "inherit" });
}
