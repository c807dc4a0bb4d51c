import { nearestNames } from "@tfjs-diffusion/core/text";

/** A word of a prompt that the model has not learned, and the learned words that are spelled almost like it. */
export interface UnknownWord {
  word: string;
  near: string[];
}

/** The words of `prompt` that are not in `known`, each once. */
export function unknownWords(prompt: string, known: readonly string[]): UnknownWord[] {
  const words = new Set(prompt.toLowerCase().match(/\p{L}+/gu));
  return [...words].filter((word) => !known.includes(word)).map((word) => ({ word, near: nearWords(word, known) }));
}

/** Up to three known words within a third of the letters, nearest first. */
function nearWords(word: string, known: readonly string[]): string[] {
  const words = known.filter((candidate) => /\p{L}/u.test(candidate)); // Not the signs between words, which captions have too.
  return nearestNames(word, words, { letters: Math.max(1, Math.floor(word.length / 3)) }).slice(0, 3);
}

/** One line for each unknown word, or nothing. The picture is drawn all the same. */
export function describeUnknownWords(unknown: readonly UnknownWord[]): string {
  return unknown
    .map(({ word, near }) => {
      const advice = near.length > 0 ? ` Did you mean ${near.join(" or ")}?` : "";
      return `The model has not learned the word "${word}" and will guess.${advice}\n`;
    })
    .join("");
}
