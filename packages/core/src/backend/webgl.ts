import * as tf from "@tensorflow/tfjs";
import type { Candidate } from "./candidate.js";
import { isNode } from "../platform/node-only.js";
import { isSoftwareDriver, softwareReason } from "./software-driver.js";

/** The graphics card through WebGL; part of `@tensorflow/tfjs`. A software renderer is used only if requested. */
export const webglCandidate: Candidate = {
  name: "webgl",
  load: async (_, isAskedFor) => {
    if (isNode) throw new Error("needs a browser.");
    if (!tf.env().getBool("HAS_WEBGL")) throw new Error("this browser has no WebGL.");
    const detail = renderer();
    if (isSoftwareDriver(detail) && !isAskedFor) throw new Error(softwareReason(detail));
    return { registeredAs: "webgl", detail: detail === "" ? undefined : detail };
  },
};

/** The renderer that WebGL reports; "" if it reports none. */
function renderer(): string {
  // A worker has no document, an old browser no OffscreenCanvas.
  const gl =
    typeof OffscreenCanvas === "undefined"
      ? document.createElement("canvas").getContext("webgl2")
      : new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl) return "";
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name: unknown = gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return typeof name === "string" ? name : "";
}
