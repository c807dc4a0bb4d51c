// Builds TensorFlow's native backend for Node (@tensorflow/tfjs-node) without its own installer's download, which
// comes from a storage bucket that many networks block. The TensorFlow C library is taken from the PyPI package
// tensorflow-cpu, the small binding between it and Node is compiled here.
//
//   node scripts/native-backend.mjs            builds into the cache where useBackend("node") looks
//   node scripts/native-backend.mjs FOLDER     builds elsewhere; then set TFJS_NODE_MODULE=FOLDER
//
// Linux on x64 with glibc; needs npm and a C++ compiler; fetches 210 MB, keeps 600 MB, takes about half a minute.
// A second run finds the work done. Exits 1, with the reason, where it cannot be done.
import { Buffer } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";

const TFJS_NODE = "4.22.0";
/** tfjs-node 4.22 is written against the C interface of TensorFlow 2.9; 2.15.1 has it, and ships the C library. */
const TENSORFLOW = "2.15.1";
const WHEEL = `tensorflow_cpu-${TENSORFLOW}-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl`;
const WHEEL_SHA256 = "54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26";
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
const HEADERS = /^tensorflow\/include\/(tensorflow\/(c|core\/platform|tsl)|tsl|xla)\/.*\.h$/;

class CannotBuild extends Error {}

async function main([folder = cacheFolder()]) {
  const target = resolve(folder);
  if (existsSync(bindingIn(target))) return report(target, "was built before");
  requirePlatform();
  const compiler = findCompiler();
  mkdirSync(dirname(target), { recursive: true });
  // Built beside its place and moved there whole, so that a build that breaks off leaves nothing to be found.
  const work = mkdtempSync(`${target}.partial-`);
  try {
    step(`npm install @tensorflow/tfjs-node@${TFJS_NODE}`);
    writeFileSync(
      join(work, "package.json"),
      JSON.stringify({ private: true, description: "built by tfjs-diffusion's native-backend.mjs" }),
    );
    run(
      "npm",
      [
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        `@tensorflow/tfjs-node@${TFJS_NODE}`,
        "node-api-headers@1.5.0",
      ],
      work,
    );
    step(`TensorFlow ${TENSORFLOW} from PyPI (207 MB)`);
    const wheel = await fetchWheel(work);
    step("unpack");
    unpack(wheel, work);
    step("compile the binding");
    compile(compiler, work);
    rmSync(join(work, "wheel"), { recursive: true });
    check(work);
    rmSync(target, { recursive: true, force: true });
    renameSync(work, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  report(target, "is built");
}

/** Where useBackend("node") looks: cacheFolder("native") in packages/core/src/backend/optional-package.ts. */
function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tfjs-diffusion", "native");
}

const packageIn = (folder) => join(folder, "node_modules", "@tensorflow", "tfjs-node");
const bindingIn = (folder) => join(packageIn(folder), "lib", "napi-v8", "tfjs_binding.node");

function requirePlatform() {
  const here = `${process.platform} on ${process.arch}`;
  const isGlibc = process.platform === "linux" && Boolean(process.report.getReport().header.glibcVersionRuntime);
  if (isGlibc && process.arch === "x64") return;
  throw new CannotBuild(
    `This script builds for Linux on x64 with glibc, and this is ${here}${process.platform === "linux" && !isGlibc ? " without glibc" : ""}. ` +
      "Try tfjs-node's own installer: npm install @tensorflow/tfjs-node (it downloads from storage.googleapis.com). " +
      "Without either, everything runs on WebAssembly.",
  );
}

function findCompiler() {
  const found = [process.env.CXX, "g++", "clang++"].find((name) => name && spawnSync(name, ["--version"]).status === 0);
  if (!found)
    throw new CannotBuild(
      "No C++ compiler: install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++) or set CXX.",
    );
  return found;
}

/** Downloads the wheel, by pip where there is one (it knows this machine's mirror), else from pypi.org. */
async function fetchWheel(work) {
  const folder = join(work, "wheel");
  mkdirSync(folder);
  const file = join(folder, WHEEL);
  const wanted = [
    "download",
    "-q",
    "--no-deps",
    "--only-binary=:all:",
    "--python-version=311",
    "--platform=manylinux_2_17_x86_64",
    `tensorflow-cpu==${TENSORFLOW}`,
    "-d",
    folder,
  ];
  const pips = [["pip"], ["pip3"], ["python3", "-m", "pip"]];
  const byPip = pips.some(
    ([command, ...args]) => spawnSync(command, [...args, ...wanted]).status === 0 && existsSync(file),
  );
  if (!byPip) writeFileSync(file, await fetchFromPypi());
  const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (sha256 !== WHEEL_SHA256)
    throw new CannotBuild(`${readdirSync(folder)} has the SHA-256 ${sha256}, not ${WHEEL_SHA256}.`);
  return file;
}

async function fetchFromPypi() {
  const address = `https://pypi.org/pypi/tensorflow-cpu/${TENSORFLOW}/json`;
  try {
    const { urls } = await (await globalThis.fetch(address)).json();
    const response = await globalThis.fetch(urls.find(({ filename }) => filename === WHEEL).url);
    return Buffer.from(await response.arrayBuffer());
  } catch (error) {
    throw new CannotBuild(
      `Neither pip nor ${address} gives the wheel ${WHEEL}: ${error.cause?.message ?? error.message}.`,
    );
  }
}

/** Takes the two libraries and the headers out of the wheel, which is a zip archive. */
function unpack(wheel, work) {
  const AdmZip = createRequire(join(work, "package.json"))("adm-zip"); // comes with tfjs-node
  const libraries = join(packageIn(work), "deps", "lib");
  for (const entry of new AdmZip(wheel).getEntries()) {
    const library = LIBRARIES.find((name) => entry.entryName === `tensorflow/${name}`);
    const to = library
      ? join(libraries, library)
      : HEADERS.test(entry.entryName) && join(work, "wheel", entry.entryName);
    if (!to) continue;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, entry.getData());
  }
}

