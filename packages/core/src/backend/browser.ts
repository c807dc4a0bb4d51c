import * as tf from "@tensorflow/tfjs";
import type { Candidate } from "./candidate.js";
import { isNode } from "./node-only.js";

/** The graphics card through WebGPU. */
export const webgpuCandidate: Candidate = {
  name: "webgpu",
  load: async () => {
    if (typeof navigator === "undefined" || !("gpu" in navigator)) throw new Error("there is no navigator.gpu here.");
    if (!tf.engine().registryFactory["webgpu"]) {
      throw new Error('its code is not loaded: add import "@tensorflow/tfjs-backend-webgpu" before useBackend().');
    }
    return { registeredAs: "webgpu" };
  },
};

/** The graphics card through WebGL; part of `@tensorflow/tfjs`. */
export const webglCandidate: Candidate = {
  name: "webgl",
  load: async () => {
    if (isNode) throw new Error("needs a browser.");
    if (!tf.env().getBool("HAS_WEBGL")) throw new Error("this browser has no WebGL.");
    return { registeredAs: "webgl" };
  },
};
