/* global document -- in the page */
/** What the tests do with a page that has the lab's drawing component. */
import { createRequire } from "node:module";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../packages/core/src/index.js";
import { loadClassifier } from "../packages/examples/classifier/classifier-files.js";
import { root } from "./run.mjs";

/** A drawing may take this long, on a busy machine. */
const PATIENCE = 120_000;
const PICTURE = 'canvas[aria-label^="The clean picture"]';

/** Opens a page, and notes in `problems` what it complains of, and other hosts that it asks. */
export async function openPage(browser, address, path, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  page.setDefaultTimeout(PATIENCE);
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on(
    "response",
    (response) => response.status() >= 400 && problems.push(`${response.status()} ${response.url()}`),
  );
  page.on("request", (request) => {
    const url = request.url();
    if (!/^(data|blob):/.test(url) && !url.startsWith(address)) problems.push(`a request to ${url}`);
  });
  await page.goto(`${address}${path}`);
  return { page, problems };
}

/** Waits until a drawing is finished. */
export const drawn = (page) =>
  page.waitForFunction(() =>
    document.querySelector(".lab[aria-busy=false] .state")?.textContent.startsWith("Drawn in "),
  );

/** Does something that makes the page draw, and waits for the drawing. */
export async function redrawn(page, change) {
  const before = await pixels(page);
  await change();
  await page.waitForFunction(
    ([selector, old]) => document.querySelector(selector).toDataURL() !== old,
    [PICTURE, before.url],
  );
  await page.waitForTimeout(400);
  await drawn(page);
  return pixels(page);
}

/** The shown picture: its address, to compare, and its bytes. */
export const pixels = (page, selector = PICTURE) =>
  page.evaluate((selector) => {
    const canvas = document.querySelector(selector);
    const { width, height } = canvas;
    return {
      url: canvas.toDataURL(),
      width,
      data: [...canvas.getContext("2d").getImageData(0, 0, width, height).data],
    };
  }, selector);

/** What the shipped classifier sees in a picture of 32 x 32. */
export async function seen({ width, data }) {
  await useBackend("wasm");
  const classifier = await loadClassifier(join(root, "packages/examples/weights/portraits-classifier"));
  const picture = tf.tidy(() =>
    tf.tensor4d(data, [1, width, width, 4]).slice([0, 0, 0, 0], [1, width, width, 3]).div(127.5).sub(1),
  );
  const [face] = await classifier.read(picture);
  picture.dispose();
  classifier.dispose();
  return face;
}

/** Serious problems of accessibility, as axe-core finds them, but for VitePress's own search button. */
export async function violations(page) {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve("axe-core/axe.min.js") });
  const found = await page.evaluate(() => globalThis.axe.run({ exclude: [".DocSearch"] }));
  return found.violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}
