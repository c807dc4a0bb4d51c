/**
 * Packs what would be published, has publint and attw judge it, installs it with npm into an empty folder, and uses it
 * there as other people's programs do: the README's example, the command, and the programs of scripts/tools.
 *
 *     node scripts/check-packages.mjs
 *     node scripts/check-packages.mjs vite jest    only these tools
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TOOLS } from "./check-tools.mjs";
import { packAll } from "./packages.mjs";
import { readmeCode } from "./readme.mjs";
import { node, npmScript, root } from "./run.mjs";

const folder = mkdtempSync(join(tmpdir(), "packed packages "));
const app = join(folder, "app");
const names = process.argv.slice(2);
try {
  await must("tsc", ["node_modules/typescript/bin/tsc", "-b"], root);
  const tarballs = await packAll(join(folder, "tarballs"));
  cpSync(join(root, "scripts", "tools"), app, { recursive: true });
  await must("npm install", [npmScript("npm"), "install", "--no-audit", "--no-fund", "--loglevel=error", ...tarballs]);
  if (names.length === 0) {
    for (const tarball of tarballs) await judge(tarball);
    await drawAsTheReadme();
    await drawByCommand();
    await drawByServer();
    await findWebgpu();
  }
  for (const name of names.length === 0 ? Object.keys(TOOLS) : names) await TOOLS[name](app);
  console.log("The packed packages install with npm, and work with the tools that were tried.");
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function judge(tarball) {
  await must("publint", ["node_modules/publint/src/cli.js", tarball, "--strict"], root);
  if (tarball.includes("-cli-")) return; // It has no types: it is a command.
  const attw = "node_modules/@arethetypeswrong/cli/dist/index.js";
  await must("attw", [attw, tarball, "--profile", "node16", "--quiet"], root);
}

async function drawAsTheReadme() {
  writeFileSync(join(app, "readme.mjs"), readmeCode("js")[0]);
  await must("the README's example", ["readme.mjs"]);
  requirePng(join(app, "portraits.png"));
  // As people try things out. A thread that took over this option would not start.
  const twoThreads = `
    import { useBackend } from "@tfjs-diffusion/core";
    const { detail } = await useBackend("wasm", { threads: 2 });
    if (detail !== "2 threads") throw new Error(detail);`;
  await must("two threads from the command line", ["--input-type=module", "-e", twoThreads]);
}

/** `npx diffusion "a smiling woman"`, outside of this repository. */
async function drawByCommand() {
  const args = ["a smiling woman", "--count", "1", "--steps", "4", "--backend", "wasm", "--out", "woman.png"];
  await must("the command", [npmScript("npx"), "--no-install", "diffusion", ...args]);
  requirePng(join(app, "woman.png"));
}

/** `npx diffusion serve`, asked for a picture. */
async function drawByServer() {
  const args = [npmScript("npx"), "--no-install", "diffusion", "serve", "--port", "0", "--backend", "wasm"];
  const server = spawn(process.execPath, args, { cwd: app, stdio: ["ignore", "pipe", "inherit"], detached: true });
  const timer = setTimeout(() => process.kill(-server.pid), 120_000);
  try {
    let said = "";
    for await (const part of server.stdout) {
      said += part;
      const [, at] = /Drawing on (http:[^ ,)]+)/.exec(said) ?? [];
      if (!at) continue;
      const body = JSON.stringify({ prompt: "a smiling woman", quality: "low", response_format: "b64_json" });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${at}/v1/images/generations`, { method: "POST", headers, body });
      const { data } = await answer.json();
      const page = await (await fetch(at)).text();
      if (!page.includes("<title>tfjs-diffusion: draw</title>")) throw new Error(`The server's page is ${page}.`);
      writeFileSync(join(app, "served.png"), Buffer.from(data[0].b64_json, "base64"));
      return requirePng(join(app, "served.png"));
    }
    throw new Error(`The server ended: ${said}`);
  } finally {
    clearTimeout(timer);
    if (server.exitCode === null) process.kill(-server.pid); // npx, and the command that it started
  }
}

/** The line of docs/backends.md in an npm project. Whether there is a graphics card is another matter. */
async function findWebgpu() {
  const packages = ["webgpu", "@tensorflow/tfjs-backend-webgpu"];
  await must("npm install webgpu", [
    npmScript("npm"),
    "install",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    ...packages,
  ]);
  const use = `
    import { useBackend } from "@tfjs-diffusion/core";
    const reason = await useBackend("webgpu").then(() => "it runs", (error) => error.message);
    if (reason.includes("not installed")) throw new Error(reason);
    console.log("WebGPU in an npm project:", reason);
    process.exit();`;
  await must("WebGPU in an npm project", ["--input-type=module", "-e", use]);
}

function requirePng(file) {
  if (readFileSync(file).subarray(1, 4).toString() !== "PNG") throw new Error(`${file} is not a PNG file.`);
}

async function must(what, args, cwd = app) {
  const code = await node(args, { cwd });
  if (code !== 0) throw new Error(`${what} ended with ${code}.`);
}
