import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { LONGEST_MEAN, LONGEST_SENTENCE, proseProblems, sentencesOf, wordsIn } from "./prose.mjs";
import { root } from "./run.mjs";

const documents = execFileSync("git", ["ls-files", "*.md"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file && existsSync(join(root, file)));

describe("Documents", () => {
  it("are found", () => expect(documents).toContain("README.md"));

  it.each(documents)(`have sentences of at most ${LONGEST_SENTENCE} words, ${LONGEST_MEAN} on average: %s`, (file) =>
    expect(proseProblems(readFileSync(join(root, file), "utf8"))).toEqual([]),
  );
});

describe("The count of words", () => {
  it("takes what people read as sentences", () => {
    const text = [
      "# A heading is none",
      "As Song et al. 2021 show, version 0.42.1 does it (see [a page](https://x.y)). Then `a b c` follows!",
      "| a table | is none |",
      "- an item\n- another one, with two sentences. unCLIP begins with a small letter",
      "```sh\nnpm test. Not prose.\n```",
    ].join("\n\n");
    expect(sentencesOf(text).map(wordsIn)).toEqual([13, 3, 2, 5, 6]);
  });

  it("finds a long sentence, and a mean that is too long", () => {
    expect(proseProblems(`${"word ".repeat(36)}end.`)).toEqual([
      expect.stringMatching(/^37 words in one sentence/),
      expect.stringMatching(/^37\.0 words a sentence on average/),
    ]);
    expect(proseProblems(`${"word ".repeat(19)}. ${"word ".repeat(18)}.`)).toHaveLength(1);
    expect(proseProblems(`${"word ".repeat(35)}. One. Two.`)).toEqual([]);
  });
});
