import { ChapterError } from "./errors.js";

/** Why a page folds code away: it is the set-up of what follows, or matters less than what it shows. */
export type Folded = "set-up" | "code";

/** A piece of a chapter between two `// %%` lines. `line` is the marker's own line, from 1. */
export type Cell =
  | { readonly kind: "markdown"; readonly line: number; readonly text: string }
  | { readonly kind: "code"; readonly line: number; readonly source: string; readonly folded?: Folded };

const FOLDED: Record<string, Folded | undefined> = { "": undefined, setup: "set-up", folded: "code" };
const MARKER = /^\/\/ %%(?: (.*))?$/;

/**
 * Splits a chapter into cells, in the percent format that VS Code, Jupytext and Spyder know:
 *
 *     // %% [markdown]       comment lines follow; without their `// ` they are Markdown
 *     // %%                  code follows
 *     // %% setup            imports, backend and seeds, which a page folds away
 *     // %% folded           code that matters less than what it shows, such as that of a plot; folded, too
 *
 * @throws ChapterError with the file's line for text outside of a cell, an unknown marker, code in a Markdown cell,
 * or a chapter that does not open with a title
 */
export function parseCells(text: string, file = "chapter"): Cell[] {
  const fail = (line: number, message: string) => new ChapterError(`${file}:${line}: ${message}`);
  const cells: Cell[] = [];
  const lines = text.split(/\r?\n/);
  const starts = lines.flatMap((line, i) => (MARKER.test(line) ? [i] : []));
  const outside = lines.slice(0, starts[0] ?? lines.length).findIndex((line) => line.trim() !== "");
  if (outside >= 0) throw fail(outside + 1, "a chapter begins with `// %% [markdown]`; this line is in no cell.");

  starts.forEach((start, k) => {
    const marker = (MARKER.exec(lines[start]!)![1] ?? "").trim();
    const body = lines.slice(start + 1, starts[k + 1]);
    const line = start + 1;
    if (marker === "[markdown]") {
      cells.push({ kind: "markdown", line, text: trimBlankLines(body.map(uncomment)) });
    } else if (Object.hasOwn(FOLDED, marker)) {
      const folded = FOLDED[marker];
      cells.push({ kind: "code", line, source: trimBlankLines(body), ...(folded && { folded }) });
    } else {
      throw fail(line, `unknown cell "${marker}"; write // %%, // %% setup, // %% folded or // %% [markdown].`);
    }

    function uncomment(text: string, i: number): string {
      if (text.trim() === "") return "";
      const comment = /^\/\/(?: (.*))?$/.exec(text);
      if (!comment)
        throw fail(line + 1 + i, "a Markdown cell holds lines that begin with `// `; code needs its own `// %%`.");
      return comment[1] ?? "";
    }
  });

  const first = cells[0];
  if (first?.kind !== "markdown" || !first.text.startsWith("# ")) {
    throw fail(1, "a chapter opens with a Markdown cell whose first line is its title: `// # Forward noising`.");
  }
  return cells;
}

/** The chapter's title: the first line of its first cell. */
export function chapterTitle(cells: readonly Cell[]): string {
  const first = cells[0];
  return first?.kind === "markdown" ? first.text.split("\n")[0]!.slice(2) : "";
}

/**
 * The chapter as a program that says which cell it is in: `enter(k)` in place of the marker of each code cell k. No
 * line moves, so that an error still names the line of the chapter.
 */
export function markCells(text: string, cells: readonly Cell[], enter: (cell: number) => string): string {
  const lines = text.split(/\r?\n/);
  cells.forEach((cell, k) => {
    if (cell.kind === "code") lines[cell.line - 1] = `;${enter(k)};`;
  });
  return lines.join("\n");
}

function trimBlankLines(lines: readonly string[]): string {
  return lines
    .join("\n")
    .replace(/^(?:[ \t]*\n)+/, "")
    .trimEnd();
}
