import type { Cell } from "./cells.js";
import { ChapterError } from "./errors.js";

/** What a chapter says about itself before it begins. */
interface Head {
  /** Numbers of the chapters that it builds on. */
  readonly needs: readonly number[];
  /** About how long it runs, on one core with WebAssembly. */
  readonly seconds: number;
}

const HEADS: Readonly<Record<number, Head>> = {
  0: { needs: [], seconds: 3 },
  1: { needs: [0], seconds: 5 },
  2: { needs: [1], seconds: 5 },
  3: { needs: [1, 2], seconds: 20 },
  4: { needs: [1, 2, 3], seconds: 5 },
  5: { needs: [2, 3], seconds: 20 },
  6: { needs: [2, 4], seconds: 15 },
  7: { needs: [0, 2], seconds: 20 },
  8: { needs: [2, 3, 7], seconds: 50 },
  9: { needs: [0, 2, 7], seconds: 10 },
  10: { needs: [2, 3], seconds: 15 },
  11: { needs: [3, 7, 10], seconds: 15 },
  12: { needs: [3, 10, 11], seconds: 15 },
  13: { needs: [3, 4, 11], seconds: 20 },
  14: { needs: [7, 9, 11], seconds: 10 },
  91: { needs: [0, 2], seconds: 5 },
  92: { needs: [0], seconds: 5 },
  93: { needs: [7], seconds: 10 },
};

/**
 * The chapter's cells, with a line at the end of the first that says what it needs and how long it takes.
 *
 * @param names of all chapters
 * @throws ChapterError for a chapter without a head, or one that needs a chapter which is not there or comes later
 */
export function withHead(name: string, names: readonly string[], cells: readonly Cell[]): Cell[] {
  const number = Number(name.slice(0, 2));
  const head = HEADS[number];
  const [first, ...rest] = cells;
  if (!head || first?.kind !== "markdown")
    throw new ChapterError(
      `Chapter ${name} has no head: say in src/chapter/head.ts what it needs and how long it runs.`,
    );
  const links = head.needs.map((needed) => {
    const file = names.find((other) => Number(other.slice(0, 2)) === needed);
    if (!file || needed >= number)
      throw new ChapterError(`Chapter ${name} needs chapter ${needed}, which is not before it.`);
    return `[${needed}](./${file}.md)`;
  });
  const last = links.pop();
  const listed = links.length > 0 ? `chapters ${links.join(", ")} and ${last}` : `chapter ${last}`;
  const needs = last ? `You need ${listed}.` : "You need no other chapter.";
  return [{ ...first, text: `${first.text}\n\n${needs} This one runs in about ${head.seconds} seconds.` }, ...rest];
}
