// Compiles packages/core/assembly (AssemblyScript) into packages/core/src/backend/wasm/simd-binary.ts.
// usage: node scripts/build-simd.mjs          writes the file
//        node scripts/build-simd.mjs --check  exits 1 if the file is not what the sources compile to
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const core = join(dirname(dirname(fileURLToPath(import.meta.url))), "packages", "core");
const target = join(core, "src", "backend", "wasm", "simd-binary.ts");
const compiler = join(
  dirname(createRequire(join(core, "package.json")).resolve("assemblyscript/package.json")),
  "bin",
  "asc.js",
);

/** One binary imports plain memory, one the shared memory of the threaded backend; the code is the same. */
const builds = {
  single: [],
  shared: ["--sharedMemory", "--maximumMemory", "65536", "--enable", "threads"],
};

function compile(name, flags) {
  const folder = mkdtempSync(join(tmpdir(), "simd-"));
  try {
    const file = join(folder, `${name}.wasm`);
    const common = [
      "--importMemory",
      "--noExportMemory",
      "--runtime",
      "stub",
      "--enable",
      "simd",
      "-O3",
      "--noAssert",
      "--converge",
      "--disableWarning", // v128 between our own functions: none of them is exported to JavaScript
      "112",
    ];
    execFileSync(process.execPath, [compiler, join("assembly", "index.ts"), ...common, ...flags, "--outFile", file], {
      cwd: core,
      stdio: ["ignore", "inherit", "inherit"],
    });
    return readFileSync(file).toString("base64");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const lines = Object.entries(builds).map(([name, flags]) => `  ${name}:\n    "${compile(name, flags)}",\n`);
const text = `// Compiled from packages/core/assembly by scripts/build-simd.mjs; base64 of WebAssembly.\nexport const simdBinary = {\n${lines.join("")}};\n`;

if (!process.argv.includes("--check")) {
  writeFileSync(target, text);
} else if (readFileSync(target, "utf8") !== text) {
  console.error(`${target} is not what packages/core/assembly compiles to: run node scripts/build-simd.mjs`);
  process.exitCode = 1;
}
