import { describe, expect, it } from "@jest/globals";
import { SHIPPED } from "./shipped.js";
import { describeUnknownWords, unknownWords } from "./unknown-words.js";

const known = ["beard", "glasses", "hat", "red", "ginger"];

describe("Unknown words", () => {
  it("are those the model has not learned, each once, whatever their case", () => {
    expect(unknownWords("Red HAT, astronaut astronaut!", known)).toEqual([{ word: "astronaut", near: [] }]);
  });

  it("come with the known words that are spelled almost alike, nearest first", () => {
    expect(unknownWords("a beerd", known)[1]).toEqual({ word: "beerd", near: ["beard"] });
    expect(unknownWords("glases", known)).toEqual([{ word: "glases", near: ["glasses"] }]);
    expect(unknownWords("rat", ["hat", "red", "ra"])).toEqual([{ word: "rat", near: ["hat", "ra"] }]);
    expect(unknownWords("x", [",", "a"])).toEqual([{ word: "x", near: ["a"] }]);
  });

  it("are found in any script, and never in punctuation or numbers", () => {
    expect(unknownWords("große, 3 Hüte – 帽子", known).map(({ word }) => word)).toEqual(["große", "hüte", "帽子"]);
    expect(unknownWords("", known)).toEqual([]);
  });

  it("are reported a line each, with the suggestion where there is one", () => {
    expect(describeUnknownWords(unknownWords("beerd astronaut", known))).toBe(
      'The model has not learned the word "beerd" and will guess. Did you mean beard?\n' +
        'The model has not learned the word "astronaut" and will guess.\n',
    );
    expect(describeUnknownWords([])).toBe("");
  });

  it("do not occur in our example sentences", () => {
    for (const { examples, words } of Object.values(SHIPPED))
      expect(examples.flatMap((example) => unknownWords(example, words()))).toEqual([]);
  });
});
