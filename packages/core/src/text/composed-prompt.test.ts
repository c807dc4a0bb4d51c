import { expect, it } from "@jest/globals";
import { composedParts, isComposed } from "./composed-prompt.js";

// Computed with the regular expressions re_AND and re_weight of prompt_parser.py in AUTOMATIC1111's web UI.
it.each<[string, [string, number][]]>([
  ["a cat", [["a cat", 1]]],
  [
    "a cat AND a dog",
    [
      ["a cat", 1],
      [" a dog", 1],
    ],
  ],
  [
    "a cat :1.2 AND a dog:.5AND",
    [
      ["a cat", 1.2],
      [" a dog:.5AND", 1],
    ],
  ],
  [
    "a AND b : -0.4  ",
    [
      ["a", 1],
      [" b", -0.4],
    ],
  ],
  ["BRAND ANDy AND_ and", [["BRAND ANDy AND_ and", 1]]],
  [
    "a\nb :2. AND c",
    [
      ["a\nb", 2],
      [" c", 1],
    ],
  ],
  [
    "(a AND b:1.2)",
    [
      ["(a", 1],
      [" b:1.2)", 1],
    ],
  ],
  ["at 12:30", [["at 12", 30]]],
  [
    "AND",
    [
      ["", 1],
      ["", 1],
    ],
  ],
  ["a :1.2.3", [["a :1.2.3", 1]]],
  ["a :0.5 :0.7", [["a :0.5", 0.7]]],
  ["a:1e3", [["a:1e3", 1]]],
  ["[x:y:0.5]", [["[x:y:0.5]", 1]]],
  [
    "é AND ü:+1",
    [
      ["é", 1],
      [" ü", 1],
    ],
  ],
])("reads %j as AUTOMATIC1111 does", (prompt, expected) => {
  expect(composedParts(prompt)).toEqual(expected.map(([prompt, weight]) => ({ prompt, weight })));
  expect(isComposed(prompt)).toBe(expected.length > 1 || expected[0]![1] !== 1);
});
