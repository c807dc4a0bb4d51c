/** Serves a page, and runs it in headless Chromium until it reports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { findBrowser, NO_BROWSER } from "./browser.mjs";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Thrown where no Chromium is found. */
export class NoBrowserError extends Error {}

/**
 * Serves a folder to pages that are cross-origin isolated, so that they may share memory between threads. `report` is
 * what a page posts, as JSON. The caller ends it with `close`.
 */
export async function servePage(folder) {
  let reported;
  const report = new Promise((resolve) => (reported = resolve));
  const server = createServer(async (request, response) => {
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    if (request.method === "POST") {
      reported(JSON.parse(Buffer.concat(await request.toArray()).toString()));
      return response.end();
    }
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    const bytes = path.includes("..") ? undefined : await readFile(file).catch(() => undefined);
    if (!bytes) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" }).end(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { address: `http://127.0.0.1:${server.address().port}/`, report, close };
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
