import * as tf from "@tensorflow/tfjs";
import { decodeImage } from "../decode-image.js";

/** The test's files by name, in base64. */
const { given } = globalThis as unknown as { given: Record<string, string> };

// Runs in a browser: writes each picture's shape and values, or its error, into the page's text.
const decoded = async (base64: string) => {
  try {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const picture = await decodeImage(bytes);
    return { shape: picture.shape, values: [...picture.dataSync()] };
  } catch (error) {
    return { error: String(error) };
  }
};

async function answer() {
  await tf.setBackend("cpu");
  const results: Record<string, unknown> = {};
  for (const [name, base64] of Object.entries(given)) results[name] = await decoded(base64);
  return results;
}

// The browser's virtual clock jumps forward when no timer is due, and decoding a picture is no timer.
const ticking = setInterval(() => {}, 1);
void answer()
  .catch((error: unknown) => ({ none: String(error) }))
  .then((result) => (document.body.textContent = `result:${JSON.stringify(result)}:end`))
  .finally(() => clearInterval(ticking));
