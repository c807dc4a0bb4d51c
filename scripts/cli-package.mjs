/**
 * Makes the files of the npm package `@tfjs-diffusion/cli` from the command line of packages/examples, before it is
 * packed. They keep their places, so that the program finds the same paths; training, data sets and chapters stay out.
 * Fails if the package's dependencies are not exactly what the program imports.
 */
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

const examples = join(root, "packages", "examples");
const target = join(examples, "cli");
const packageIn = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

for (const folder of ["dist", "src", "weights"]) rmSync(join(target, folder), { recursive: true, force: true });
const { metafile } = await build({
  // The second is a program of its own: the server's threads run it.
  entryPoints: ["src/cli/main.ts", "src/cli/server/jobs/draw-thread.ts"].map((file) => join(examples, file)),
  outbase: examples,
  outdir: join(target, "dist"),
  bundle: true,
  splitting: true,
  packages: "external",
  platform: "node",
  target: "node20",
  format: "esm",
  metafile: true,
  logLevel: "warning",
  // In the repository, paths count from where npm was called.
  define: { "process.env.INIT_CWD": "undefined" },
  plugins: [{ name: "command name", setup: (build) => build.onLoad({ filter: /cli.*\.ts$/ }, nameTheCommand) }],
});
checkDependencies(metafile);
for (const path of [join("src", "cli", "server", "page.html"), join("weights", "portraits-loras")]) {
  cpSync(join(examples, path), join(target, path), { recursive: true });
}

/** The command is `npm start --` in the repository, and `diffusion` where the package is installed. */
function nameTheCommand({ path }) {
  const contents = readFileSync(path, "utf8")
    .replace(/^ *\(in this repository: npm start -- [a-z]+ …\)\n/gm, "")
    .replace(/ *\(in this repository: npm start -- [a-z]+ …\)/g, "")
    // The columns of a help text stay where they are.
    .replace(/npm start --( \S.*?)( {3,})/g, "diffusion$1   $2")
    .replace(/npm start --/g, "diffusion")
    .replace(/npm start/g, "diffusion");
  return { contents, loader: "ts" };
}

function checkDependencies({ outputs }) {
  const imports = Object.values(outputs).flatMap(({ imports }) => imports.filter(({ external }) => external));
  const names = imports.map(({ path }) => /^(@[^/]+\/)?[^/]+/.exec(path)[0]);
  const models = ["@tfjs-diffusion/faces", "@tfjs-diffusion/portraits"]; // Found at run time.
  const needed = new Set([...names.filter((name) => !name.startsWith("node:")), ...models]);
  const { dependencies } = packageIn(target);
  const { dependencies: pinned } = packageIn(examples);
  const wrong = [...new Set([...needed, ...Object.keys(dependencies)])].filter(
    (name) => !needed.has(name) || dependencies[name] !== pinned[name],
  );
  if (wrong.length === 0) return;
  throw new Error(
    `packages/examples/cli/package.json: its dependencies must be what the program imports, in the versions of ` +
      `packages/examples/package.json. Not so: ${wrong.join(", ")}.`,
  );
}
