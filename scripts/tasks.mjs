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

/** Each task gets the arguments that followed `--` on npm's command line and returns an exit code. */
const tasks = {
  start: { needs: "run", run: (args) => program("src/cli/main.js", args) },
  test: {
    needs: "all",
    run: (args) => node(["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", ...args]),
  },
  lint: { needs: "all", run: (args) => node(["scripts/lint.mjs", ...args]) },
  chapter: { needs: "all", run: (args) => program("src/chapter/main.js", args) },
  docs: { needs: "all", run: (args) => node(["scripts/docs.mjs", ...args]) },
  bench: { needs: "all", run: (args) => program("bench/main.js", args) },
  "bench:browser": { needs: "all", run: (args) => node(["scripts/bench-browser.mjs", ...args]) },
  samplers: { needs: "all", run: (args) => program("bench/samplers.js", args) },
  "train:faces": { needs: "all", run: (args) => program("train/faces.js", args) },
  "train:portraits": { needs: "all", run: (args) => program("train/portraits.js", args) },
  "tune:portraits": { needs: "all", run: (args) => program("train/tune-portraits.js", args) },
  "eval:faces": { needs: "all", run: (args) => program("evaluate/faces.js", args) },
  "eval:vae": { needs: "all", run: (args) => program("evaluate/vae.js", args) },
  "eval:clip": { needs: "all", run: (args) => program("evaluate/clip.js", args) },
  "eval:frechet": { needs: "all", run: (args) => program("evaluate/frechet.js", args) },
  "eval:negative": { needs: "all", run: (args) => program("evaluate/negative.js", args) },
  "eval:style": { needs: "all", run: (args) => program("evaluate/style.js", args) },
  "eval:charts": { needs: "all", run: (args) => program("evaluate/charts.js", args) },
  "eval:few-steps": { needs: "all", run: (args) => program("evaluate/few-steps.js", args) },
  "eval:edits": { needs: "all", run: (args) => program("evaluate/edits.js", args) },
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
  process.exitCode = (await build(task.needs)) || (await task.run(argumentsOf(args)));
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
