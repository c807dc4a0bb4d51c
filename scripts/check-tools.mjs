import { cpSync } from "node:fs";
import { join } from "node:path";
import { NoBrowserError, reportOf, servePage } from "./page-report.mjs";
import { checkTypes } from "./check-types.mjs";
import { node } from "./run.mjs";

/** The most seconds that a page's worker may take from its start to a picture; the best of a few, for busy machines. */
const PAGE_SECONDS = 5;
const TRIES = 3;

/**
 * The programs of scripts/tools, by the names of their folders: `TOOLS[name](app)` runs that of a copy, `app`, where
 * the packed packages are installed. A page is only built where no Chromium is found.
 */
export const TOOLS = {
  node: (app) => must("require in Node", ["draw.cjs"], join(app, "node")),
  types: (app) => checkTypes(app),
  jest: (app) => must("Jest", [installed(app, "jest", "bin", "jest.js"), "--rootDir", "."], join(app, "jest")),
  vitest: (app) => must("Vitest", [installed(app, "vitest", "vitest.mjs"), "run"], join(app, "vitest")),
  vite: async (app) => {
    const folder = join(app, "vite");
    await must("Vite", [installed(app, "vite", "bin", "vite.js"), "build", "--logLevel", "error"], folder);
    await seePage("Vite", join(folder, "dist"));
  },
  webpack: async (app) => {
    const folder = join(app, "webpack");
    const args = ["--stats", "errors-warnings", "--no-optimization-minimize"];
    await must("webpack", [installed(app, "webpack-cli", "bin", "cli.js"), ...args], folder);
    cpSync(join(folder, "index.html"), join(folder, "dist", "index.html"));
    await seePage("webpack", join(folder, "dist"));
  },
  esbuild: async (app) => {
    const folder = join(app, "esbuild");
    const site = join(folder, "dist");
    await must("esbuild", ["build.mjs"], folder);
    cpSync(join(folder, "index.html"), join(site, "index.html"));
    cpSync(installed(app, "@tfjs-diffusion", "portraits"), join(site, "portraits"), { recursive: true });
    cpSync(installed(app, "@tensorflow", "tfjs-backend-wasm", "dist"), join(site, "wasm"), { recursive: true });
    await seePage("esbuild", site);
  },
};

const installed = (app, ...path) => join(app, "node_modules", ...path);

/** Has a page draw in Chromium, as it comes: without flags, so that useBackend() must pass over software drivers. */
async function seePage(what, site) {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const report = await reportOfSite(site).catch((error) => error);
    if (report instanceof NoBrowserError) return console.log(`${what}: built, and not run. ${report.message}`);
    if (report instanceof Error) throw report;
    const { name, passedOver = [], shape, seconds } = report;
    if (String(shape) !== "1,32,32,3") throw new Error(`${what}: the page drew nothing. ${report.error}`);
    const reasons = passedOver.map(({ name, reason }) => `${name}: ${reason}`).join(" ");
    console.log(`${what}: ${name}, a picture after ${seconds.toFixed(1)} s. ${reasons}`);
    if (seconds <= PAGE_SECONDS) return;
  }
  throw new Error(`${what}: more than ${PAGE_SECONDS} s in ${TRIES} tries.`);
}

async function reportOfSite(site) {
  const server = await servePage(site);
  try {
    return await reportOf(server, { limitMs: 120_000 });
  } finally {
    server.close();
  }
}

async function must(what, args, cwd) {
  const code = await node(args, { cwd });
  if (code !== 0) throw new Error(`${what} ended with ${code}.`);
}
