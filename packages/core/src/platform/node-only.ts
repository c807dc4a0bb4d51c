import type Module from "node:module";

/** True in Node (also inside Jest), false in browsers and in workers of browsers. */
export const isNode: boolean = typeof process !== "undefined" && typeof process.versions?.node === "string";

/**
 * Imports a module that exists only in Node. The name is not a literal, so a bundler for the browser does not include
 * the module. Call it only where {@link isNode} is true.
 */
export function importInNode<T>(name: string): Promise<T> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name) as Promise<T>;
}

/** `require` as seen from `file` (a path or file URL), by default from this package. */
export async function requireFrom(file: string | URL = import.meta.url): Promise<NodeJS.Require> {
  const { createRequire } = await importInNode<typeof Module>("node:module");
  return createRequire(file);
}
