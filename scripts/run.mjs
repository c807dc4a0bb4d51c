import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs this Node with `args` and the terminal's own input and output; resolves to its exit code
 * (128 + n where signal n ended it, as shells say it).
 */
export function node(args, options = {}) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit", ...options });
  // A terminal sends Ctrl-C to the child as well: wait for what it does with it.
  const wait = () => {};
  const forward = (signal) => child.kill(signal);
  process.on("SIGINT", wait).on("SIGTERM", forward);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      process.off("SIGINT", wait).off("SIGTERM", forward);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}

/**
 * The script behind npx or npm, to be run by this Node: npm's own where npm started us, else the one that came with
 * Node. (Started by name, npx is a .cmd file on Windows, which needs a shell, which needs quoting.)
 */
export function npmScript(name) {
  const beside = dirname(process.execPath);
  const folders = [
    ...(process.env.npm_execpath ? [dirname(process.env.npm_execpath)] : []),
    join(beside, "node_modules", "npm", "bin"),
    join(beside, "..", "lib", "node_modules", "npm", "bin"),
  ];
  return folders.map((folder) => join(folder, `${name}-cli.js`)).find((file) => existsSync(file));
}
