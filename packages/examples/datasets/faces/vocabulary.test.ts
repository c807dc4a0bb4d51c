import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { caption } from "./caption.js";
import { sampleFace } from "./sample.js";
import { captionWords, CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, vocabulary } from "./vocabulary.js";

const { vocab, merges } = vocabulary();
const ranks = new Map(
  merges
    .split("\n")
    .slice(1, -1)
    .map((line, rank) => [line, rank]),
);

/** Byte-pair encoding as CLIP applies it: while any pair of neighbours has a rank, merge the best-ranked pair. */
function tokenize(word: string): string[] {
  let tokens = [...word.slice(0, -1), `${word.at(-1)}</w>`];
  for (;;) {
    const pairs = tokens.slice(1).map((token, i) => ranks.get(`${tokens[i]} ${token}`) ?? Infinity);
    const best = Math.min(...pairs);
    if (best === Infinity) return tokens;
    const at = pairs.indexOf(best);
    tokens = [...tokens.slice(0, at), tokens[at]! + tokens[at + 1]!, ...tokens.slice(at + 2)];
  }
}

const texts = Array.from(
  { length: 6000 },
  (_, i) => caption(sampleFace(keyedRandom(1, i)), keyedRandom(2, i), i % 2 === 0 ? "full" : "mixed").text,
);
const wordsOf = (text: string) => text.match(/[a-z]+|,/g)!;

describe("the vocabulary", () => {
  it("holds every word of the captions, and no other", () => {
    expect([...new Set(texts.flatMap(wordsOf))].sort()).toEqual(captionWords());
  });

  it("makes every word one token", () => {
    for (const word of captionWords()) expect(tokenize(word)).toEqual([`${word}</w>`]);
    for (const word of captionWords()) expect(vocab).toHaveProperty([`${word}</w>`]);
  });

  it("has every token that a merge makes or needs, so that any word can be encoded", () => {
    const tokens = [...ranks.keys()].flatMap((line) => [...line.split(" "), line.replace(" ", "")]);
    expect(tokens.filter((token) => !(token in vocab))).toEqual([]);
    expect(tokenize("zebra").every((token) => token in vocab)).toBe(true);
  });

  it("numbers its tokens from 0 without gaps: bytes, merges, start, end, as CLIP's does", () => {
    expect(Object.values(vocab).sort((a, b) => a - b)).toEqual(Object.keys(vocab).map((_, id) => id));
    expect([vocab["!"], vocab["!</w>"], vocab["Ġ"]]).toEqual([0, 256, 220]);
    expect(Object.keys(vocab).slice(-2)).toEqual([START_OF_TEXT, END_OF_TEXT]);
  });

  it("fits the longest caption into the context", () => {
    const longest = Math.max(...texts.map((text) => wordsOf(text).length + 2));
    expect(longest).toBeLessThanOrEqual(CONTEXT_LENGTH);
    expect(longest).toBeGreaterThan(CONTEXT_LENGTH - 8);
  });
});
