import { basename } from "node:path";
import { chapterTitle, type Cell } from "./cells.js";
import { escapeHtml, plainText, tableHtml, type Output } from "./output.js";
import { hasSolutions, isSolutions, type Run } from "./run.js";
import { derivationDigest, type Score } from "./score.js";

/** A VitePress page and the pictures it shows, by their paths beside it. */
export interface Page {
  readonly markdown: string;
  readonly files: ReadonlyMap<string, string | Uint8Array>;
}

/** An executed chapter as a page: its Markdown, its code, and under each piece of code what it showed. */
export function renderPage(name: string, { cells, outputs }: Run, score?: Score): Page {
  const files = new Map<string, string | Uint8Array>();
  const plots: string[] = [];

  function renderCell(cell: Cell, k: number): string {
    if (cell.kind === "markdown") return cell.text;
    const code = ["```ts", cell.source, "```"].join("\n");
    const shown = outputs[k]!.map((output, j) => renderOutput(output, `${k}-${j + 1}`));
    const results = shown.length > 0 ? [`<div class="cell-output">\n\n${shown.join("\n\n")}\n\n</div>`] : [];
    const title = cell.folded && { "set-up": "Set-up", code: "Code" }[cell.folded];
    return [title ? `::: details ${title}\n${code}\n:::` : code, ...results].join("\n\n");
  }

  function renderOutput(output: Output, id: string): string {
    const figure = (className: string, content: string, caption: string) =>
      `<figure class="${className}">${content}<figcaption v-pre>${escapeHtml(caption)}</figcaption></figure>`;
    switch (output.kind) {
      case "text":
        return `<pre v-pre class="text">${escapeHtml(output.text).replace(/\n/g, "&#10;")}</pre>`;
      case "check":
        return `<p v-pre class="check">${escapeHtml(plainText(output))}</p>`;
      case "exercise":
        return `<p v-pre class="exercise ${output.state}">${escapeHtml(plainText(output))}</p>`;
      case "table":
        return `<div v-pre>${tableHtml(output)}</div>`;
      case "image": {
        const path = `./${basename(name)}/${id}.png`;
        files.set(path, output.png);
        return figure("picture", `<img src="${path}" alt="${escapeHtml(output.caption)}">`, output.caption);
      }
      case "plot": {
        const wide = inPage(`./${basename(name)}/${id}.svg`, output.svg);
        const narrow = inPage(`./${basename(name)}/${id}-narrow.svg`, output.narrow);
        return figure(
          "plot",
          `<div class="wide" v-html="${wide}"></div><div class="narrow" v-html="${narrow}"></div>`,
          output.caption,
        );
      }
    }
  }

  /** The variable with a plot's SVG: inside the page, not beside it, so that its lines take the page's text colour. */
  function inPage(path: string, svg: string): string {
    files.set(path, svg);
    const variable = `plot${plots.length}`;
    plots.push(`import ${variable} from ${JSON.stringify(`${path}?raw`)};`);
    return variable;
  }

  const rendered = cells.map(renderCell);
  const body = (isSolutions(name) ? foldSections(cells, rendered) : rendered).join("\n\n");
  const script = plots.length > 0 ? `\n\n<script setup>\n${plots.join("\n")}\n</script>` : "";
  return {
    markdown: `---\ntitle: ${JSON.stringify(chapterTitle(cells))}\n---\n\n${body}\n\n${footer(name, cells, score)}${script}\n`,
    files,
  };
}

/** Folds each section, so that nobody reads the solution of an exercise that they have not come to. */
function foldSections(cells: readonly Cell[], rendered: readonly string[]): string[] {
  const folded: string[] = [];
  let open = false;
  rendered.forEach((text, k) => {
    const cell = cells[k]!;
    const [heading, ...rest] = text.split("\n");
    if (cell.kind === "markdown" && heading!.startsWith("## ")) {
      if (open) folded.push(":::::");
      folded.push(`::::: details ${heading!.slice(3)}`, rest.join("\n"));
      open = true;
    } else folded.push(text);
  });
  return open ? [...folded, ":::::"] : folded;
}

/** How able the chapter's checks are to fail. */
function scoreText(name: string, cells: readonly Cell[], score: Score | undefined): string[] {
  if (!score) return [];
  const { caught, mutants, digest } = score;
  const earlier = digest === derivationDigest(cells) ? "" : " (of an earlier version)";
  return [
    `Of ${mutants} random mistakes of one token in its code${earlier}, its checks catch ${caught}` +
      ` (<code>npm run mutate -- ${Number(name.slice(0, 2))}</code>).`,
  ];
}

function footer(name: string, cells: readonly Cell[], score: Score | undefined): string {
  const solutions = hasSolutions(name) ? [`[Solutions of the exercises](./solutions/${name}.md)`, ""] : [];
  return [
    ...solutions,
    '<p class="chapter-source">',
    `This page is the file <code>packages/examples/chapters/${name}.ts</code>, executed when the site was built.`,
    ...scoreText(name, cells, score),
    `Take it as a <a href="./${basename(name)}.ipynb" target="_self" download>Jupyter notebook</a>` +
      (isSolutions(name) ? "." : `, or its figures as <a href="./${name}.slides.html" target="_self">slides</a>.`),
    "</p>",
  ].join("\n");
}
