import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

/** The variable CHROMIUM, or the first Chromium or Chrome on the PATH; undefined also if NO_BROWSER is set. */
export function findChromium(): string | undefined {
  if (process.env["NO_BROWSER"]) return undefined;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = [process.env["CHROMIUM"], ...names.flatMap((name) => folders.map((folder) => join(folder, name)))];
  return candidates.find((file) => file && existsSync(file));
}

/**
 * In milliseconds of the browser's virtual clock, which jumps forward whenever the page waits, also for the graphics
 * card. The page is printed when they are over: at once, if nothing is left to do.
 */
const VIRTUAL_TIME = 1e9;
const NO_CHROMIUM = "no Chromium here; name one in CHROMIUM";
/** The page did not write a result, because it takes too long or has crashed. */
export const UNFINISHED = "the page did not finish";

/**
 * Runs a TypeScript program in a headless browser. The program reads its input from `globalThis.given` and writes
 * `result:JSON:end` as the page's text. If that is impossible, `none` says why.
 *
 * @param seconds how long the page may take
 */
export async function inChromium<T extends object>(
  entry: URL,
  given?: unknown,
  seconds = 100,
): Promise<T | { none: string }> {
  const browser = findChromium();
  if (!browser) return { none: NO_CHROMIUM };
  const folder = mkdtempSync(join(tmpdir(), "in-chromium-"));
  try {
    const esbuild = createRequire(import.meta.url).resolve("esbuild/bin/esbuild");
    execFileSync(process.execPath, [
      ...[esbuild, fileURLToPath(entry), `--outfile=${join(folder, "page.js")}`],
      ...["--bundle", "--platform=browser", "--format=iife", "--log-level=error"],
    ]);
    writeFileSync(join(folder, "given.js"), `globalThis.given = ${JSON.stringify(given ?? null)};`);
    const page = join(folder, "page.html");
    writeFileSync(page, '<!doctype html><body><script src="given.js"></script><script src="page.js"></script>');
    const { stdout } = await promisify(execFile)(
      browser,
      [
        ...["--headless", "--no-sandbox", "--disable-dev-shm-usage"],
        ...["--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        ...[`--user-data-dir=${join(folder, "profile")}`, `--virtual-time-budget=${VIRTUAL_TIME}`, "--dump-dom"],
        pathToFileURL(page).href,
      ],
      { timeout: seconds * 1000, maxBuffer: 2 ** 26 },
    );
    const found = /result:(.*):end/s.exec(stdout)?.[1];
    return found ? (JSON.parse(found) as T) : { none: UNFINISHED };
  } catch (error) {
    return { none: (error as Error).message.split("\n")[0]! };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
