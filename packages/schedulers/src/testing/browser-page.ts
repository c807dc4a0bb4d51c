import * as tf from "@tensorflow/tfjs";
import { streamsOnBackend } from "./noise-streams.js";

// Runs in a browser: leaves the streams, or why there are none, as the page's text.
const answer = async () => {
  if (!(await tf.setBackend("webgl"))) return { none: "this browser has no WebGL" };
  if (!tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED")) return { none: "its WebGL has no 32-bit numbers" };
  return { backend: tf.getBackend(), streams: await streamsOnBackend() };
};
void answer()
  .catch((error: unknown) => ({ none: String(error) }))
  .then((result) => (document.body.textContent = `result:${JSON.stringify(result)}:end`));
