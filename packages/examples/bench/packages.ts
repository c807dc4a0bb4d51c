import { createRequire } from "node:module";
import { packagePath } from "../src/package-folder.js";

/** The package.json from whose folder the comparison's packages are resolved, for `createRequire`. */
export const benchFolder = packagePath("bench", "package.json");

/** A package that only the benchmark installs; undefined if it is not installed. */
export async function optionalPackage<T>(name: string): Promise<T | undefined> {
  const require = createRequire(benchFolder);
  try {
    return (await import(require.resolve(name))) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}
