/**
 * Runs a chapter in the terminal, or renders it:
 *
 *     node dist/src/chapter/main.js 1                      prints what the first chapter shows
 *     node dist/src/chapter/main.js 1 --report             also writes how far the reader is, for a teacher
 *     node dist/src/chapter/main.js reports FOLDER         prints a table of collected reports
 *     node dist/src/chapter/main.js solutions 1            prints its solutions
 *     node dist/src/chapter/main.js render 1 docs/chapters writes its page there, its notebook and slides beside the
 *                                                          code
 *     node dist/src/chapter/main.js list                   the chapters' names and titles, as JSON
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
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
import { readReports, reportsTable, writeReport } from "./report.js";
import { readScore } from "./score.js";
import { redirectOutput, terminalSink } from "./sink.js";
import { renderSlides } from "./slides.js";
import { collectSolutions } from "./solution.js";

/**
 * Executes a chapter and writes `<folder>/<name>.md` with its pictures, and the notebook and slides to dist/chapters;
 * the same for its solutions, without slides, in folders `solutions`.
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
  if (!isSolutions(name)) writeFileSync(join(COMPILED, `${name}.slides.html`), renderSlides(run));
  writeFileSync(join(COMPILED, `${name}.ipynb`), `${JSON.stringify(renderNotebook(run), null, 1)}\n`);
}

/** Whether to write a report, and whose it is. */
interface Reporting {
  report?: boolean;
  by?: string;
}

/**
 * Prints what the chapter shows, and how far the reader is with the exercises. A failed check ends it, with the
 * chapter's line and without a stack trace of this program.
 */
async function runInTerminal(name: string, { report = false, by = "" }: Reporting = {}): Promise<void> {
  redirectOutput(terminalSink(basename(name)));
  if (!isSolutions(name)) beginChapter(name);
  process.setSourceMapsEnabled(true);
  let isBroken = false;
  try {
    await import(pathToFileURL(join(COMPILED, `${name}.js`)).href);
  } catch (error) {
    if (!(error instanceof CheckError)) throw error;
    const line = /\d\d-[\w-]+\.ts:\d+/.exec(error.stack ?? "")?.[0] ?? name;
    console.error(`✗ ${error.message}\n  in ${line}`);
    process.exitCode = 1;
    isBroken = true;
  }
  const summary = exerciseSummary();
  if (summary) console.log(`\n${summary}`);
  if (report) {
    const exercises = attemptsSoFar().map(({ name, state }) => ({ name, state }));
    const file = join("out", "reports", `${name}.json`);
    writeReport(file, { chapter: name, by, at: new Date().toISOString(), whole: !isBroken, exercises });
    console.log(`Your report is in ${file}: it names the exercises and says whether they are right, by ${by}.`);
  }
  if (attemptsSoFar().some(({ state }) => state === "wrong")) process.exitCode = 1;
}

/** The reader's name on this machine, where it has one. */
function readerName(): string {
  try {
    return userInfo().username;
  } catch {
    return "";
  }
}

function commandLine(args: string[]) {
  try {
    const options = { report: { type: "boolean" }, by: { type: "string", default: readerName() } } as const;
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new NoChapterError(`${(error as Error).message.split(". ")[0]}. A chapter takes --report and --by NAME.`);
  }
}

async function run(args: string[]): Promise<void> {
  const { positionals, values } = commandLine(args);
  const [command = "1", first, second] = positionals;
  if (command === "list") {
    console.log(JSON.stringify(chapterNames().map((name) => ({ name, title: chapterTitle(readCells(name)) }))));
  } else if (command === "render") {
    await render(findChapter(first ?? ""), second ?? "docs/chapters");
  } else if (command === "solutions") {
    await runInTerminal(solutionsOf(findChapter(first ?? "")));
  } else if (command === "reports") {
    const { reports, others } = readReports(first ?? "out/reports");
    console.log(reportsTable(reports));
    if (others.length > 0) console.error(`Not reports of a chapter: ${others.join(", ")}.`);
  } else {
    await runInTerminal(findChapter(command), values);
  }
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof NoChapterError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
