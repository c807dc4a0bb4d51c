import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const RESOLUTIONS = {
  node: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

/** Errors in declarations of TensorFlow.js, which WebGPU's names in TypeScript's own library also collide with. */
const OTHERS = /^[^(]*(@tensorflow|@webgpu|lib[.]dom[.]d[.]ts)/;

/**
 * Checks a program and all declarations that it reads, with TypeScript 5.9 and 7, as an ES module and as CommonJS:
 * without Node's types, and with `skipLibCheck: false`. TensorFlow.js's own declarations do not pass that, so that only
 * errors outside of them count.
 */
export function checkTypes(app) {
  const folder = join(app, "types");
  const { exports } = JSON.parse(readFileSync(join(app, "node_modules/@tfjs-diffusion/core/package.json"), "utf8"));
  const entries = Object.keys(exports).filter((entry) => /^\.\/[a-z]+$/.test(entry));
  const all = entries.map((entry, i) => `export * as entry${i} from "@tfjs-diffusion/core${entry.slice(1)}";\n`);
  writeFileSync(join(folder, "entries.ts"), all.join(""));
  for (const [type, resolution] of [
    ["module", RESOLUTIONS.node],
    ["commonjs", RESOLUTIONS.node],
    ["module", RESOLUTIONS.bundler],
  ]) {
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type }));
    for (const compiler of ["typescript", "typescript-7"]) checkWith(compiler, resolution, type, folder);
  }
}

function checkWith(compiler, resolution, type, folder) {
  const compilerOptions = {
    ...resolution,
    target: "es2022",
    lib: ["es2022", "dom"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: [],
    noEmit: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const tsc = join(folder, "..", "node_modules", compiler, "bin", "tsc");
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", folder, "--listFiles"], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 1e8,
  });
  const lines = stdout.split("\n");
  const ours = lines.filter((line) => /@tfjs-diffusion.*\.d\.c?ts$/.test(line));
  const errors = lines.filter((line) => /error TS/.test(line) && !OTHERS.test(line));
  const how = `${compiler}, ${resolution.moduleResolution}, ${type}`;
  if (ours.length < 100) throw new Error(`${how}: only ${ours.length} declaration files of ours.\n${stdout}${stderr}`);
  if (errors.length > 0) throw new Error(`${how}:\n${errors.join("\n")}`);
  console.log(`Types are right: ${how}.`);
}
