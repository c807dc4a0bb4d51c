/**
 * Builds the site: executes the chapters into pages and notebooks, writes the API reference, lets VitePress make HTML.
 *
 *     npm run docs                everything, into docs/.vitepress/dist
 *     npm run docs -- --dev       the same pages in VitePress's development server, which follows edits of docs/*.md
 *     npm run docs -- --chapters  the chapters alone
 *     npm run docs -- --quick     all but the chapters and the API reference, in half a minute; with --dev, too
 *     npm run docs -- --to=FOLDER into this folder
 *
 * Nothing here needs a network.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { buildBenchPage, copyLabFiles } from "./web-pages.mjs";
import { node, root } from "./run.mjs";

const docs = join(root, "docs");
const pages = join(docs, "chapters");
const compiled = join(root, "packages", "examples", "dist");
const chapterTool = join(compiled, "src", "chapter", "main.js");

async function run(what, args) {
  console.error(what);
  const code = await node(args);
  if (code !== 0) {
    console.error(`${what} ended with ${code}; its messages are above.`);
    process.exit(code);
  }
}

async function renderChapters() {
  rmSync(pages, { recursive: true, force: true });
  const chapters = JSON.parse(execFileSync(process.execPath, [chapterTool, "list"], { encoding: "utf8" }));
  for (const { name, title } of chapters)
    await run(`Chapter ${name}: ${title}`, ["--no-warnings", chapterTool, "render", name, pages]);
  const links = (folder) =>
    chapters.map(({ name, title }) => ({ text: numbered(name, title), link: `${folder}/${name}` }));
  const solutions = { text: "Solutions", collapsed: true, items: links("/chapters/solutions") };
  const sidebar = [...links("/chapters"), solutions];
  mkdirSync(pages, { recursive: true });
  writeFileSync(join(pages, "sidebar.json"), JSON.stringify(sidebar));
  return chapters;
}

/** "4. Score, SDE, ODE"; an appendix, whose file begins with 91 or more, has its letter in the title. */
function numbered(name, title) {
  const number = Number(name.slice(0, 2));
  return number > 90 ? title : `${number}. ${title}`;
}

async function renderApi() {
  rmSync(join(docs, "api"), { recursive: true, force: true });
  await run("API reference", ["node_modules/typedoc/bin/typedoc", "--logLevel", "Warn"]);
}

const options = process.argv.slice(2);
const known = ["--dev", "--chapters", "--quick"];
const to = options.find((option) => option.startsWith("--to="))?.slice("--to=".length);
const site = to === undefined ? join(docs, ".vitepress", "dist") : resolve(to);
const unknown = options.find((option) => !known.includes(option) && !option.startsWith("--to="));
if (unknown) {
  console.error(`npm run docs: there is no option ${unknown}; the options are ${known.join(", ")} and --to=FOLDER.`);
  process.exit(1);
}

const isQuick = options.includes("--quick");
const chapters = isQuick ? [] : await renderChapters();
if (options.includes("--chapters")) process.exit(0);
if (!isQuick) await renderApi();
await buildBenchPage(join(docs, "public", "bench"));
copyLabFiles(join(docs, "public"));
const vitepress = "node_modules/vitepress/bin/vitepress.js";
if (options.includes("--dev")) {
  process.exitCode = await node([vitepress, "dev", "docs"]);
} else {
  await run("VitePress", [vitepress, "build", "docs", "--outDir", site]);
  for (const { name } of chapters)
    for (const file of [`${name}.ipynb`, `solutions/${name}.ipynb`, `${name}.slides.html`])
      copyFileSync(join(compiled, "chapters", file), join(site, "chapters", file));
  console.log(`The site is in ${relative(root, site)}. Look at it with: npx vitepress preview docs`);
}
