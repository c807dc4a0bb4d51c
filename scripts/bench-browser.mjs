/**
 * Runs the benchmark's page in headless Chromium, cross-origin isolated, and prints what it found:
 *
 *     npm run bench:browser             CHROME=/path/to/chrome where it is not called chromium or google-chrome
 *     npm run bench:browser -- --serve  only serves the page, for a browser of your own
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { buildBenchPage } from "./web-pages.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const LIMIT_MS = 15 * 60_000;

const folder = mkdtempSync(join(tmpdir(), "bench-page-"));
await buildBenchPage(folder);

let reported;
const report = new Promise((resolve) => (reported = resolve));
const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  // What makes a page cross-origin isolated, so that it may share memory between threads.
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  if (request.method === "POST") {
    reported(JSON.parse(Buffer.concat(await request.toArray()).toString()));
    return response.end();
  }
  const file = pathname === "/" ? "index.html" : pathname.slice(1);
  const known = /^[\w.-]+$/.test(file) && (await readFile(join(folder, file)).catch(() => undefined));
  if (!known) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" }).end(known);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = `http://127.0.0.1:${server.address().port}/`;

if (process.argv.includes("--serve")) {
  console.log(`${address} (Ctrl-C ends it)`);
} else {
  try {
    await runChromium(`${address}?report`);
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runChromium(url) {
  const chrome = await startChromium(url);
  const timer = setTimeout(() => chrome.kill(), LIMIT_MS);
  const ended = once(chrome, "exit").then(() => undefined);
  const found = await Promise.race([report, ended]);
  clearTimeout(timer);
  chrome.kill();
  await ended;
  if (!found) throw new Error("The browser ended without a report.");
  console.table(
    found.map((result) =>
      result.problem
        ? { problem: result.problem }
        : {
            workload: result.workload,
            backend: result.backend,
            ms: Number(result.milliseconds.toFixed(1)),
            "GFLOP/s": Number((result.flop / result.milliseconds / 1e6).toFixed(1)),
          },
    ),
  );
}

/** The first of the browsers that is there. */
async function startChromium(url) {
  const names = process.env.CHROME ? [process.env.CHROME] : ["chromium", "google-chrome", "chromium-browser", "chrome"];
  const options = [
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--enable-unsafe-webgpu",
    `--user-data-dir=${folder}/profile`,
    url,
  ];
  for (const name of names) {
    const chrome = spawn(name, options, { stdio: "ignore" });
    const started = await Promise.race([
      once(chrome, "spawn").then(() => true),
      once(chrome, "error").then(() => false),
    ]);
    if (started) return chrome;
  }
  throw new Error(`None of ${names.join(", ")} could be started: say where Chromium is with CHROME=/path/to/it.`);
}
