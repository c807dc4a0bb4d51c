/** Joins parts of a sentence by spaces; empty parts are left out. */
export const spaced = (...parts: string[]) => parts.filter(Boolean).join(" ");

/** A noun with its indefinite article: "an eyepatch". */
export const withArticle = (text: string) => `${/^[aeiou]/.test(text) ? "an" : "a"} ${text}`;
