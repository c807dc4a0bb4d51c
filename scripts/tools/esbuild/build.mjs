import { build } from "esbuild";

await build({
  entryPoints: ["page.js", "worker.js"],
  bundle: true,
  splitting: true,
  format: "esm",
  outdir: "dist",
  logLevel: "warning",
});
