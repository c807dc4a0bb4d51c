/**
 * Packs what would be published, has publint and attw judge it, installs it with npm into an empty folder, and uses it
 * there from plain JavaScript and from TypeScript under both modern module resolutions.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { packAll } from "./packages.mjs";
import { readmeCode } from "./readme.mjs";
import { node, npmScript, root } from "./run.mjs";

const folder = mkdtempSync(join(tmpdir(), "packed packages "));
try {
  await must("tsc", ["node_modules/typescript/bin/tsc", "-b"]);
  const tarballs = await packAll(join(folder, "tarballs"));
  for (const tarball of tarballs) {
    await must("publint", ["node_modules/publint/src/cli.js", tarball, "--strict"]);
    await must("attw", [
      "node_modules/@arethetypeswrong/cli/dist/index.js",
      tarball,
      "--profile",
      "esm-only",
      "--quiet",
    ]);
  }
  await useFromOutside(tarballs);
  console.log("The packed packages install with npm and work from JavaScript and TypeScript.");
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function useFromOutside(tarballs) {
  const app = join(folder, "app");
  mkdirSync(app);
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const write = (name, content) => writeFileSync(join(app, name), content);
  write("package.json", JSON.stringify({ name: "app", private: true, type: "module" }));
  const others = ["@tensorflow/tfjs", "@types/node", "typescript"].map((name) => `${name}@${dependencies[name]}`);
  await must("npm install", [npmScript("npm"), "install", "--no-audit", "--no-fund", ...tarballs, ...others], app);

  const [example] = readmeCode("js");
  const { exports } = JSON.parse(readFileSync(join(root, "packages", "core", "package.json"), "utf8"));
  const subpaths = Object.keys(exports).filter((path) => /^\.\/[a-z]+$/.test(path));
  const everything = subpaths.map((path, i) => `export * as entry${i} from "@tfjs-diffusion/core${path.slice(1)}";`);
  write(
    "use.ts",
    `${example}\n${everything.join("\n")}\nconst typed: number = drawn.images.shape[0];\nconsole.log(typed);\n`,
  );
  for (const [module, moduleResolution] of [
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ]) {
    const options = {
      module,
      moduleResolution,
      target: "es2022",
      strict: true,
      skipLibCheck: true,
      types: ["node"],
      noEmit: true,
    };
    write("tsconfig.json", JSON.stringify({ compilerOptions: options, files: ["use.ts"] }));
    await must(`TypeScript under ${moduleResolution}`, ["node_modules/typescript/bin/tsc", "-p", "."], app);
  }
  checkDeclarations(join(app, "use.ts"), join(app, "node_modules", "@types"));
  write("use.js", example);
  await must("plain JavaScript", ["use.js"], app);
  // As people try things out. A thread that took over this option would not start.
  const twoThreads = `
    import { useBackend } from "@tfjs-diffusion/core";
    const { detail } = await useBackend("wasm", { threads: 2 });
    if (detail !== "2 threads") throw new Error(detail);`;
  await must("two threads from the command line", ["--input-type=module", "-e", twoThreads], app);
}

/** Our declaration files pass TypeScript's strictest settings. Those of TensorFlow.js do not, so only ours count. */
function checkDeclarations(entry, typeRoot) {
  const program = ts.createProgram([entry], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    typeRoots: [typeRoot],
    types: ["node"],
    noEmit: true,
  });
  const files = program.getSourceFiles().filter(({ fileName }) => /[/]@tfjs-diffusion[/].*[.]d[.]ts$/.test(fileName));
  if (files.length < 100) throw new Error(`Only ${files.length} declaration files of ours were found.`);
  const wrong = files.flatMap((file) => program.getSemanticDiagnostics(file));
  if (wrong.length === 0) return;
  const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => root, getNewLine: () => "\n" };
  throw new Error(`Declaration files:\n${ts.formatDiagnostics(wrong, host)}`);
}

async function must(what, args, cwd = root) {
  const code = await node(args, { cwd });
  if (code !== 0) throw new Error(`${what} ended with ${code}.`);
}
