/** A piece of a prompt and its weight. */
export interface WeightedText {
  text: string;
  weight: number;
}

/** A larger weight or a deeper nesting of brackets (1.1 to the power of 100 is 13,780) is a mistake. */
const MAX_WEIGHT = 10_000;
const MAX_DEPTH = 100;
const REMEDY = "write a weight near 1, such as (word:1.3).";

/** A pair of round brackets multiplies the weight by this, a pair of square brackets divides by it. */
const EMPHASIS = 1.1;

const TOKENS = /\\[()[\]\\]|\\|\(|\)|\[|\]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[^\\()[\]:]+|:/g;

/** The word BREAK with the spaces around it; a letter, a digit or `_` beside it makes it part of another word. */
const BREAK = /\s*(?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_])\s*/u;

/**
 * Parses weights in a prompt, in the syntax of AUTOMATIC1111's web UI: `(word:1.3)` has the weight 1.3, `(word)` 1.1,
 * `((word))` 1.21, `[word]` 1 / 1.1; `\(` is a literal bracket, and other backslashes are dropped. A bracket that is
 * not closed applies to the rest of the prompt. A closing bracket without an opening one is text. A piece ends at
 * BREAK, which is dropped: see {@link promptSections}.
 *
 * @throws RangeError for more than 100 nested brackets, or a weight above 10,000
 */
export function parsePromptWeights(prompt: string): WeightedText[] {
  return promptSections(prompt).flat();
}

/**
 * The sections of a prompt that the word BREAK separates, each with its weights: see {@link parsePromptWeights}. A
 * section may be empty.
 */
export function promptSections(prompt: string): WeightedText[][] {
  const pieces: WeightedText[] = [];
  const sectionStarts: number[] = [];
  const open: Record<"(" | "[", number[]> = { "(": [], "[": [] };
  const multiply = (from: number, by: number) => {
    for (const piece of pieces.slice(from)) piece.weight *= by;
  };
  for (const [token, weight] of prompt.matchAll(TOKENS)) {
    const depth = open["("].length + open["["].length;
    if (depth > MAX_DEPTH) throw new RangeError(`more than ${MAX_DEPTH} brackets inside each other; ${REMEDY}`);
    if (weight !== undefined && depth > 0 && Math.abs(Number(weight)) > MAX_WEIGHT)
      throw new RangeError(`a weight of ${weight}; the largest is ${MAX_WEIGHT}: ${REMEDY}`);
    if (token.startsWith("\\")) pieces.push({ text: token.slice(1), weight: 1 });
    else if (token === "(" || token === "[") open[token].push(pieces.length);
    else if (weight !== undefined && open["("].length > 0) multiply(open["("].pop()!, Number(weight));
    else if (token === ")" && open["("].length > 0) multiply(open["("].pop()!, EMPHASIS);
    else if (token === "]" && open["["].length > 0) multiply(open["["].pop()!, 1 / EMPHASIS);
    else {
      for (const [i, text] of token.split(BREAK).entries()) {
        if (i > 0) sectionStarts.push(pieces.length);
        pieces.push({ text, weight: 1 });
      }
    }
  }
  for (const start of open["("]) multiply(start, EMPHASIS);
  for (const start of open["["]) multiply(start, 1 / EMPHASIS);
  return [0, ...sectionStarts].map((start, i) => merged(pieces.slice(start, sectionStarts[i])));
}

function merged(pieces: readonly WeightedText[]): WeightedText[] {
  const result: WeightedText[] = [];
  for (const { text, weight } of pieces) {
    const last = result.at(-1);
    if (text === "") continue;
    if (last?.weight === weight) last.text += text;
    else result.push({ text, weight });
  }
  return result;
}
