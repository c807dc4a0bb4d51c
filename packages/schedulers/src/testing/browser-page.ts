import * as tf from "@tensorflow/tfjs";
import { streamsOnBackend } from "./noise-streams.js";

// Runs in a browser. Its result is the page's text: the streams, or why there are none.
const answer = async () => {
  if (!(await tf.setBackend("webgl"))) return { none: "this browser has no WebGL" };
  if (!tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED")) return { none: "its WebGL has no 32-bit numbers" };
  return { backend: tf.getBackend(), streams: await streamsOnBackend() };
};
void answer()
  .catch((error: unknown) => ({ none: String(error) }))
  .then((result) => (document.body.textContent = `result:${JSON.stringify(result)}:end`));
