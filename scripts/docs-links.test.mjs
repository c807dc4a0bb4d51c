import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { root } from "./run.mjs";

const docs = join(root, "docs");
const chapters = join(root, "packages", "examples", "chapters");

/** Pages by the path they have in the site's folder: those that are written there, and the chapters' Markdown cells. */
const pages = new Map([
  ...["", "lab"]
    .flatMap((folder) => readdirSync(join(docs, folder)).map((file) => join(folder, file)))
    .filter((file) => file.endsWith(".md"))
    .map((file) => [join(docs, file), readFileSync(join(docs, file), "utf8")]),
  ...readdirSync(chapters, { recursive: true })
    .filter((file) => /(^|\/)\d\d-[^/]*\.ts$/.test(file))
    .map((file) => [
      join(docs, "chapters", file.replace(/ts$/, "md")),
      markdownOf(readFileSync(join(chapters, file), "utf8")),
    ]),
]);

function markdownOf(chapter) {
  const cells = chapter.split(/^\/\/ %%/m).filter((cell) => cell.startsWith(" [markdown]"));
  return cells.map((cell) => cell.replace(/^\/\/ ?/gm, "")).join("\n");
}

const withoutCode = (markdown) => markdown.replace(/^```[^]*?^```/gm, "").replace(/`[^`\n]*`/g, "");

/** Pages that `npm run docs` bundles (web-pages.mjs), by what they are made of. */
const BUNDLED = {
  "bench/index.html": "packages/examples/bench/browser/index.html",
};

/** Targets of links in Markdown, in HTML and in a page's head, other than to other hosts. */
const linksOf = (markdown) =>
  [...withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)|^\s*link: (\S+)|<a href="([^"]+)"/gm)]
    .map(([, ...places]) => places.find((link) => link !== undefined))
    .filter((link) => !/^[a-z]+:/.test(link));

/** A heading's anchor, as VitePress makes it. */
const anchorsOf = (markdown) =>
  [...withoutCode(markdown).matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, ""),
  );

/** What is wrong with a link, if anything. */
function problem(page, link) {
  const [path, anchor] = link.split("#");
  const file = path === "" ? page : path.startsWith("/") ? join(docs, path) : resolve(dirname(page), path);
  if (relative(docs, file).startsWith("api")) return undefined; // Made by typedoc; VitePress's build looks after them.
  const source = BUNDLED[relative(docs, file).replaceAll("\\", "/")];
  if (source) return existsSync(join(root, source)) ? undefined : `${link}: ${source} is not there`;
  if (/\.(png|svg)$/.test(file)) return undefined; // Made with the chapters; likewise.
  const target = [file, `${file}.md`].find((name) => pages.has(name));
  if (!target) return existsSync(file) ? undefined : `${link}: there is no such page`;
  if (anchor && !anchorsOf(pages.get(target)).includes(anchor)) return `${link}: there is no such heading`;
}

describe("the site's links", () => {
  it.each([...pages.keys()].map((page) => [relative(docs, page), page]))(
    "%s links to pages and headings that are there",
    (_, page) => {
      expect(
        linksOf(pages.get(page))
          .map((link) => problem(page, link))
          .filter(Boolean),
      ).toEqual([]);
    },
  );

  it("are found at all", () => {
    expect([...pages.values()].flatMap(linksOf).length).toBeGreaterThan(10);
    expect(problem(join(docs, "index.md"), "./nowhere.md")).toMatch("no such page");
    expect(problem(join(docs, "index.md"), "./training.md#nowhere")).toMatch("no such heading");
  });

  it("lead from the sidebar to pages that are there", () => {
    const config = readFileSync(join(docs, ".vitepress", "config.ts"), "utf8");
    const links = [...config.matchAll(/link: "(\/[^"]+)"/g)].map(([, link]) => link);
    expect(links.length).toBeGreaterThan(3);
    expect(links.map((link) => problem(join(docs, "index.md"), link)).filter(Boolean)).toEqual([]);
  });
});
