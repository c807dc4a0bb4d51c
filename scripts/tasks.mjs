/**
 * What `npm start`, `npm test` and the others do: install what the task needs, build, run.
 *
 * `npm start` must be quick and must work with the few packages that running needs, so it builds without type
 * checking; every other task installs the tools too and builds with it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { install, InstallError } from "./install.mjs";
import { node, root } from "./run.mjs";

const examples = join(root, "packages", "examples", "dist");

/**
 * Each task runs a compiled program of packages/examples, or a function that returns an exit code; both get the
 * arguments that followed `--` on npm's command line.
 */
export const tasks = {
  start: { needs: "run", program: "src/cli/main.js" },
  test: {
    needs: "all",
    run: (args) => node(["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", ...args]),
  },
  fuzz: { needs: "all", run: (args) => node(["scripts/fuzz.mjs", ...args]) },
  lint: { needs: "all", run: (args) => node(["scripts/lint.mjs", ...args]) },
  chapter: { needs: "all", program: "src/chapter/main.js" },
  mutate: { needs: "all", program: "src/chapter/mutate.js" },
  add: { needs: "run", run: async (args) => (await import("./add.mjs")).add(args) },
  pack: { needs: "all", run: async () => (await import("./packages.mjs")).pack() },
  release: { needs: "all", run: async (args) => (await import("./packages.mjs")).release(args) },
  docs: { needs: "all", run: (args) => node(["scripts/docs.mjs", ...args]) },
  "docs:screenshots": { needs: "all", run: (args) => node(["scripts/screenshots.mjs", ...args]) },
  bench: { needs: "all", program: "bench/main.js" },
  "bench:browser": { needs: "all", run: (args) => node(["scripts/bench-browser.mjs", ...args]) },
  samplers: { needs: "all", program: "bench/samplers.js" },
  "train:faces": { needs: "all", program: "train/faces.js" },
  "train:portraits": { needs: "all", program: "train/portraits.js" },
  "train:portraits-2": { needs: "all", program: "train/portraits-2.js" },
  "train:methods": { needs: "all", program: "methods/main.js" },
  "tune:portraits": { needs: "all", program: "train/tune-portraits.js" },
  "eval:faces": { needs: "all", program: "evaluate/faces.js" },
  "eval:portraits": { needs: "all", program: "evaluate/portraits.js" },
  "eval:vae": { needs: "all", program: "evaluate/vae.js" },
  "eval:clip": { needs: "all", program: "evaluate/clip.js" },
  "eval:frechet": { needs: "all", program: "evaluate/frechet.js" },
  "eval:negative": { needs: "all", program: "evaluate/negative.js" },
  "eval:own-parts": { needs: "all", program: "evaluate/own-parts.js" },
  "eval:style": { needs: "all", program: "evaluate/style.js" },
  "eval:charts": { needs: "all", program: "evaluate/charts.js" },
  "eval:few-steps": { needs: "all", program: "evaluate/few-steps.js" },
  "eval:edits": { needs: "all", program: "evaluate/edits.js" },
};

export async function main([name, ...args]) {
  const task = tasks[name];
  if (!task) {
    console.error(`There is no task "${name}": the tasks are ${Object.keys(tasks).join(", ")}.`);
    process.exit(1);
  }
  process.chdir(root);
  try {
    await install(task.needs);
  } catch (error) {
    if (!(error instanceof InstallError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
  const run = task.run ?? ((words) => program(task.program, words));
  process.exitCode = (await build(task.needs)) || (await run(argumentsOf(args)));
}

/** What follows `--`: npm takes the two dashes away, pnpm hands them on. */
export function argumentsOf(args) {
  const isPnpm = process.env.npm_config_user_agent?.startsWith("pnpm/");
  return isPnpm && args[0] === "--" ? args.slice(1) : args;
}

/** Compiles what is newer than its output; with nothing to do this takes a second. */
function build(level) {
  return node(["node_modules/typescript/bin/tsc", "-b", ...(level === "run" ? ["--noCheck"] : [])]);
}

/** Runs a compiled program in this very process, so that Ctrl-C and its exit code are its own. */
async function program(path, args) {
  const file = join(examples, path);
  if (!existsSync(file))
    throw new Error(`${file} was not built: is its source packages/examples/${path.replace(/js$/, "ts")} there?`);
  process.argv = [process.execPath, file, ...args];
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    const { commandEnd } = await import(pathToFileURL(join(examples, "src/cli/command-errors.js")).href);
    const end = commandEnd(error);
    if (!end) throw error;
    console.error(end.message);
    return end.code;
  }
  return process.exitCode ?? 0;
}
