import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** A Python with the modules that a test needs; the variable PYTHON names another than the one on the path. */
export const PYTHON = process.env["PYTHON"] ?? "python3";

/** Whether that Python has all of these modules. Python is not part of this project: see packages/core/README.md. */
export function hasModules(...names: string[]): boolean {
  const found = `import importlib.util as u, sys; sys.exit(not all(u.find_spec(name) for name in ${JSON.stringify(names)}))`;
  return spawnSync(PYTHON, ["-c", found]).status === 0;
}

/** Runs a program of this folder. Returns the last line that it prints. */
export function runPython(script: string, ...args: string[]): string {
  const path = join(import.meta.dirname, script);
  const { stdout, stderr, status } = spawnSync(PYTHON, [path, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim().split("\n").at(-1)!;
}
