import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import ts from "typescript";
import { writeDocumentedFiles } from "./docs-code-models.mjs";
import { documentedCode } from "./docs-code.mjs";
import { root } from "./run.mjs";

/** Runs after each snippet. Readers copy what they see into loops, so a snippet frees all that it makes. */
const COUNT = `
import { memory as memoryAtTheEnd } from "@tensorflow/tfjs";
const tensorsLeft = memoryAtTheEnd().numTensors;
if (tensorsLeft !== 0) throw new Error("The snippet leaves " + tensorsLeft + " tensors. Dispose of them.");
`;

// Among the compiled examples, from where the packages and the chapters' tools are found.
const programs = join(root, "packages", "examples", "dist", "docs-code");
const blocks = documentedCode().map((block, i) => ({ ...block, file: join(programs, `${i}.mts`) }));

const OPTIONS = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: ["node"],
};

describe("The code in README files and in docs", () => {
  let folder;
  beforeAll(async () => {
    mkdirSync(programs, { recursive: true });
    for (const { file, code } of blocks) writeFileSync(file, code);
    writeFileSync(
      join(programs, "bundler.d.ts"),
      'declare module "*?url" { const url: string; export default url; }\n',
    );
    folder = mkdtempSync(join(tmpdir(), "docs code "));
    await writeDocumentedFiles(folder);
  });
  afterAll(() => {
    rmSync(programs, { recursive: true });
    rmSync(folder, { recursive: true });
  });

  it("is found", () => {
    expect(blocks.filter(({ isRun }) => isRun).length).toBeGreaterThan(3);
    expect(blocks.map(({ where }) => where)).toContainEqual(expect.stringContaining("docs/training.md"));
  });

  it("runs, unless it needs a bundler or a server", () => {
    const compiledOnly = blocks.filter(({ isRun }) => !isRun).map(({ where }) => where.replace(/:\d+$/, ""));
    expect([...new Set(compiledOnly)]).toEqual(["docs/server.md", "docs/tools.md", "docs/worker.md"]);
  });

  it("has no type errors", () => {
    const program = ts.createProgram([...blocks.map(({ file }) => file), join(programs, "bundler.d.ts")], OPTIONS);
    const errors = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
      const block = blocks.find((block) => file && block.file.endsWith(file.fileName.split("/").at(-1)));
      return `${block?.where}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
    expect(errors).toEqual([]);
  });

  it.each(blocks.filter(({ isRun }) => isRun).map((block) => [block.where, block]))(
    "runs as it stands and leaves no tensor: %s",
    (_, { file, code }) => {
      const program = file.replace(/mts$/, "mjs");
      const counted = code + COUNT;
      writeFileSync(program, ts.transpile(counted, { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }));
      execFileSync(process.execPath, [program], { cwd: folder, stdio: "pipe", timeout: 120_000 });
    },
    120_000,
  );

  it("draws a picture in the first README", () => {
    expect(readFileSync(join(folder, "portraits.png")).subarray(1, 4).toString()).toBe("PNG");
  });
});
