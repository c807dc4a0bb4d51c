import { describe, expect, it } from "@jest/globals";
import { parseCells } from "./cells.js";
import { renderNotebook } from "./notebook.js";
import type { Output } from "./output.js";
import { renderPage } from "./page.js";
import { derivationDigest } from "./score.js";
import { renderSlides } from "./slides.js";

const OUTPUTS: Output[] = [
  { kind: "text", text: "1 < 2 & {{ x }}\n\nlast" },
  { kind: "check", text: "sum: got 4, want 4 exactly" },
  { kind: "table", columns: ["a<b", "c"], rows: [["1", "2"]], caption: "Numbers" },
  { kind: "plot", svg: '<svg xmlns="http://www.w3.org/2000/svg"></svg>', narrow: "<svg/>", caption: "A line" },
  { kind: "image", png: Uint8Array.of(137, 80, 78, 71), caption: 'A "face"' },
];
const run = {
  cells: parseCells(
    "// %% [markdown]\n// # Title\n//\n// [next](./02-more.md)\n\n// %%\nconst x = 1;\nconst y = 2;\n\n// %% setup\nx;\n\n// %% folded\ny;\n",
  ),
  outputs: [[], OUTPUTS, [OUTPUTS[1]!], [OUTPUTS[1]!]],
};

describe("renderPage", () => {
  const { markdown, files } = renderPage("01-title", run);

  it("puts each cell's outputs under its code", () => {
    const order = ["# Title", "const x = 1;", "1 &lt; 2", "sum: got 4", "a&lt;b", "plot0", "1-5.png", "details Set-up"];
    const places = order.map((text) => markdown.indexOf(text));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
  });

  it("escapes text for HTML, Markdown and Vue", () => {
    expect(markdown).toContain('<pre v-pre class="text">1 &lt; 2 &amp; {{ x }}&#10;&#10;last</pre>');
    expect(markdown).toContain('alt="A &quot;face&quot;"');
  });

  it("gives every picture it shows a file beside it", () => {
    expect([...files.keys()]).toEqual(["./01-title/1-4.svg", "./01-title/1-4-narrow.svg", "./01-title/1-5.png"]);
    expect(markdown).toContain('import plot0 from "./01-title/1-4.svg?raw";');
  });

  it("folds away the code of a folded cell, and not what it shows", () => {
    expect(markdown).toMatch(/::: details Set-up\n```ts\nx;\n```\n:::\n\n<div class="cell-output">/);
    expect(markdown).toMatch(/::: details Code\n```ts\ny;\n```\n:::\n\n<div class="cell-output">/);
  });

  it("says how many mistakes the chapter's checks catch, once that is known", () => {
    expect(markdown).not.toContain("mistakes");
    const score = { caught: 29, mutants: 30, of: 80, survivors: [], digest: derivationDigest(run.cells) };
    expect(renderPage("01-title", run, score).markdown).toContain(
      "Of 30 random mistakes of one token in its code, its checks catch 29",
    );
    expect(renderPage("01-title", run, { ...score, digest: "" }).markdown).toContain(
      "code (of an earlier version), its",
    );
  });

  it("has the chapter's title as its own", () => {
    expect(markdown).toMatch(/^---\ntitle: "Title"\n---\n/);
  });
});

describe("renderPage, of solutions", () => {
  const cells = parseCells(
    "// %% [markdown]\n// # Solutions\n//\n// Try first.\n\n// %% folded\nx;\n" +
      "\n// %% [markdown]\n// ## one\n//\n// Why.\n\n// %%\n1;\n\n// %% [markdown]\n// ## two\n\n// %%\n2;\n",
  );
  const { markdown, files } = renderPage("solutions/01-title", {
    cells,
    outputs: cells.map((_, k) => (k === 3 ? [OUTPUTS[4]!] : [])),
  });

  it("folds each section, text and code, and nothing before the first", () => {
    const text = markdown.replace(/\n+/g, "\n");
    expect(text).toContain("Try first.\n::: details Code\n```ts\nx;\n```\n:::\n::::: details one\nWhy.\n```ts\n1;");
    expect(text).toContain(":::::\n::::: details two\n```ts\n2;\n```\n:::::\n");
  });

  it("shows pictures that lie beside it", () => {
    expect([...files.keys()]).toEqual(["./01-title/3-1.png"]);
  });
});

interface Notebook {
  nbformat: number;
  nbformat_minor: number;
  metadata: { kernelspec: object; language_info: { name: string } };
  cells: {
    id: string;
    cell_type: string;
    source: string[];
    metadata: object;
    execution_count?: number;
    outputs?: Record<string, unknown>[];
  }[];
}

describe("renderNotebook", () => {
  const notebook = JSON.parse(JSON.stringify(renderNotebook(run))) as Notebook;

  it("is nbformat 4.5: cells with an id, code cells with a count and outputs, Markdown cells without", () => {
    expect([notebook.nbformat, notebook.nbformat_minor]).toEqual([4, 5]);
    for (const cell of notebook.cells) expect(cell.id).toMatch(/^[a-zA-Z0-9-_]{1,64}$/);
    expect(new Set(notebook.cells.map(({ id }) => id)).size).toBe(4);
    expect(notebook.cells.map(({ execution_count }) => execution_count)).toEqual([undefined, 1, 2, 3]);
    expect(notebook.cells.map(({ outputs }) => outputs?.length)).toEqual([undefined, 5, 1, 1]);
  });

  it("keeps every line of the source, with its line end", () => {
    expect(notebook.cells[1]!.source).toEqual(["const x = 1;\n", "const y = 2;"]);
  });

  it("links to the next chapter's notebook, not to its page", () => {
    expect(notebook.cells[0]!.source.at(-1)).toBe("[next](./02-more.ipynb)");
  });

  it("prints text and draws pictures, with plain text as the fallback", () => {
    const [text, , table, plot, image] = notebook.cells[1]!.outputs!;
    expect(text).toEqual({ output_type: "stream", name: "stdout", text: ["1 < 2 & {{ x }}\n", "\n", "last\n"] });
    expect(table).toMatchObject({ output_type: "display_data", metadata: {} });
    expect(table!["data"]).toHaveProperty(["text/plain"], "Numbers\na<b  c\n---  -\n  1  2");
    expect(Object.keys(plot!["data"] as object)).toEqual(["image/svg+xml", "text/plain"]);
    expect(image!["data"]).toEqual({ "image/png": "iVBORw==", "text/plain": '[A "face"]' });
  });
});

describe("renderSlides", () => {
  it("opens with the title and the question, and gives each figure and table a slide under its heading", () => {
    const text = "// %% [markdown]\n// # Title\n//\n// **What is\n// <this>?**\n\n// %%\nx;\n";
    const more = "\n// %% [markdown]\n// ## The `code` of [it](./02.md)\n\n// %%\ny;\n";
    const html = renderSlides({ cells: parseCells(text + more), outputs: [[], [], [], OUTPUTS] });
    const slides = [...html.matchAll(/<section class="(\w+)">([\s\S]*?)<\/section>/g)];
    expect(slides.map(([, kind]) => kind)).toEqual(["title", "table", "plot", "image"]);
    expect(slides[0]![2]).toBe("<h1>Title</h1><p>What is &lt;this&gt;?</p>");
    for (const [, , content] of slides.slice(1)) expect(content).toContain("<h2>The <code>code</code> of it</h2>");
    expect(slides[3]![2]).toContain('src="data:image/png;base64,iVBORw=="');
    // It needs no other file.
    expect(html).not.toMatch(/(?:src|href)="(?!data:)/);
  });
});
