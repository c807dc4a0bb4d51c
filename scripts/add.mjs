/**
 * `npm run add -- webgpu @tensorflow/tfjs-backend-webgpu`: installs optional packages for this clone, whose own
 * node_modules pnpm manages, so that `npm install NAME` fails here. They go into a cache where useBackend() looks
 * (packages/core/src/backend/optional-package.ts).
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { node, npmScript } from "./run.mjs";

export async function add(packages) {
  if (packages.length === 0 || packages.some((name) => name.startsWith("-"))) {
    console.error("npm run add -- NAME …: installs optional packages, such as webgpu @tensorflow/tfjs-backend-webgpu.");
    return 2;
  }
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const caches = XDG_CACHE_HOME || (process.platform === "win32" && LOCALAPPDATA) || join(homedir(), ".cache");
  const folder = join(caches, "tfjs-diffusion", "added");
  mkdirSync(folder, { recursive: true });
  // Without one, npm would install into a folder above that has one.
  if (!existsSync(join(folder, "package.json"))) writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const code = await node([npmScript("npm"), "install", "--no-audit", "--no-fund", ...packages], { cwd: folder });
  if (code === 0) console.log(`Installed in ${folder}. npm start -- backends shows what runs now.`);
  return code;
}
