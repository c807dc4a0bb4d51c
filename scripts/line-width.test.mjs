import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { root } from "./run.mjs";

const WIDTH = 120;

/** Comments, and Markdown outside tables and code. A line that cannot be broken, such as an address, may be long. */
function wideLines(file) {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  let isCode = false;
  return lines.flatMap((line, i) => {
    if (file.endsWith(".md") && /^\s*```/.test(line)) isCode = !isCode;
    const isText = file.endsWith(".md")
      ? !isCode && !/^\s*\|/.test(line)
      : /^\s*(\/\/|\*|\/\*\*)(?!.*\|.*\|)/.test(line);
    const isFormula = /\\(frac|sqrt|mathcal|tfrac|underbrace)/.test(line);
    const canBreak = !isFormula && !/https?:\/\/\S{40}|^!\[/.test(line) && /\s\S/.test(line.trim().slice(3));
    return isText && canBreak && line.length > WIDTH ? [`${file}:${i + 1}: ${line.length} columns`] : [];
  });
}

it(`comments and Markdown wrap at ${WIDTH} columns`, () => {
  const files = execFileSync("git", ["ls-files", "*.ts", "*.mjs", "*.cjs", "*.js", "*.md"], {
    cwd: root,
    encoding: "utf8",
  });
  const present = files.split("\n").filter((file) => file && existsSync(join(root, file)));
  expect(present.length).toBeGreaterThan(100);
  expect(present.flatMap(wideLines)).toEqual([]);
});
