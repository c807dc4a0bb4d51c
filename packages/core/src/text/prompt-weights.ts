/** A piece of a prompt and its weight. */
export interface WeightedText {
  text: string;
  weight: number;
}

/** A weight above this, or so many brackets inside each other (1.1 to this power is 13,780), is a mistake. */
const MAX_WEIGHT = 10_000;
const MAX_DEPTH = 100;
const REMEDY = "write a weight near 1, such as (word:1.3).";

/** A pair of round brackets multiplies the weight by this, a pair of square brackets divides by it. */
const EMPHASIS = 1.1;

const TOKENS = /\\[()[\]\\]|\(|\)|\[|\]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[^\\()[\]:]+|:|\\/g;

/**
 * Parses weights in a prompt, in the syntax of AUTOMATIC1111's web UI: `(word:1.3)` has the weight 1.3, `(word)` 1.1,
 * `((word))` 1.21, `[word]` 1 / 1.1; `\(` is a literal bracket. A bracket that is never closed applies to the end of
 * the prompt. A closing bracket without an opening one is text.
 *
 * @throws RangeError for more than 100 brackets in each other, or a weight above 10,000
 */
export function parsePromptWeights(prompt: string): WeightedText[] {
  const pieces: WeightedText[] = [];
  const open: Record<"(" | "[", number[]> = { "(": [], "[": [] };
  const multiply = (from: number, by: number) => {
    for (const piece of pieces.slice(from)) piece.weight *= by;
  };
  for (const [token, weight] of prompt.matchAll(TOKENS)) {
    const depth = open["("].length + open["["].length;
    if (depth > MAX_DEPTH) throw new RangeError(`more than ${MAX_DEPTH} brackets inside each other; ${REMEDY}`);
    if (weight !== undefined && depth > 0 && Math.abs(Number(weight)) > MAX_WEIGHT)
      throw new RangeError(`a weight of ${weight}; the largest is ${MAX_WEIGHT}: ${REMEDY}`);
    if (token === "(" || token === "[") open[token].push(pieces.length);
    else if (weight !== undefined && open["("].length > 0) multiply(open["("].pop()!, Number(weight));
    else if (token === ")" && open["("].length > 0) multiply(open["("].pop()!, EMPHASIS);
    else if (token === "]" && open["["].length > 0) multiply(open["["].pop()!, 1 / EMPHASIS);
    else pieces.push({ text: token.length === 2 && token.startsWith("\\") ? token[1]! : token, weight: 1 });
  }
  for (const start of open["("]) multiply(start, EMPHASIS);
  for (const start of open["["]) multiply(start, 1 / EMPHASIS);
  return merged(pieces);
}

function merged(pieces: readonly WeightedText[]): WeightedText[] {
  const result: WeightedText[] = [];
  for (const { text, weight } of pieces) {
    const last = result.at(-1);
    if (last?.weight === weight) last.text += text;
    else result.push({ text, weight });
  }
  return result;
}
