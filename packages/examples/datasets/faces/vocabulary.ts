import * as portraitWords from "./portrait-words.js";
import * as words from "./words.js";

/** A tokenizer in the format of CLIP's `vocab.json` and `merges.txt`. */
export interface Vocabulary {
  /** Token to id: 256 bytes, 256 word-final bytes, the merged tokens, then the two special tokens. */
  readonly vocab: Record<string, number>;
  /** The text of `merges.txt`: a version line, then one pair of tokens a line, best first. */
  readonly merges: string;
}

export const START_OF_TEXT = "<|startoftext|>";
export const END_OF_TEXT = "<|endoftext|>";

/** Tokens that the longest caption takes, start and end included, rounded up; shorter ones are padded to it. */
export const CONTEXT_LENGTH = 40;

/** Every word of the captions, sorted; those of portraits include words for patterns. */
export function captionWords(of: "faces" | "portraits" = "faces"): string[] {
  const tables: object[] = [...Object.values(words), ...(of === "portraits" ? Object.values(portraitWords) : [])];
  const texts = tables.flatMap((table) => Object.values<string | readonly string[]>({ ...table }).flat());
  return [...new Set(texts.flatMap((text) => text.split(" ")))].sort();
}

/**
 * Byte-pair encoding (Sennrich et al. 2016, algorithm 1) trained on the captions' words until each is one token. All
 * single bytes are kept, as in CLIP, so that any text can be encoded; unknown words become several tokens.
 */
export function vocabulary(words: readonly string[] = captionWords()): Vocabulary {
  let spellings = words.map((word) => [...word.slice(0, -1), `${word.at(-1)}</w>`]);
  const merges: [string, string][] = [];
  for (let pair = commonestPair(spellings); pair; pair = commonestPair(spellings)) {
    merges.push(pair);
    spellings = spellings.map((spelling) => merge(spelling, pair));
  }
  const bytes = byteSymbols();
  const tokens = [
    ...bytes,
    ...bytes.map((b) => `${b}</w>`),
    ...merges.map(([a, b]) => a + b),
    START_OF_TEXT,
    END_OF_TEXT,
  ];
  return {
    vocab: Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id])),
    merges: ["#version: 0.2", ...merges.map((pair) => pair.join(" ")), ""].join("\n"),
  };
}

/** The most frequent pair of neighbouring tokens; among equals, the first in code order. */
function commonestPair(spellings: readonly string[][]): [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const spelling of spellings) {
    for (let i = 1; i < spelling.length; i++) {
      const pair = `${spelling[i - 1]} ${spelling[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
  }
  const [best] = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return best && (best[0].split(" ") as [string, string]);
}

function merge(spelling: readonly string[], [first, second]: [string, string]): string[] {
  const merged: string[] = [];
  for (const token of spelling) {
    if (token === second && merged.at(-1) === first) merged[merged.length - 1] = first + second;
    else merged.push(token);
  }
  return merged;
}

/**
 * GPT-2's printable stand-ins for the 256 bytes, in the order of CLIP's vocabulary: printable bytes, then the others.
 */
function byteSymbols(): string[] {
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const printable = bytes.filter(isPrintable).map((byte) => String.fromCharCode(byte));
  const others = bytes.filter((byte) => !isPrintable(byte)).map((_, n) => String.fromCharCode(256 + n));
  return [...printable, ...others];
}
