/**
 * The npm packages of this repository: `npm run pack` writes them into out/packages, as they would be published, and
 * `npm run release` publishes them.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { pnpm } from "./install.mjs";
import { modelPackages } from "./model-packages.mjs";
import { root } from "./run.mjs";

/** The folders of the packages, each after those that it needs. */
export const PACKAGES = [
  "packages/schedulers",
  "packages/core",
  ...modelPackages.map((name) => `packages/examples/weights/${name}`),
  "packages/examples/cli",
];

/** Packs all of them into `folder`, which is emptied before; returns the paths of the archives. */
export async function packAll(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const path of PACKAGES) {
    const code = await pnpm(["--dir", path, "pack", "--loglevel=error", "--pack-destination", folder], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (code !== 0) throw new Error(`pnpm pack of ${path} ended with ${code}.`);
  }
  return readdirSync(folder).map((file) => join(folder, file));
}

/** The task: packs, and says how to install what was packed. */
export async function pack() {
  const folder = join(root, "out", "packages");
  const archives = await packAll(folder);
  console.log(archives.map((file) => relative(root, file)).join("\n"));
  console.log(`\nIn another folder: npm install "${folder}"/*.tgz @tensorflow/tfjs`);
  return 0;
}

/** The task: publishes the packages whose version is not on npm yet, or with --dry-run only says what would be sent. */
export async function release(args) {
  return pnpm(["publish", "--recursive", "--access", "public", "--no-git-checks", ...args]);
}
