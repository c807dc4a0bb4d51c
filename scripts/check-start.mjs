/**
 * `npm start` from a copy of this repository as a download would give it: no git, a space in its path, nothing
 * installed; then once more with no way to the network. Then `npm run add` as docs/backends.md has it.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { npmScript, root } from "./run.mjs";

const folder = mkdtempSync(join(tmpdir(), "a fresh copy "));
const LEFT_OUT = /(^|[\\/])(node_modules|dist|out|runs|\.git|\.cache|coverage)([\\/]|$)/;

try {
  cpSync(root, folder, { recursive: true, filter: (path) => !LEFT_OUT.test(relative(root, path)) });
  draw("first.png", {});
  draw("second.png", { HTTPS_PROXY: "http://127.0.0.1:9", npm_config_registry: "http://127.0.0.1:9/" });
  addWebgpu();
  console.log("A fresh copy draws, in a path with spaces, without git; and once installed without the network.");
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function draw(name, environment) {
  const args = ["start", "--", "a man with a red hat", "--steps", "10", "--count", "2", "--out", name];
  execFileSync(process.execPath, [npmScript("npm"), ...args], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  const file = join(folder, name);
  if (!existsSync(file)) throw new Error(`npm start ended well, but wrote no ${file}.`);
  const png = readFileSync(file);
  // Two pictures of 16 x 16 at 8 times their size, with margins: the header's width and height, big-endian.
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  if (png.subarray(1, 4).toString() !== "PNG" || width < 256 || height < 128) {
    throw new Error(`${name} is not a PNG of two pictures: ${width} x ${height}.`);
  }
}

/** Adds the packages for WebGPU to a cache of its own. Whether there is a graphics card is another matter. */
function addWebgpu() {
  const environment = { ...process.env, XDG_CACHE_HOME: join(folder, "cache") };
  const npm = (...args) =>
    execFileSync(process.execPath, [npmScript("npm"), ...args], { cwd: folder, env: environment, encoding: "utf8" });
  if (!npm("start", "--", "backends").includes("webgpu is not installed")) throw new Error("WebGPU is there already.");
  npm("run", "add", "--", "webgpu", "@tensorflow/tfjs-backend-webgpu");
  const said = npm("start", "--", "backends");
  if (said.includes("webgpu is not installed")) throw new Error(`npm run add has added nothing: ${said}`);
}
