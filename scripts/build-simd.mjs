// Compiles packages/core/assembly (AssemblyScript) into packages/core/src/backend/wasm/simd-binary.ts, with the types
// of its functions. Every function that a file of the folder exports, those in `lib` apart, is a kernel's.
// usage: node scripts/build-simd.mjs          writes the file
//        node scripts/build-simd.mjs --check  exits 1 if the file is not what the sources compile to
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** The files of the kernels. The folder `lib` holds what they share. */
const entries = readdirSync(join(core, "assembly"))
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => join("assembly", name));

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
    execFileSync(process.execPath, [compiler, ...entries, ...common, ...flags, "--outFile", file], {
      cwd: core,
      stdio: ["ignore", "inherit", "inherit"],
    });
    return readFileSync(file).toString("base64");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The exported functions as TypeScript sees them: whatever type a number has in WebAssembly. */
function signatures() {
  const functions = entries.flatMap((file) => {
    const source = readFileSync(join(core, file), "utf8");
    return [...source.matchAll(/^export function (\w+)\(([^)]*)\): (\w+)/gm)];
  });
  return functions.map(([, name, parameters, result]) => {
    const names = parameters.split(",").flatMap((parameter) => parameter.split(":")[0].trim() || []);
    const numbers = names.map((name) => `${name}: number`);
    const returned = result === "void" ? "void" : "number";
    const line = `  ${name}(${numbers.join(", ")}): ${returned};`;
    return line.length <= 120 ? line : `  ${name}(\n${numbers.map((one) => `    ${one},\n`).join("")}  ): ${returned};`;
  });
}

const binaries = Object.entries(builds).map(([name, flags]) => `  ${name}:\n    "${compile(name, flags)}",`);
const text = `// Made from packages/core/assembly by scripts/build-simd.mjs.

/** The functions of both binaries. Addresses are in bytes, sizes and strides in numbers. */
export interface SimdFunctions {
${signatures().join("\n")}
}

/** WebAssembly in base64. */
export const simdBinary = {
${binaries.join("\n")}
};
`;

if (!process.argv.includes("--check")) {
  writeFileSync(target, text);
} else if (readFileSync(target, "utf8") !== text) {
  console.error(`${target} is not what packages/core/assembly compiles to: run node scripts/build-simd.mjs`);
  process.exitCode = 1;
}
