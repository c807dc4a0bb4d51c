import type Url from "node:url";
import * as tf from "@tensorflow/tfjs";
import type { Candidate } from "./candidate.js";
import { isSoftwareDriver, softwareReason } from "./software-driver.js";
import { importInNode, isNode } from "../platform/node-only.js";
import { optionalPackage } from "./optional-package.js";

/** The parts of WebGPU that are used here; TypeScript's library does not have all their types. */
interface Gpu {
  requestAdapter(options?: { powerPreference: "high-performance" }): Promise<{ info?: AdapterInfo } | null>;
}

interface AdapterInfo {
  vendor: string;
  architecture: string;
  description: string;
  isFallbackAdapter?: boolean;
}

/**
 * The least weights for which a graphics card is worth it in Node. There, submitting one operation takes about 50 µs:
 * 84 ms for the 1,780 of a model of 12 MB, which WebAssembly computes in 19 ms. A model of ten times as many weights
 * has about as many operations, each of ten times the work.
 */
const LEAST_BYTES_IN_NODE = 100e6;

/**
 * The graphics card through WebGPU: in a browser that has it, and in Node through the npm package `webgpu` (Dawn).
 * Needs `@tensorflow/tfjs-backend-webgpu`: Node finds the installed package, a page must import it itself.
 */
export const webgpuCandidate: Candidate = {
  name: "webgpu",
  load: async ({ modelBytes = Infinity }, isAskedFor) => {
    if (isNode && !isAskedFor && modelBytes < LEAST_BYTES_IN_NODE) {
      throw new Error("the model is small: submitting its work from Node takes longer than computing it elsewhere.");
    }
    if (isNode) await provideWebgpuInNode();
    const { gpu } = (globalThis as { navigator?: { gpu?: Gpu } }).navigator ?? {};
    if (!gpu) throw new Error("this browser has no navigator.gpu (it needs a secure page, https or localhost).");
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new Error("no graphics card with a WebGPU driver was found.");
    if (isSoftware(adapter.info) && !isAskedFor) {
      throw new Error(softwareReason(adapter.info?.description ?? "software"));
    }
    await loadCode();
    return { registeredAs: "webgpu", detail: adapter.info?.description || adapter.info?.vendor };
  },
};

function isSoftware(info: AdapterInfo | undefined): boolean {
  if (!info) return false;
  return info.isFallbackAdapter === true || isSoftwareDriver(`${info.architecture} ${info.description}`);
}

/** Gives Node the globals of WebGPU, from the npm package `webgpu`. */
async function provideWebgpuInNode(): Promise<void> {
  if ((globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu) return;
  const { create, globals } = await importInstalled<{ create(flags: string[]): Gpu; globals: object }>("webgpu");
  Object.assign(globalThis, globals);
  // Node 20 has no navigator; later ones have one that can be added to.
  if (!("navigator" in globalThis))
    Object.defineProperty(globalThis, "navigator", { value: { userAgent: "Node.js" }, configurable: true });
  Object.defineProperty(globalThis.navigator, "gpu", { value: create([]), configurable: true });
}

async function loadCode(): Promise<void> {
  if (tf.engine().registryFactory["webgpu"]) return;
  if (!isNode) {
    throw new Error('its code is not loaded: add import "@tensorflow/tfjs-backend-webgpu" before useBackend().');
  }
  await importInstalled("@tensorflow/tfjs-backend-webgpu");
}

/** Imports an optional package, of either module system. */
async function importInstalled<T>(packageName: string): Promise<T> {
  const { pathToFileURL } = await importInNode<typeof Url>("node:url");
  const file = await optionalPackage(packageName);
  if (file === undefined) {
    throw new Error(`${packageName} is not installed (npm install webgpu @tensorflow/tfjs-backend-webgpu).`);
  }
  return importInNode<T>(pathToFileURL(file).href);
}
