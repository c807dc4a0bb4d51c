/** A piece of a prompt, and how much it counts. */
export interface WeightedText {
  text: string;
  weight: number;
}

/** What each pair of round brackets multiplies by, and each pair of square ones divides by. */
const EMPHASIS = 1.1;

const TOKENS = /\\[()[\]\\]|\(|\)|\[|\]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[^\\()[\]:]+|:|\\/g;

/**
 * Reads a prompt with weights as AUTOMATIC1111's interface writes them: `(word:1.3)` counts 1.3 times, `(word)` 1.1
 * times, `((word))` 1.21 times, `[word]` 1 / 1.1 times; `\(` is a bracket. A bracket that is never closed counts to the
 * end, one that was never opened is text.
 */
export function parsePromptWeights(prompt: string): WeightedText[] {
  const pieces: WeightedText[] = [];
  const open: Record<"(" | "[", number[]> = { "(": [], "[": [] };
  const multiply = (from: number, by: number) => {
    for (const piece of pieces.slice(from)) piece.weight *= by;
  };
  for (const [token, weight] of prompt.matchAll(TOKENS)) {
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
