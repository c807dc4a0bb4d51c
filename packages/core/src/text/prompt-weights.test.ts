import { describe, expect, it } from "@jest/globals";
import { parsePromptWeights } from "./prompt-weights.js";

/** As [text, weight to 4 digits]. */
const parse = (prompt: string) =>
  parsePromptWeights(prompt).map(({ text, weight }) => [text, Number(weight.toFixed(4))]);

describe("Weights in a prompt", () => {
  // The examples of AUTOMATIC1111's own parse_prompt_attention, in modules/prompt_parser.py.
  it.each<[string, (string | number)[][]]>([
    ["normal text", [["normal text", 1]]],
    [
      "an (important) word",
      [
        ["an ", 1],
        ["important", 1.1],
        [" word", 1],
      ],
    ],
    ["(unbalanced", [["unbalanced", 1.1]]],
    ["\\(literal\\]", [["(literal]", 1]]],
    ["(unnecessary)(parens)", [["unnecessaryparens", 1.1]]],
    [
      "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
      [
        ["a ", 1],
        ["house", 1.573],
        [" ", 1.1],
        ["on", 1],
        [" a ", 1.1],
        ["hill", 0.55],
        [", sun, ", 1.1],
        ["sky", 1.4641],
        [".", 1.1],
      ],
    ],
  ])("of %j", (prompt, expected) => {
    expect(parse(prompt)).toEqual(expected);
  });

  it("reads times of day and unmatched brackets as text", () => {
    expect(parse("at 12:30) now")).toEqual([["at 12:30) now", 1]]);
    expect(parse("a ] b")).toEqual([["a ] b", 1]]);
    expect(parse("ratio 3:2")).toEqual([["ratio 3:2", 1]]);
    expect(parse("(a: b)")).toEqual([["a: b", 1.1]]);
    expect(parse("")).toEqual([]);
  });
});
