import type * as Os from "node:os";
import type * as Path from "node:path";
import * as tf from "@tensorflow/tfjs";
import type { Candidate, LoadedBackend } from "../candidate.js";
import { importInNode, isNode, requireFrom } from "../../platform/node-only.js";
import { quietly } from "../quiet.js";
import { temporaryGraphFile } from "./recording/graph.js";
import { completeNativeBackend } from "./register.js";

/** TensorFlow's C library on the CPU: the fastest way to train without a graphics card. */
export const nodeCandidate: Candidate = { name: "node", load: () => loadNative("@tensorflow/tfjs-node") };

/** TensorFlow's C library on an NVIDIA card. */
export const nodeGpuCandidate: Candidate = { name: "node-gpu", load: () => loadNative("@tensorflow/tfjs-node-gpu") };

type NativePackage = "@tensorflow/tfjs-node" | "@tensorflow/tfjs-node-gpu";

let loaded: NativePackage | undefined;

async function loadNative(packageName: NativePackage): Promise<LoadedBackend> {
  if (!isNode) throw new Error("needs Node, and this is a browser.");
  if (loaded && loaded !== packageName) {
    throw new Error(`${loaded} is loaded already, and a process can hold only one of the two.`);
  }
  if (!loaded) {
    const entry = await findPackage(packageName);
    await restoreRemovedUtil();
    process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "1"; // No messages about what TensorFlow could do on another CPU.
    await quietly(() => requireNative(entry));
    completeNativeBackend(await temporaryGraphFile());
    loaded = packageName;
  }
  return { registeredAs: "tensorflow" };
}

/**
 * The path of the package's main file: below the folder that `TFJS_NODE_MODULE` names, else installed beside this
 * package, else in the cache that `scripts/native-backend.mjs` fills.
 */
async function findPackage(packageName: NativePackage): Promise<string> {
  const given = process.env["TFJS_NODE_MODULE"];
  if (given) {
    const found = await resolveBelow(given, packageName);
    if (found) return found;
    if (packageName === "@tensorflow/tfjs-node") {
      throw new Error(`TFJS_NODE_MODULE is ${given}, and ${given}/node_modules/${packageName} is not there.`);
    }
  }
  const found =
    (await resolveFrom(import.meta.url, packageName)) ?? (await resolveBelow(await nativeCache(), packageName));
  if (found) return found;
  throw new Error(`${packageName} is not installed (${INSTALL_HINT[packageName]}).`);
}

const INSTALL_HINT: Record<NativePackage, string> = {
  "@tensorflow/tfjs-node": "npm install @tensorflow/tfjs-node, or docs/backends.md where that fails",
  "@tensorflow/tfjs-node-gpu": "npm install @tensorflow/tfjs-node-gpu; it needs an NVIDIA card with CUDA",
};

async function resolveBelow(folder: string, packageName: string): Promise<string | undefined> {
  const path = await importInNode<typeof Path>("node:path");
  return resolveFrom(path.resolve(folder, "index.js"), packageName);
}

async function resolveFrom(file: string, packageName: string): Promise<string | undefined> {
  const require = await requireFrom(file);
  try {
    return require.resolve(packageName);
  } catch {
    return undefined;
  }
}

/** `$XDG_CACHE_HOME/tfjs-diffusion/native`, by default below `~/.cache` (below `%LOCALAPPDATA%` on Windows). */
async function nativeCache(): Promise<string> {
  const { homedir } = await importInNode<typeof Os>("node:os");
  const path = await importInNode<typeof Path>("node:path");
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const caches = XDG_CACHE_HOME || (process.platform === "win32" && LOCALAPPDATA) || path.join(homedir(), ".cache");
  return path.join(caches, "tfjs-diffusion", "native");
}

/** tfjs-node 4.22 calls two functions of `util` that Node 22 warns about and Node 23 removed. */
async function restoreRemovedUtil(): Promise<void> {
  const util = (await requireFrom())("node:util") as Record<string, unknown>;
  util["isNullOrUndefined"] = (value: unknown) => value === null || value === undefined;
  util["isArray"] = Array.isArray;
}

/**
 * Loads the binding with our copy of TensorFlow.js. If it is installed elsewhere it brings its own copy, whose entry in
 * the module cache is replaced by ours. If the module cache is read-only (Jest), two copies are loaded: they share the
 * engine, the kernels and the gradients, which are on the global object.
 */
async function requireNative(entry: string): Promise<void> {
  const ours = await requireFrom();
  const theirs = await requireFrom(entry);
  const ourFile = ours.resolve("@tensorflow/tfjs");
  ours(ourFile);
  const ourModule = ours.cache[ourFile];
  if (ourModule) theirs.cache[theirs.resolve("@tensorflow/tfjs")] = ourModule;
  try {
    theirs(entry);
  } catch (error) {
    throw new Error(
      `${entry} does not load: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`,
      { cause: error },
    );
  }
  if (!tf.engine().registryFactory["tensorflow"]) {
    throw new Error(`${entry} loads, but with another copy of TensorFlow.js.`);
  }
}
