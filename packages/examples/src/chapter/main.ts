/**
 * Runs a chapter in the terminal, or renders it:
 *
 *     node dist/src/chapter/main.js 1                      prints what the first chapter shows
 *     node dist/src/chapter/main.js render 1 docs/chapters writes its page there, its notebook beside the compiled chapter
 *     node dist/src/chapter/main.js list                   the chapters' names and titles, as JSON
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chapterTitle } from "./cells.js";
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

const [command = "1", ...args] = process.argv.slice(2);
if (command === "list") {
  console.log(JSON.stringify(chapterNames().map((name) => ({ name, title: chapterTitle(readCells(name)) }))));
} else if (command === "render") {
  await render(findChapter(args[0] ?? ""), args[1] ?? "docs/chapters");
} else {
  const name = findChapter(command);
  redirectOutput(terminalSink(name));
  process.setSourceMapsEnabled(true);
  await import(pathToFileURL(join(COMPILED, `${name}.js`)).href);
}
