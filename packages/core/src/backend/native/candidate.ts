import * as tf from "@tensorflow/tfjs";
import type { NativeBackend } from "./binding.js";
import type { Candidate, LoadedBackend } from "../candidate.js";
import { isNode, requireFrom } from "../../platform/node-only.js";
import { cacheFolder, optionalPackage, resolveBelow } from "../optional-package.js";
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
  const isForCard = packageName === "@tensorflow/tfjs-node-gpu";
  if (loaded && loaded !== packageName && (isForCard || usesCard())) {
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
  if (isForCard && !usesCard()) {
    throw new Error(
      `${packageName} is installed, but TensorFlow finds no NVIDIA card: it needs a driver of version 450 or newer, ` +
        "CUDA 11.2 and cuDNN 8.1.",
    );
  }
  return { registeredAs: "tensorflow" };
}

/** Whether TensorFlow computes on a graphics card. tfjs-node-gpu without a card is tfjs-node, on the processor. */
function usesCard(): boolean {
  return (tf.findBackend("tensorflow") as NativeBackend).binding.isUsingGpuDevice();
}

/**
 * The path of the package's main file: below the folder that `TFJS_NODE_MODULE` names, else an optional package, else
 * in the cache that `scripts/native-backend.mjs` fills.
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
  const found = (await optionalPackage(packageName)) ?? (await resolveBelow(await cacheFolder("native"), packageName));
  if (found) return found;
  throw new Error(`${packageName} is not installed (${INSTALL_HINT[packageName]}).`);
}

const INSTALL_HINT: Record<NativePackage, string> = {
  "@tensorflow/tfjs-node": "npm install @tensorflow/tfjs-node, or docs/backends.md where that fails",
  "@tensorflow/tfjs-node-gpu":
    "npm install @tensorflow/tfjs-node-gpu; it needs an NVIDIA card, CUDA 11.2 and cuDNN 8.1",
};

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
