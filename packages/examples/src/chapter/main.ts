/**
 * Runs a chapter in the terminal, or renders it:
 *
 *     node dist/src/chapter/main.js 1                      prints what the first chapter shows
 *     node dist/src/chapter/main.js render 1 docs/chapters writes its page there, its notebook beside the code
 *     node dist/src/chapter/main.js list                   the chapters' names and titles, as JSON
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chapterTitle } from "./cells.js";
import { CheckError } from "./errors.js";
import { renderNotebook } from "./notebook.js";
import { renderPage } from "./page.js";
import { chapterNames, COMPILED, findChapter, readCells, runChapter } from "./run.js";
import { redirectOutput, terminalSink } from "./sink.js";

/** Executes a chapter and writes `<folder>/<name>.md` with its pictures, and the notebook to dist/chapters. */
async function render(name: string, folder: string): Promise<void> {
  const run = await runChapter(name);
  const { markdown, files } = renderPage(name, run);
  for (const [path, content] of [...files, [`${name}.md`, markdown] as const]) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  writeFileSync(join(COMPILED, `${name}.ipynb`), `${JSON.stringify(renderNotebook(run), null, 1)}\n`);
}

/**
 * Prints what the chapter shows. A failed check ends it, with the chapter's line and without a stack trace of this
 * program.
 */
async function runInTerminal(name: string): Promise<void> {
  redirectOutput(terminalSink(name));
  process.setSourceMapsEnabled(true);
  try {
    await import(pathToFileURL(join(COMPILED, `${name}.js`)).href);
  } catch (error) {
    if (!(error instanceof CheckError)) throw error;
    const line = /\d\d-[\w-]+\.ts:\d+/.exec(error.stack ?? "")?.[0] ?? name;
    console.error(`✗ ${error.message}\n  in ${line}`);
    process.exitCode = 1;
  }
}

const [command = "1", ...args] = process.argv.slice(2);
if (command === "list") {
  console.log(JSON.stringify(chapterNames().map((name) => ({ name, title: chapterTitle(readCells(name)) }))));
} else if (command === "render") {
  await render(findChapter(args[0] ?? ""), args[1] ?? "docs/chapters");
} else {
  await runInTerminal(findChapter(command));
}
