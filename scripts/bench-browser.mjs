/**
 * Runs the benchmark's page in headless Chromium, cross-origin isolated, and prints what it found:
 *
 *     npm run bench:browser             CHROMIUM=/path/to/it where it is not called chromium or google-chrome
 *     npm run bench:browser -- --serve  only serves the page, for a browser of your own
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reportOf, servePage } from "./page-report.mjs";
import { buildBenchPage } from "./web-pages.mjs";

const LIMIT_MS = 15 * 60_000;

const folder = mkdtempSync(join(tmpdir(), "bench-page-"));
await buildBenchPage(folder);
const server = await servePage(folder);

if (process.argv.includes("--serve")) {
  console.log(`${server.address} (Ctrl-C ends it)`);
} else {
  try {
    const page = { ...server, address: `${server.address}?report` };
    printReport(await reportOf(page, { flags: ["--enable-unsafe-webgpu"], limitMs: LIMIT_MS }));
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function printReport(found) {
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
