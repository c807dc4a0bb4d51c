import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cell } from "./cells.js";
import { SOURCES } from "./run.js";

/** How many mutants of a chapter its checks caught (`mutate.ts`). */
export interface Score {
  readonly caught: number;
  /** How many were tried, of how many that there are. */
  readonly mutants: number;
  readonly of: number;
  /** Line and change of those that nothing noticed. */
  readonly survivors: readonly string[];
  /** Of the code that was changed. */
  readonly digest: string;
}

const FOLDER = join(SOURCES, "mutants");

/** A digest of a chapter's code that is not folded, without its comments and spaces. */
export function derivationDigest(cells: readonly Cell[]): string {
  const code = cells.map((cell) => (cell.kind === "code" && !cell.folded ? cell.source : ""));
  const bare = code
    .join("\n")
    .replace(/^\s*\/\/.*$/gm, "")
    .replace(/\s+/g, "");
  return createHash("sha256").update(bare).digest("hex").slice(0, 16);
}

export function writeScore(name: string, score: Score): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, `${name}.json`), `${JSON.stringify(score, null, 2)}\n`);
}

/** The chapter's score; undefined before its first. */
export function readScore(name: string): Score | undefined {
  const file = join(FOLDER, `${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Score) : undefined;
}