function compile(compiler, work) {
  const tfjsNode = packageIn(work);
  mkdirSync(dirname(bindingIn(work)), { recursive: true });
  run(
    compiler,
    [
      ...["-O2", "-fPIC", "-shared", "-std=c++17", "-w", "-DNAPI_VERSION=8", "-DBUILDING_NODE_EXTENSION"],
      ...[
        join(work, "node_modules", "node-api-headers", "include"),
        join(work, "wheel", "tensorflow", "include"),
        join(tfjsNode, ".."),
      ].map((path) => `-I${path}`),
      ...["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(tfjsNode, "binding", name)),
      ...LIBRARIES.map((name) => join(tfjsNode, "deps", "lib", name)),
      ...["-Wl,-rpath,$ORIGIN/../../deps/lib", "-o", bindingIn(work)],
    ],
    work,
  );
}

/** Runs a convolution's gradient on what was built, in a process of its own. */
function check(work) {
  const program = `
    const util = require("node:util");
    util.isNullOrUndefined = (value) => value == null;
    util.isArray = Array.isArray;
    const tf = require("@tensorflow/tfjs-node");
    const gradient = tf.grad((filter) => tf.conv2d(tf.ones([1, 4, 4, 1]), filter, 1, "same").sum())(tf.ones([3, 3, 1, 1]));
    if (gradient.sum().dataSync()[0] !== 100) throw new Error("the gradient of a convolution is wrong");`;
  run(process.execPath, ["-e", program], work);
}

function run(command, args, cwd) {
  try {
    execFileSync(command, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" },
    });
  } catch (error) {
    const said = String(error.stderr ?? error.message)
      .trim()
      .split("\n")
      .slice(-8)
      .join("\n");
    throw new CannotBuild(`${command} ${args[0]} failed:\n${said}`);
  }
}

const step = (what) => console.log(`- ${what}`);

function report(folder, how) {
  const hint =
    folder === resolve(cacheFolder())
      ? 'useBackend("node") finds it.'
      : `Set TFJS_NODE_MODULE=${folder} for useBackend("node") to find it.`;
  console.log(`The native backend ${how}: ${folder}\n${hint}`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof CannotBuild ? error.message : error);
  process.exitCode = 1;
});
