import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import ts from "typescript";
import { root } from "./run.mjs";

const core = join(root, "packages", "core");
const entries = readdirSync(join(core, "src")).filter((name) => existsSync(join(core, "src", name, "index.ts")));

/** Names that a file of `src` exports, by lists, by declarations, or all names of another file. */
function namesOf(...path) {
  const text = readFileSync(join(core, "src", ...path), "utf8");
  const { statements } = ts.createSourceFile("entry.ts", text, ts.ScriptTarget.ES2022);
  return statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement)) return declaredNames(statement);
    if (statement.exportClause) return statement.exportClause.elements.map(({ name }) => name.text);
    return namesOf(...path.slice(0, -1), statement.moduleSpecifier.text.replace(/\.js$/, ".ts"));
  });
}

function declaredNames({ modifiers = [], name, declarationList }) {
  if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
  return (declarationList?.declarations ?? [{ name }]).map(({ name }) => name.text);
}

describe("The entries of core", () => {
  it("are its first one and one for each folder that has an index", () => {
    const { exports } = JSON.parse(readFileSync(join(core, "package.json"), "utf8"));
    const subpaths = Object.keys(exports).filter((path) => /^\.\/[a-z]+$/.test(path));
    expect(subpaths).toEqual(entries.map((name) => `./${name}`));
    for (const name of entries) {
      const files = (dist) => ({ types: `${dist}/${name}/index.d.ts`, default: `${dist}/${name}/index.js` });
      const module = files("./dist");
      const expected = { "module-sync": module.default, require: files("./dist/cjs"), ...module };
      expect(exports[`./${name}`]).toEqual(expected);
      // The first condition that holds is taken: a Node that can require ES modules must not load both forms.
      expect(Object.keys(exports[`./${name}`])).toEqual(Object.keys(expected));
    }
  });

  it("export each name in one folder's entry only, and the first one what fits on a screen", () => {
    const names = entries.flatMap((name) => namesOf(name, "index.ts"));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
    const first = namesOf("index.ts");
    expect(first.filter((name) => !names.includes(name))).toEqual([]);
    expect(first.length).toBeLessThanOrEqual(45);
  });

  it("have no name on the first screen that no document shows", () => {
    const pages = execFileSync("git", ["ls-files", "*.md", "packages/examples/chapters/*.ts"], {
      cwd: root,
      encoding: "utf8",
    });
    const text = pages
      .split("\n")
      .filter((file) => file && existsSync(join(root, file)))
      .map((file) => readFileSync(join(root, file), "utf8"))
      .join("\n");
    expect(namesOf("index.ts").filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });
});
