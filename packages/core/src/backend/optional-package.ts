import type * as Os from "node:os";
import type * as Path from "node:path";
import { importInNode, requireFrom } from "../platform/node-only.js";

/**
 * The path of the main file of an optional package: installed beside this package, else in the folder that
 * `npm run add` of this repository fills. Undefined if it is in neither.
 */
export async function optionalPackage(packageName: string): Promise<string | undefined> {
  return (
    (await resolveFrom(import.meta.url, packageName)) ?? (await resolveBelow(await cacheFolder("added"), packageName))
  );
}

/** The path of a package's main file, as seen from the file or address; undefined if it is not there. */
export async function resolveFrom(file: string, packageName: string): Promise<string | undefined> {
  const require = await requireFrom(file);
  try {
    return require.resolve(packageName);
  } catch {
    return undefined;
  }
}

/** The same in `folder/node_modules`. */
export async function resolveBelow(folder: string, packageName: string): Promise<string | undefined> {
  const path = await importInNode<typeof Path>("node:path");
  return resolveFrom(path.resolve(folder, "index.js"), packageName);
}

/** `$XDG_CACHE_HOME/tfjs-diffusion/NAME`, by default below `~/.cache` (below `%LOCALAPPDATA%` on Windows). */
export async function cacheFolder(name: "native" | "added"): Promise<string> {
  const { homedir } = await importInNode<typeof Os>("node:os");
  const path = await importInNode<typeof Path>("node:path");
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const caches = XDG_CACHE_HOME || (process.platform === "win32" && LOCALAPPDATA) || path.join(homedir(), ".cache");
  return path.join(caches, "tfjs-diffusion", name);
}
