/** Serves a page, and runs it in headless Chromium until it reports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBrowser, NO_BROWSER } from "./browser.mjs";
import { serveFolder } from "./serve-folder.mjs";

/** Thrown where no Chromium is found. */
export class NoBrowserError extends Error {}

/**
 * Serves a folder to pages that are cross-origin isolated, so that they may share memory between threads. `report` is
 * what a page posts, as JSON. The caller ends it with `close`.
 */
export async function servePage(folder) {
  let reported;
  const report = new Promise((resolve) => (reported = resolve));
  const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
  const { address, close } = await serveFolder(folder, { headers, onPost: reported });
  return { address: `${address}/`, report, close };
}

/**
 * Opens a page of such a server in Chromium until it reports; resolves to the report.
 *
 * @throws NoBrowserError; Error if the browser ends or `limitMs` pass without a report
 */
export async function reportOf({ address, report }, { flags = [], limitMs }) {
  const profile = mkdtempSync(join(tmpdir(), "chromium-"));
  const chrome = startChromium([...flags, `--user-data-dir=${profile}`, address]);
  const timer = setTimeout(() => chrome.kill(), limitMs);
  const ended = once(chrome, "exit").then(() => undefined);
  const found = await Promise.race([report, ended]);
  clearTimeout(timer);
  chrome.kill();
  await ended;
  // Processes of the browser that end after it still write there.
  await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  if (!found) throw new Error("The browser ended without a report.");
  return found;
}

/** @throws NoBrowserError */
function startChromium(options) {
  const browser = findBrowser();
  if (!browser) throw new NoBrowserError(NO_BROWSER);
  return spawn(browser, ["--headless=new", "--no-sandbox", "--no-first-run", ...options], { stdio: "ignore" });
}
