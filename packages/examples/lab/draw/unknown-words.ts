/** A part of a text: words that the model knows with what is between them, or one that it never saw in training. */
export interface TextPart {
  readonly text: string;
  readonly isKnown: boolean;
}

/** Cuts a text where its unknown words begin and end; all parts together are the text. */
export function markUnknown(text: string, words: readonly string[]): TextPart[] {
  const known = new Set(words);
  const parts: TextPart[] = [];
  for (const part of text.split(/([\p{L}\p{N}]+(?:['-][\p{L}\p{N}]+)*)/u)) {
    const isKnown = !/[\p{L}\p{N}]/u.test(part) || known.has(part.toLowerCase());
    const last = parts.at(-1);
    if (last && last.isKnown && isKnown) parts[parts.length - 1] = { text: last.text + part, isKnown };
    else if (part !== "") parts.push({ text: part, isKnown });
  }
  return parts;
}
