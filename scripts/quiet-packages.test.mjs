import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import ts from "typescript";
import { isTest, sourceFiles } from "./floors.mjs";
import { root } from "./run.mjs";

/** The one place that may print: what it is for stands there. */
const WARN = "core/src/platform/warn.ts";

/** Uses of the console, of the terminal and of the end of the process, outside of comments and texts: `file:line`. */
function prints(file) {
  const source = ts.createSourceFile(file, readFileSync(join(root, "packages", file), "utf8"), ts.ScriptTarget.Latest);
  const found = [];
  const visit = (node) => {
    if (ts.isPropertyAccessExpression(node)) {
      const name = node.getText(source);
      if (/^(globalThis\.)?(console\.\w+|process\.(stdout|stderr|exit|exitCode))$/.test(name)) {
        found.push(`${file}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1} ${name}`);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

it("A published package prints nothing but warnings, and does not end the process", () => {
  const published = sourceFiles().filter((file) => /^(schedulers|core)\/src\//.test(file) && !isTest(file));
  expect(published.length).toBeGreaterThan(200);
  expect(published.filter((file) => file !== WARN).flatMap(prints)).toEqual([]);
  expect(prints(WARN)).toHaveLength(1);
});
