/**
 * Moves files to the folders that `scripts/move.txt` names and corrects every relative import. Run once, on 2026-11-30:
 *
 *   node scripts/move.mjs scripts/move.txt      lines "- from -> to", from the root of the repository
 *
 * A test goes with its file. Imports by `from`, `import()` and mocks are rewritten; paths in strings are not.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, posix } from "node:path";

const [layout] = process.argv.slice(2);
const git = (...args) => execFileSync("git", args, { encoding: "utf8" });
const files = git("ls-files", "packages", "scripts", "docs").split("\n").filter(Boolean);
const moves = new Map();
for (const line of readFileSync(layout, "utf8").split("\n")) {
  const [, from, to] = /^- (\S+) -> (\S+)$/.exec(line) ?? [];
  if (!from) continue;
  if (!existsSync(from)) throw new Error(`${from}: no such file`);
  moves.set(from, to);
}
for (const [from, to] of [...moves]) {
  const test = from.replace(/\.ts$/, ".test.ts");
  if (existsSync(test) && !moves.has(test)) moves.set(test, to.replace(/\.ts$/, ".test.ts"));
}

const isSource = (file) => /\.(ts|mjs|cjs|js)$/.test(file);
const target = (file, specifier) => {
  const path = posix.join(posix.dirname(file), specifier);
  return [path, path.replace(/\.js$/, ".ts")].find((candidate) => files.includes(candidate));
};
for (const file of files.filter(isSource)) {
  const here = moves.get(file) ?? file;
  const text = readFileSync(file, "utf8");
  const changed = text.replace(
    /((?:from|import|import\(|mockModule\(|typeof import\()\s*")(\.{1,2}\/[^"]+)(")/g,
    (whole, before, specifier, after) => {
      const old = target(file, specifier);
      if (!old) {
        console.error(`${file}: ${specifier} is no file`);
        return whole;
      }
      const there = moves.get(old) ?? old;
      let path = posix.relative(posix.dirname(here), there);
      if (!path.startsWith(".")) path = `./${path}`;
      if (specifier.endsWith(".js")) path = path.replace(/\.ts$/, ".js");
      return before + path + after;
    },
  );
  if (changed !== text) writeFileSync(file, changed);
}
for (const [from, to] of moves) {
  mkdirSync(dirname(to), { recursive: true });
  git("mv", from, to);
}
console.log(`${moves.size} files moved`);
