/** Longest sentence of a document, in words, and the longest mean of all its sentences. */
export const LONGEST_SENTENCE = 35;
export const LONGEST_MEAN = 18;

/**
 * The sentences of a Markdown text. Code blocks, tables, headings, HTML comments and the targets of links are no prose;
 * a piece of `code` counts as one word, and an item of a list ends a sentence.
 */
export function sentencesOf(markdown) {
  const prose = markdown
    .replace(/\r\n/g, "\n")
    .replace(/^---\n[^]*?\n---\n/, "")
    .replace(/<!--[^]*?-->/g, "")
    .replace(/^```[^]*?^```$/gm, "\n")
    .replace(/^(\||#|!\[).*$/gm, "\n")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/<[^>]+>/g, "")
    .replace(/`[^`]+`/g, "Code")
    .replace(/^\s*(?:[-*]|\d+\.) /gm, "\n\n");
  return prose.split(/\n\s*\n/).flatMap(
    (paragraph) =>
      paragraph
        .replace(/\s+/g, " ")
        .match(/.+?(?:(?<!\b(?:al|vs|e\.g|i\.e))[.!?]["')*_]*(?= )|$)/g)
        ?.map((sentence) => sentence.trim())
        .filter((sentence) => wordsIn(sentence) > 0) ?? [],
  );
}

/** How many words a sentence has; signs alone are none. */
export const wordsIn = (sentence) => sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

/** What makes a document hard to read, a line each: its long sentences, and a mean that is too long. */
export function proseProblems(markdown) {
  const sentences = sentencesOf(markdown);
  const mean = sentences.reduce((sum, sentence) => sum + wordsIn(sentence), 0) / Math.max(1, sentences.length);
  return [
    ...sentences
      .filter((sentence) => wordsIn(sentence) > LONGEST_SENTENCE)
      .map((sentence) => `${wordsIn(sentence)} words in one sentence: ${sentence}`),
    ...(mean > LONGEST_MEAN ? [`${mean.toFixed(1)} words a sentence on average; at most ${LONGEST_MEAN}`] : []),
  ];
}
