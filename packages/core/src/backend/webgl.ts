import * as tf from "@tensorflow/tfjs";
import type { Candidate } from "./candidate.js";
import { isNode } from "../platform/node-only.js";

/** The graphics card through WebGL; part of `@tensorflow/tfjs`. */
export const webglCandidate: Candidate = {
  name: "webgl",
  load: async () => {
    if (isNode) throw new Error("needs a browser.");
    if (!tf.env().getBool("HAS_WEBGL")) throw new Error("this browser has no WebGL.");
    return { registeredAs: "webgl" };
  },
};
