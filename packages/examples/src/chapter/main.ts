/**
 * Runs a chapter in the terminal, or renders it:
 *
 *     node dist/src/chapter/main.js 1                      prints what the first chapter shows
 *     node dist/src/chapter/main.js solutions 1            prints its solutions
 *     node dist/src/chapter/main.js render 1 docs/chapters writes its page there, its notebook beside the code
 *     node dist/src/chapter/main.js list                   the chapters' names and titles, as JSON
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chapterTitle } from "./cells.js";
import { CheckError, NoChapterError } from "./errors.js";
import { attemptsSoFar, beginChapter, exerciseSummary, matchSolutions } from "./exercise.js";
import { renderNotebook } from "./notebook.js";
import { renderPage } from "./page.js";
import {
  chapterNames,
  COMPILED,
  findChapter,
  hasSolutions,
  isSolutions,
  readCells,
  runChapter,
  solutionsOf,
  type Run,
} from "./run.js";
import { readScore } from "./score.js";
import { redirectOutput, terminalSink } from "./sink.js";
import { collectSolutions } from "./solution.js";

/**
 * Executes a chapter and writes `<folder>/<name>.md` with its pictures, and the notebook to dist/chapters; the same
 * for its solutions, in folders `solutions`.
 */
async function render(name: string, folder: string): Promise<void> {
  write(name, await runChapter(name), folder);
  const made = attemptsSoFar();
  const solutions = await collectSolutions(async () => {
    if (hasSolutions(name)) write(solutionsOf(name), await runChapter(solutionsOf(name)), folder);
  });
  await matchSolutions(made, solutions);
}

function write(name: string, run: Run, folder: string): void {
  const { markdown, files } = renderPage(name, run, readScore(name));
  const page = join(folder, `${name}.md`);
  for (const [path, content] of [...files, [basename(page), markdown] as const]) {
    const file = join(dirname(page), path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  writeFileSync(join(COMPILED, `${name}.ipynb`), `${JSON.stringify(renderNotebook(run), null, 1)}\n`);
}

/**
 * Prints what the chapter shows, and how far the reader is with the exercises. A failed check ends it, with the
 * chapter's line and without a stack trace of this program.
 */
async function runInTerminal(name: string): Promise<void> {
  redirectOutput(terminalSink(basename(name)));
  if (!isSolutions(name)) beginChapter(name);
  process.setSourceMapsEnabled(true);
  try {
    await import(pathToFileURL(join(COMPILED, `${name}.js`)).href);
  } catch (error) {
    if (!(error instanceof CheckError)) throw error;
    const line = /\d\d-[\w-]+\.ts:\d+/.exec(error.stack ?? "")?.[0] ?? name;
    console.error(`✗ ${error.message}\n  in ${line}`);
    process.exitCode = 1;
  }
  const summary = exerciseSummary();
  if (summary) console.log(`\n${summary}`);
  if (attemptsSoFar().some(({ state }) => state === "wrong")) process.exitCode = 1;
}

async function run([command = "1", ...args]: string[]): Promise<void> {
  if (command === "list") {
    console.log(JSON.stringify(chapterNames().map((name) => ({ name, title: chapterTitle(readCells(name)) }))));
  } else if (command === "render") {
    await render(findChapter(args[0] ?? ""), args[1] ?? "docs/chapters");
  } else if (command === "solutions") {
    await runInTerminal(solutionsOf(findChapter(args[0] ?? "")));
  } else {
    await runInTerminal(findChapter(command));
  }
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof NoChapterError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
