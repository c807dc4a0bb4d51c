/**
 * Installs the packages of pnpm-lock.yaml, exactly, when they are not there yet. Two levels: "run" (what running and
 * compiling need) and "all" (with the tools for tests, docs, lint). A stamp in node_modules remembers what was
 * installed from which lockfile, so that from then on no task asks the network, or pnpm, for anything.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { node, npmScript, root } from "./run.mjs";

/** Says in a sentence why nothing could be installed. */
export class InstallError extends Error {}

const stampFile = join(root, "node_modules", ".installed.json");

export async function install(needed) {
  const lockfile = createHash("sha256")
    .update(readFileSync(join(root, "pnpm-lock.yaml")))
    .digest("hex");
  const stamp = readStamp();
  if (stamp?.lockfile === lockfile && (stamp.level === "all" || stamp.level === needed)) return;

  // What is there with its tools keeps them: an install for "run" alone would take them away.
  const level = existsSync(join(root, "node_modules", "jest")) ? "all" : needed;
  console.error(
    `Installing packages (${level === "all" ? "with the tools for tests and docs" : "what running needs"}; once) ...`,
  );
  const code = await pnpm(["install", "--frozen-lockfile", "--prefer-offline", ...(level === "run" ? ["--prod"] : [])]);
  if (code !== 0) {
    throw new InstallError(
      `The packages could not be installed (pnpm ended with ${code}; its messages are above). ` +
        "The first run needs the npm registry, and a folder it may write to; after that none is needed.",
    );
  }
  writeFileSync(stampFile, JSON.stringify({ lockfile, level }));
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"));
  } catch {
    return undefined; // No stamp, or a damaged one: install.
  }
}

/** Runs the pnpm that package.json pins, fetched by npx where this machine has not got it. */
export function pnpm(args, options) {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const npx = npmScript("npx");
  if (!npx)
    throw new InstallError("npm was not found beside this Node: install Node with npm from https://nodejs.org.");
  return node([npx, "--yes", packageManager, "--config.confirm-modules-purge=false", ...args], options);
}
