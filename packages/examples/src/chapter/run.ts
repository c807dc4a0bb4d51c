import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { markCells, parseCells, type Cell } from "./cells.js";
import { ChapterError, NoChapterError } from "./errors.js";
import { beginChapter } from "./exercise.js";
import { withHead } from "./head.js";
import type { Output } from "./output.js";
import { redirectOutput } from "./sink.js";

/** packages/examples, seen from its compiled form dist/src/chapter. */
const PACKAGE = fileURLToPath(new URL("../../../", import.meta.url));
export const SOURCES = join(PACKAGE, "chapters");
/** Where the compiled chapters are: a chapter's own imports, `../src/…`, lead from here to compiled files. */
export const COMPILED = join(PACKAGE, "dist", "chapters");

/** A chapter that has been executed. */
export interface Run {
  readonly cells: readonly Cell[];
  /** For each cell, what it showed. */
  readonly outputs: readonly (readonly Output[])[];
}

/** The chapters' names in reading order: `01-forward-noising`, … */
export function chapterNames(): string[] {
  return readdirSync(SOURCES)
    .filter((file) => /^\d\d-.*\.ts$/.test(file) && !file.endsWith(".test.ts"))
    .map((file) => file.slice(0, -3))
    .sort();
}

/** The chapter's name, given that, its number, or its file. */
export function findChapter(wanted: string): string {
  const names = chapterNames();
  const plain = wanted.replace(/^.*[\\/]/, "").replace(/\.[jt]s$/, "");
  const name = names.find(
    (name) => name === plain || (/^\d+$/.test(plain) && Number(name.slice(0, 2)) === Number(plain)),
  );
  if (!name) throw new NoChapterError(`There is no chapter "${wanted}". The chapters are ${names.join(", ")}.`);
  return name;
}

/** The chapter's file of solutions, as a chapter of its own. */
export const solutionsOf = (name: string): string => `solutions/${name}`;
export const isSolutions = (name: string): boolean => name.startsWith(solutionsOf(""));
export const hasSolutions = (name: string): boolean => existsSync(join(SOURCES, `${solutionsOf(name)}.ts`));

export function readCells(name: string): Cell[] {
  return parseCells(readFileSync(join(SOURCES, `${name}.ts`), "utf8"), `${name}.ts`);
}

/**
 * Executes a chapter's file, as it stands in packages/examples/chapters, and keeps what each cell shows.
 * A chapter runs once in a process, like any module.
 *
 * @throws what the chapter throws: a CheckError where a number is not what it should be
 */
export async function runChapter(name: string): Promise<Run> {
  const file = join(SOURCES, `${name}.ts`);
  const text = readFileSync(file, "utf8");
  const cells = parseCells(text, `${name}.ts`);
  const outputs: Output[][] = cells.map(() => []);
  let current = 0;
  redirectOutput((output) => outputs[current]!.push(output));
  // The chapter's program is a module of its own; it reaches this one through the global object.
  (globalThis as { enterCell?: (cell: number) => void }).enterCell = (cell) => (current = cell);

  if (!isSolutions(name)) beginChapter(name);
  const marked = markCells(text, cells, (cell) => `enterCell(${cell})`);
  await importProgram(name, marked, "cells");
  return { cells: isSolutions(name) ? cells : withHead(name, chapterNames(), cells), outputs };
}

/** Executes `text` as the chapter's program; `suffix` tells it from others in the same process. */
export async function importProgram(name: string, text: string, suffix: string): Promise<void> {
  if (!existsSync(COMPILED)) throw new ChapterError(`${COMPILED} is missing: build first, with npx tsc -b.`);
  const program = join(COMPILED, `${name}.${suffix}.js`);
  writeFileSync(program, transpile(text, join(SOURCES, `${name}.ts`)));
  process.setSourceMapsEnabled(true);
  try {
    await import(pathToFileURL(program).href);
  } finally {
    rmSync(program);
  }
}

/** Strips the types. The source map inside makes an error's stack name the chapter's own lines. */
function transpile(text: string, file: string): string {
  return ts.transpileModule(text, {
    fileName: relative(COMPILED, file),
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      inlineSourceMap: true,
      inlineSources: true,
    },
  }).outputText;
}
