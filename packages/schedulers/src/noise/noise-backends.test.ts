import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { streamsOnBackend } from "../testing/noise-streams.js";
import { useWasm } from "../testing/wasm.js";

/** CHROMIUM, or the first browser of its kind on the PATH. */
function findChromium(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = [process.env["CHROMIUM"], ...names.flatMap((name) => folders.map((folder) => join(folder, name)))];
  return candidates.find((file) => file && existsSync(file));
}

/** Runs testing/browser-page.ts in a browser without a window; what it left. */
async function inChromium(browser: string): Promise<{ none?: string; backend?: string; streams?: number[][] }> {
  const folder = mkdtempSync(join(tmpdir(), "noise-in-chromium-"));
  try {
    const esbuild = createRequire(import.meta.url).resolve("esbuild/bin/esbuild");
    const entry = fileURLToPath(new URL("../testing/browser-page.ts", import.meta.url));
    execFileSync(process.execPath, [
      esbuild,
      entry,
      "--bundle",
      "--platform=browser",
      "--format=iife",
      `--outfile=${join(folder, "page.js")}`,
      "--log-level=error",
    ]);
    const page = join(folder, "page.html");
    writeFileSync(page, '<!doctype html><body><script src="page.js"></script>');
    const { stdout } = await promisify(execFile)(
      browser,
      [
        "--headless",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        `--user-data-dir=${join(folder, "profile")}`,
        "--virtual-time-budget=60000",
        "--dump-dom",
        pathToFileURL(page).href,
      ],
      { timeout: 100_000, maxBuffer: 2 ** 26 },
    );
    const found = /result:(.*):end/s.exec(stdout)?.[1];
    return found ? (JSON.parse(found) as object) : { none: "the page did not finish" };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const browser = findChromium();
const inBrowser =
  browser && !process.env["NO_BROWSER"]
    ? await inChromium(browser).catch((error: Error) => ({ none: error.message.split("\n")[0] }))
    : { none: "no Chromium here; name one in CHROMIUM" };
if (inBrowser.none !== undefined) console.info(`Streams in a browser are not tested: ${inBrowser.none}.`);

describe("keyed noise draws the same bits", () => {
  it("on the cpu and the wasm backend", async () => {
    await tf.setBackend("cpu");
    const onCpu = await streamsOnBackend();
    await useWasm();
    expect(tf.getBackend()).toBe("wasm");
    expect(await streamsOnBackend()).toEqual(onCpu);
  });

  // Where no Chromium is installed.
  (inBrowser.none === undefined ? it : it.skip)("in Chromium, on WebGL", async () => {
    await tf.setBackend("cpu");
    const answer = inBrowser as { backend: string; streams: number[][] };
    expect(answer.backend).toBe("webgl");
    expect(answer.streams).toEqual(await streamsOnBackend());
  });
});
