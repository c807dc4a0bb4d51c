/**
 * Writes the CommonJS form of a package beside its ES modules: `node scripts/commonjs.mjs packages/core`, dist/cjs. For
 * Jest, whose default mode loads no ES modules, and for Node before 20.19, whose `require` loads none. It runs before
 * the package is packed.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

const dist = join(root, process.argv[2], "dist");
const target = join(dist, "cjs");

/** `import.meta.url` in CommonJS. */
const FILE_ADDRESS = 'const fileAddress = require("node:url").pathToFileURL(__filename).href;\n';

/** Dependencies without a CommonJS form; small, so that each file that imports one holds a copy. */
const EMBEDDED = ["tinyqueue"];

rmSync(target, { recursive: true, force: true });
const files = readdirSync(dist, { recursive: true });
await build({
  entryPoints: files.filter((file) => file.endsWith(".js")).map((file) => join(dist, file)),
  outbase: dist,
  outdir: target,
  format: "cjs",
  bundle: true, // Only the packages of EMBEDDED; every other import stays.
  platform: "node",
  target: "node20",
  // Jest has no import() in this mode: it becomes a require that is called later.
  supported: { "dynamic-import": false },
  define: { "import.meta.url": "fileAddress" },
  plugins: [{ name: "commonjs", setup }],
  logLevel: "warning",
});
writeFileSync(join(target, "package.json"), '{ "type": "commonjs" }\n');
for (const file of files.filter((file) => file.endsWith(".d.ts"))) cpSync(join(dist, file), join(target, file));

function setup(build) {
  build.onLoad({ filter: /\.js$/ }, ({ path }) => (path.startsWith(dist) ? withAddress(path) : undefined));
  build.onResolve({ filter: /^/ }, ({ kind, path }) =>
    kind === "entry-point" || EMBEDDED.includes(path) ? undefined : { path, external: true },
  );
}

function withAddress(path) {
  const text = readFileSync(path, "utf8").replace(/^\/\/# sourceMappingURL=.*$/m, "");
  return { contents: text.includes("import.meta.url") ? FILE_ADDRESS + text : text };
}
