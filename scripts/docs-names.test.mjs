import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { root } from "./run.mjs";

const read = (file) => readFileSync(join(root, file), "utf8");
const documents = execFileSync("git", ["ls-files", "*.md"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file && existsSync(join(root, file)));

/** What `pattern` finds in the documents, as "document: name". */
const named = (pattern) =>
  documents.flatMap((file) => [...read(file).matchAll(pattern)].map(([, name]) => ({ file, name })));

/** Compiled files are not there before a build, but their sources are. A name in capitals is the reader's to choose. */
const exists = (path) =>
  /\/[A-Z]+\.mjs$/.test(path) ||
  existsSync(join(root, path)) ||
  /(^|\/)dist$/.test(path) ||
  existsSync(join(root, path.replace("/dist/", "/").replace(/\.js$/, ".ts")));

describe("Documents", () => {
  it("name commands that package.json has", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const commands = named(/npm run ([\w:-]*\w)/g);
    expect(commands.length).toBeGreaterThan(10);
    expect(commands.filter(({ name }) => !(name in scripts))).toEqual([]);
  });

  it("list every name of core's first entry, and no other, in docs/imports.md", () => {
    const entry = read("packages/core/src/index.ts").matchAll(/^export (?:type )?\{([^}]*)\}/gm);
    const exported = [...entry].flatMap(([, names]) => names.match(/\w+(?=\s*(,|$))/g) ?? []);
    const [, table] = read("docs/imports.md").split(/^## /m);
    const listed = [...table.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(listed.sort()).toEqual(exported.sort());
  });

  it("name files that are there", () => {
    const paths = named(/(?<![\w@/.-])((?:packages|docs|scripts)\/[\w./-]*\w)/g);
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.filter(({ name }) => !exists(name))).toEqual([]);
  });
});
