import { resolve } from "node:path";

/** A path of the command line, taken from where npm was called: npm runs scripts in the folder of the package. */
export function fromCaller(path: string): string {
  return /^(https?|file|data):/i.test(path) ? path : resolve(process.env.INIT_CWD ?? ".", path);
}
