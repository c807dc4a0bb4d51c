import { describe, expect, it } from "@jest/globals";
import { chapterTitle, markCells, parseCells } from "./cells.js";
import { ChapterError } from "./errors.js";

const CHAPTER = `// %% [markdown]
// # Two and two
//
// They make $2 + 2$.

// %%
const sum = 2 + 2;

show(sum);

// %% folded
check("sum", sum, 4, 0);
`;

describe("parseCells", () => {
  it("takes the comment signs off Markdown and leaves code alone", () => {
    expect(parseCells(CHAPTER)).toEqual([
      { kind: "markdown", line: 1, text: "# Two and two\n\nThey make $2 + 2$." },
      { kind: "code", line: 6, source: "const sum = 2 + 2;\n\nshow(sum);" },
      { kind: "code", line: 11, source: 'check("sum", sum, 4, 0);', folded: "code" },
    ]);
  });

  it("reads a file with Windows line ends as the same cells", () => {
    expect(parseCells(CHAPTER.replaceAll("\n", "\r\n"))).toEqual(parseCells(CHAPTER));
  });

  it("finds the title", () => {
    expect(chapterTitle(parseCells(CHAPTER))).toBe("Two and two");
  });

  it.each([
    ["text before the first cell", "const x = 1;\n// %% [markdown]\n// # A\n", "c.ts:1"],
    ["code in a Markdown cell", "// %% [markdown]\n// # A\nconst x = 1;\n", "c.ts:3"],
    ["an unknown marker", "// %% [markdown]\n// # A\n\n// %% python\n", "c.ts:4"],
    ["no title", "// %% [markdown]\n// A\n", "title"],
    ["a first cell of code", "// %%\nconst x = 1;\n", "title"],
    ["an empty file", "", "title"],
  ])("refuses %s and says where", (_, text, where) => {
    expect(() => parseCells(text, "c.ts")).toThrow(ChapterError);
    expect(() => parseCells(text, "c.ts")).toThrow(where);
  });
});

describe("markCells", () => {
  it("says which cell the program is in and moves no line", () => {
    const before = CHAPTER.split("\n");
    const after = markCells(CHAPTER, parseCells(CHAPTER), (cell) => `enter(${cell})`).split("\n");
    expect(after[5]).toBe(";enter(1);");
    expect(after[10]).toBe(";enter(2);");
    expect(after.filter((line, i) => line !== before[i])).toHaveLength(2);
    expect(after).toHaveLength(before.length);
  });
});
