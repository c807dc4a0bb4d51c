import { Buffer } from "node:buffer";
import { chapterTitle } from "./cells.js";
import { escapeHtml, tableHtml, type Output } from "./output.js";
import type { Run } from "./run.js";

/**
 * A chapter's figures and tables as slides, one each under the heading of its section: one HTML file that needs no
 * other. Arrow keys and space turn them; printed, each is a page.
 */
export function renderSlides({ cells, outputs }: Run): string {
  const title = chapterTitle(cells);
  const slides = [slide("title", `<h1>${escapeHtml(title)}</h1><p>${inline(question(cells[0]!))}</p>`)];
  let heading = title;
  cells.forEach((cell, k) => {
    if (cell.kind === "markdown") heading = [...cell.text.matchAll(/^##+ (.*)$/gm)].at(-1)?.[1] ?? heading;
    else
      for (const output of outputs[k]!) {
        const shown = figure(output);
        if (shown !== undefined) slides.push(slide(output.kind, `<h2>${inline(heading)}</h2>${shown}`));
      }
  });
  return PAGE(title, slides.join("\n"));
}

/** What a chapter asks: the bold sentence that it opens with. */
function question(first: Run["cells"][number]): string {
  return first.kind === "markdown" ? (/\*\*([^*]+)\*\*/.exec(first.text)?.[1] ?? "").replaceAll("\n", " ") : "";
}

function figure(output: Output): string | undefined {
  switch (output.kind) {
    case "plot":
      return `<figure>${output.svg}<figcaption>${escapeHtml(output.caption)}</figcaption></figure>`;
    case "image": {
      const data = Buffer.from(output.png).toString("base64");
      const caption = escapeHtml(output.caption);
      return `<figure><img src="data:image/png;base64,${data}" alt="${caption}"><figcaption>${caption}</figcaption></figure>`;
    }
    case "table":
      return tableHtml(output);
    default:
      return undefined;
  }
}

/** A line of Markdown: code, emphasis, and links without their addresses. */
const inline = (text: string) =>
  escapeHtml(text)
    .replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .replace(/`([^`]+)`/g, "<code>$1</code>")
    .replace(/\*([^*]+)\*/g, "<em>$1</em>");

const slide = (kind: string, content: string) => `<section class="${kind}">${content}</section>`;

const PAGE = (title: string, slides: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}: slides</title>
<style>
  :root { color-scheme: light dark; font: 2.6vmin/1.4 system-ui, sans-serif; }
  html { scroll-snap-type: y mandatory; }
  body { margin: 0; background: Canvas; color: CanvasText; }
  section { box-sizing: border-box; height: 100vh; padding: 5vmin 8vmin; scroll-snap-align: start;
    display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 3vmin; }
  h1 { font-size: 7vmin; margin: 0; text-align: center; }
  h2 { font-size: 4.4vmin; margin: 0; align-self: flex-start; }
  .title p { font-size: 3.6vmin; max-width: 34em; text-align: center; }
  figure { margin: 0; flex: 1; min-height: 0; width: 100%; display: flex; flex-direction: column; gap: 2vmin;
    align-items: center; justify-content: center; }
  figure svg { width: auto; height: auto; max-width: 100%; min-height: 0; flex: 1; }
  figure img { width: min(100%, 130vmin); max-height: 66vh; object-fit: contain; image-rendering: pixelated; }
  figcaption, caption { color: GrayText; max-width: 60em; text-align: center; caption-side: bottom; padding-top: 1vmin; }
  table { border-collapse: collapse; margin: auto; }
  th, td { padding: 0.3em 0.8em; border-bottom: 1px solid GrayText; text-align: right; }
  @media print { section { break-after: page; height: 100vh; } }
</style>
<body>
${slides}
<script>
  addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const slides = document.querySelectorAll("section");
    const now = Math.round(scrollY / innerHeight);
    slides[Math.min(Math.max(now + by, 0), slides.length - 1)].scrollIntoView();
  });
</script>
</body>
</html>
`;
