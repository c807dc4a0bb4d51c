import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import ts from "typescript";
import { pngPixels } from "../packages/core/src/image/png/decode-png.js";
import { documentedCode, documentedPython } from "./docs-code.mjs";
import { root } from "./run.mjs";

/** A Python with torch and diffusers; the variable PYTHON names another than the one on the path. */
const PYTHON = process.env.PYTHON ?? "python3";
const FIND = "import importlib.util as u, sys; sys.exit(not (u.find_spec('diffusers') and u.find_spec('torch')))";
const hasDiffusers = spawnSync(PYTHON, ["-c", FIND]).status === 0;
// Python is not part of this project; docs/models.md says how to run this test.
const itWithPython = hasDiffusers ? it : it.skip;

const PAGE = "docs/models.md";
// Among the compiled examples, from where the packages are found.
const programs = join(root, "packages", "examples", "dist", "docs-python");

describe(`"Save, and hand on" in ${PAGE}`, () => {
  let folder;
  beforeAll(() => {
    if (!hasDiffusers) console.info(`Skipped: ${PYTHON} has no diffusers; PYTHON=… names another.`);
    folder = mkdtempSync(join(tmpdir(), "docs python "));
    mkdirSync(programs, { recursive: true });
    symlinkSync(join(root, "packages"), join(folder, "packages"), "junction");
  });
  afterAll(() => {
    rmSync(programs, { recursive: true });
    rmSync(folder, { recursive: true });
  });

  const [here, ...others] = documentedCode().filter(
    ({ where, code }) => where.startsWith(PAGE) && code.includes("here.png"),
  );
  const [there, ...more] = documentedPython(PAGE).filter((code) => code.includes("there.png"));

  it("is one block of TypeScript and one of Python, with the same request", () => {
    expect([here?.isRun, others.length, there !== undefined, more.length]).toEqual([true, 0, true, 0]);
  });

  itWithPython(
    "draws the same picture in both languages, from the folder that the first block saves",
    () => {
      const program = join(programs, "here.mjs");
      const OPTIONS = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      writeFileSync(program, ts.transpile(here.code, OPTIONS));
      execFileSync(process.execPath, [program], { cwd: folder, stdio: "pipe" });
      const { status, stderr } = spawnSync(PYTHON, ["-c", there], { cwd: folder, encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
      const [ours, theirs] = ["here.png", "there.png"].map((name) => pngPixels(readFileSync(join(folder, name)), {}));
      return Promise.all([ours, theirs]).then(([ours, theirs]) => {
        expect([theirs.width, theirs.height]).toEqual([ours.width, ours.height]);
        // A value between two bytes may be rounded to either.
        const levels = ours.colours.map((value, i) => Math.abs(value - theirs.colours[i]) * 255);
        expect(Math.max(...levels)).toBeLessThan(1.5);
        expect(new Set(ours.colours).size).toBeGreaterThan(50);
      });
    },
    600_000, // On a machine that does other work, Python takes minutes.
  );
});
