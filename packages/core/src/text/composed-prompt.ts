/** One of the prompts that AND joins, and its weight. */
export interface ComposedPart {
  prompt: string;
  weight: number;
}

/** The word AND; a letter, a digit or `_` beside it makes it part of another word. */
const AND = /(?<![\p{L}\p{N}_])AND(?![\p{L}\p{N}_])/u;

/** A prompt, and its weight after a colon. */
const WEIGHTED = /^([^]*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$/;

/**
 * The prompts that the word AND joins, in the syntax of AUTOMATIC1111's web UI: `a AND b :0.5` is `a` with weight 1 and
 * `b` with weight 0.5. A prompt without AND is a single part; it may have a weight, too. Brackets have no influence.
 */
export function composedParts(prompt: string): ComposedPart[] {
  return prompt.split(AND).map((part) => {
    const [, text, weight = "1"] = WEIGHTED.exec(part)!;
    return { prompt: text!, weight: Number(weight) };
  });
}

/** Whether a prompt is more than one part of weight 1. */
export function isComposed(prompt: string): boolean {
  const [{ weight }, ...others] = composedParts(prompt) as [ComposedPart];
  return others.length > 0 || weight !== 1;
}
