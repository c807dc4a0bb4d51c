import { describe, expect, it } from "@jest/globals";
import { loraTags } from "./lora-tags.js";
import { promptSchedule, unreadEditing } from "./prompt-schedule.js";
import { parsePromptWeights, promptSections } from "./prompt-weights.js";

const schedule = (prompt: string, steps = 10) =>
  promptSchedule(prompt, steps).map(({ lastStep, prompt: text }) => [lastStep, text]);

const inTurn = (...texts: string[]) => Array.from({ length: 10 }, (_, i) => [i + 1, texts[i % texts.length]!]);

describe("Prompt editing", () => {
  // The examples of AUTOMATIC1111's own get_learned_conditioning_prompt_schedules, in modules/prompt_parser.py, with 10
  // steps; of "a [{b|d{:.5] c", which it says it does not handle, its parser makes this.
  it.each<[string, (string | number)[][]]>([
    ["test", [[10, "test"]]],
    [
      "a [b:3]",
      [
        [3, "a "],
        [10, "a b"],
      ],
    ],
    [
      "a [b: 3]",
      [
        [3, "a "],
        [10, "a b"],
      ],
    ],
    [
      "a [[[b]]:2]",
      [
        [2, "a "],
        [10, "a [[b]]"],
      ],
    ],
    [
      "[(a:2):3]",
      [
        [3, ""],
        [10, "(a:2)"],
      ],
    ],
    [
      "a [b : c : 1] d",
      [
        [1, "a b  d"],
        [10, "a  c  d"],
      ],
    ],
    [
      "a[b:[c:d:2]:1]e",
      [
        [1, "abe"],
        [2, "ace"],
        [10, "ade"],
      ],
    ],
    ["a [unbalanced", [[10, "a [unbalanced"]]],
    [
      "a [b:.5] c",
      [
        [5, "a  c"],
        [10, "a b c"],
      ],
    ],
    ["a [{b|d{:.5] c", [[10, "a [{b|d{:.5] c"]]],
    [
      "((a][:b:c [d:3]",
      [
        [3, "((a][:b:c "],
        [10, "((a][:b:c d"],
      ],
    ],
    ["[a|(b:1.1)]", inTurn("a", "(b:1.1)")],
    ["[fe|]male", inTurn("female", "male")],
    ["[fe|||]male", inTurn("female", "male", "male", "male")],
  ])("of %j", (prompt, expected) => {
    expect(schedule(prompt)).toEqual(expected);
  });

  // What its parser, lark 1.3.1 with its grammar, makes of these.
  it.each<[string, (string | number)[][]]>([
    ["a \\[b:c:0.5\\]", [[10, "a \\[b:c:0.5\\]"]]],
    ["[a:b:1.0]", [[10, "a"]]],
    ["[a:b:0]", [[10, "b"]]],
    ["[a:b:-3]", [[10, "b"]]],
    ["[a:b:1e-1]", [[10, "b"]]],
    ["[a:b:c:3]", [[10, "[a:b:c:3]"]]],
    ["a | [b:c:3]", [[10, "a | [b:c:3]"]]],
    [
      "[a\\|b:c:3]",
      [
        [3, "a\\|b"],
        [10, "c"],
      ],
    ],
    [
      "(a [b::.25]:1.2)",
      [
        [2, "(a b:1.2)"],
        [10, "(a :1.2)"],
      ],
    ],
    ["[[x|y]:d:3]", inTurn("x", "y").map(([step, text]) => [step!, Number(step) <= 3 ? text! : "d"])],
  ])("of %j, too", (prompt, expected) => {
    expect(schedule(prompt)).toEqual(expected);
  });

  it("tells what looks like editing and is read as text", () => {
    expect(unreadEditing("a [a:b:c:3] d")).toBe("[a:b:c:3]");
    expect(unreadEditing("a | [b|c]")).toBe("[b|c]");
    for (const text of ["a [word]", "a [b: c]", "\\[a:b:3\\]", "(a:3)"]) expect(unreadEditing(text)).toBeUndefined();
  });
});

describe("BREAK", () => {
  it.each([
    ["a BREAK b", ["a", "b"]],
    ["a,\nBREAK\nb", ["a,", "b"]],
    ["a,BREAK,b", ["a,", ",b"]],
    ["BREAK a BREAK BREAK b BREAK", ["", "a", "", "b", ""]],
    ["a BREAKFAST, break, BREAK_1", ["a BREAKFAST, break, BREAK_1"]],
    ["éBREAK", ["éBREAK"]],
  ])("separates the sections of %j", (prompt, expected) => {
    expect(promptSections(prompt).map((pieces) => pieces.map(({ text }) => text).join(""))).toEqual(expected);
  });

  it("stands also inside of brackets, which weigh both sides", () => {
    expect(promptSections("(a BREAK b:1.5)")).toEqual([[{ text: "a", weight: 1.5 }], [{ text: "b", weight: 1.5 }]]);
    expect(parsePromptWeights("(a BREAK b:1.5)").length).toBe(2);
  });
});

it("A prompt of very many pieces is read", () => {
  const long = "(a:1.1) ".repeat(150_000);
  expect(promptSchedule(long, 2).map(({ prompt }) => prompt.length)).toEqual([long.length]);
});

it("A backslash before another character is dropped, and the character is text", () => {
  expect(parsePromptWeights("a \\| b \\x")).toEqual([{ text: "a | b x", weight: 1 }]);
});

describe("LoRA tags", () => {
  it.each([
    ["a cat <lora:faces:0.8>", "a cat ", [{ name: "faces", scale: 0.8 }]],
    ["<lyco:faces> a", " a", [{ name: "faces", scale: 1 }]],
    ["<lora:x:0.5:0.25>", "", [{ name: "x", scale: 0.5, unetScale: 0.25 }]],
    ["<lora:x:unet=0.25>", "", [{ name: "x", scale: 1, unetScale: 0.25 }]],
    ["<lora:x:te=-1>", "", [{ name: "x", scale: -1 }]],
    ["a < lora b, <style>, 1 < 2 > 0", "a < lora b, <style>, 1 < 2 > 0", []],
  ])("of %j", (prompt, rest, loras) => {
    expect(loraTags(prompt)).toEqual({ rest, loras });
  });

  it.each([
    ["<hypernet:x:1>", "<hypernet:x:1> names a hypernet"],
    ["<lora:x:strong>", 'the scale "strong" is not a number'],
    ["<lora:x:1:1:8>", "has 8, which is unknown"],
    ["<lora:x:dyn=8>", "has dyn, which is unknown"],
    ["<lora: :1>", "has no name"],
  ])("refuse %j", (prompt, message) => {
    expect(() => loraTags(prompt)).toThrow(message);
  });
});
