import { describe, expect, it } from "@jest/globals";
import ts from "typescript";
import { parseCells } from "./cells.js";
import { mutate } from "./mutants.js";
import { mutationsOf } from "./mutations.js";

/** The changed versions of `code` as a chapter's cell. */
function mutantsOf(code: string, marker = "// %%", rest = ""): string[] {
  const before = `// %% [markdown]\n// # Title\n\n${marker}\n`;
  const text = `${before}${code}${rest}`;
  const source = ts.createSourceFile("chapter.ts", text, ts.ScriptTarget.ES2022, true);
  return mutationsOf(source, parseCells(text), () => true).map((mutation) =>
    mutate(text, mutation).slice(before.length, rest ? -rest.length : undefined),
  );
}

describe("mutationsOf", () => {
  it.each([
    ["an operator", "a + b;", ["a - b;"]],
    ["a factor", "2 * a;", ["2 / a;", "4 * a;"]],
    ["an exponent's operator, not the exponent", "a ** 2;", ["a * 2;"]],
    ["a root", "Math.sqrt(a);", ["(a);"]],
    ["a tensor's root", "a.sqrt();", ["a;"]],
    ["a tensor's operator and factor", "a.mul(2);", ["a.div(2);", "a.mul(4);"]],
    ["a sign", "-a;", ["a;"]],
    ["an index", "alphaBar[t];", ["alphaBar[t + 1];"]],
    ["a number as an index", "alphaBar[999]!;", ["alphaBar[1000]!;"]],
    ["a comparison", "a < b;", ["a <= b;"]],
    ["the order of arguments", "f(a, b, c);", ["f(b, a, c);"]],
    [
      "both sides of a check, not its tolerance",
      'check("a", -b, -c, -d);',
      ['check("a", b, -c, -d);', 'check("a", -b, c, -d);'],
    ],
  ])("changes %s", (_, code, changed) => {
    expect(mutantsOf(code)).toEqual(changed);
  });

  it.each([
    ["text", '"a" + b;'],
    ["types", "let a: [1, -2];"],
    ["maxima, for which the order of arguments does not matter", "Math.max(a, b);"],
    ["what is only shown", 'plot({ caption: "", marks: [f(-a)] });'],
    ["a statement that is marked as drawing", "// drawing: a figure\nconst rows = -a;"],
  ])("leaves %s alone", (_, code) => {
    expect(mutantsOf(code)).toEqual([]);
  });

  it("leaves folded cells and exercises alone", () => {
    expect(mutantsOf("-a;", "// %% folded")).toEqual([]);
    expect(mutantsOf("-a;", "// %% setup")).toEqual([]);
    const exercises = "\n// %% [markdown]\n// ## Exercises\n\n// %%\n-b;\n";
    expect(mutantsOf("-a;", "// %%", exercises)).toEqual(["a;"]);
  });

  it("swaps arguments of the same type only, as the compiler finds the others", () => {
    const text = "// %% [markdown]\n// # T\n\n// %%\nf(a, b);\n";
    const source = ts.createSourceFile("chapter.ts", text, ts.ScriptTarget.ES2022, true);
    expect(mutationsOf(source, parseCells(text), () => false)).toEqual([]);
  });

  it("says where the change is, and what it is", () => {
    const text = "// %% [markdown]\n// # T\n\n// %%\nconst c = a +\n  b;\n";
    const source = ts.createSourceFile("chapter.ts", text, ts.ScriptTarget.ES2022, true);
    expect(mutationsOf(source, parseCells(text), () => true)).toMatchObject([
      { line: 5, change: "…wn] // # T // %% const c = a [+ → -] b; …" },
    ]);
  });
});
