import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { useBackend } from "@tfjs-diffusion/core";
import { type NetworkName, NETWORKS } from "./networks.js";
import { writeReference } from "./onnx/reference.js";
import { benchFolder } from "./packages.js";

/**
 * Installs the packages for the comparison, once, and writes the ONNX graphs of the workloads. Returns their folder, or
 * undefined if nothing is compared.
 */
export async function prepareReferences(workloads: string[]): Promise<string | undefined> {
  const networks = (Object.keys(NETWORKS) as NetworkName[]).filter((name) => workloads.includes(`${name} forward`));
  if (networks.length === 0 || !installed()) return undefined;
  await useBackend("wasm", { threads: 1 });
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  for (const name of networks) await writeReference(folder, name);
  return folder;
}

/** Installs the packages of bench/package.json, which only the benchmark needs; false if that fails. */
function installed(): boolean {
  const folder = dirname(benchFolder);
  if (existsSync(join(folder, "node_modules", "onnxruntime-web"))) return true;
  console.log("Installing ONNX Runtime for the comparison (once; no other task needs it) ...");
  const { status } = spawnSync(
    "npx",
    ["--yes", "pnpm@10.34.9", "install", "--ignore-workspace", "--ignore-scripts", "--frozen-lockfile"],
    { cwd: folder, stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" },
  );
  if (status !== 0) console.log("It could not be installed: only our own backends are measured.");
  return status === 0;
}
