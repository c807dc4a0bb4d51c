import type { Face } from "./attributes.js";

/**
 * Words that only the captions of portraits have. They are separate, so that the vocabulary of the 16 x 16 faces does
 * not change.
 */
export const PATTERN_WORDS: Record<NonNullable<Face["pattern"]>, readonly string[]> = {
  plain: ["plain", "simple"],
  striped: ["striped", "stripy"],
  dotted: ["dotted", "spotted"],
  gradient: ["gradient", "fading", "shaded"],
};
