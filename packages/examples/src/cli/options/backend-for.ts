import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ChosenBackend, useBackend } from "@tfjs-diffusion/core";

/** Starts the backend of this name, or else the best for these models: their paths, or names on the hub. */
export function backendFor(name: string | undefined, ...models: readonly string[]): Promise<ChosenBackend> {
  const sizes = models.map(weightBytes);
  // What is not downloaded yet has no size; it is as a rule large.
  return useBackend(name, sizes.includes(undefined) ? {} : { modelBytes: Math.max(...(sizes as number[])) });
}

/** Bytes of the weights in a file, or in a folder with all that is below it; undefined if there is no such path. */
function weightBytes(path: string): number | undefined {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (!entry?.isDirectory()) return entry?.size;
  const files = readdirSync(path, { recursive: true }).map((name) => join(path, String(name)));
  return files.filter((file) => file.endsWith(".safetensors")).reduce((sum, file) => sum + statSync(file).size, 0);
}
