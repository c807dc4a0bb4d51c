import { distance } from "fastest-levenshtein";

/** How similar a name must be. */
export interface NearestNamesOptions {
  /** The largest number of letters that may differ. Default: a third of the name's length. */
  letters?: number;
  /** The form in which names are compared. Default: the name itself. */
  spelling?: (name: string) => string;
}

/** The nearest of `others` to a name, as the end of a message: " (nearest: width)", or nothing. */
export function nearestNote(name: string, others: readonly string[], options?: NearestNamesOptions): string {
  const [best] = nearestNames(name, others, options);
  return best === undefined ? "" : ` (nearest: ${best})`;
}

/** The names of `others` with a small edit distance to `name` (Levenshtein 1966), the nearest first. */
export function nearestNames(
  name: string,
  others: readonly string[],
  { letters = Math.floor(name.length / 3), spelling = (text) => text }: NearestNamesOptions = {},
): string[] {
  const given = spelling(name);
  return others
    .map((other) => ({ other, spelled: spelling(other) }))
    .filter(({ spelled }) => Math.abs(spelled.length - given.length) <= letters) // Other names are too long or too short.
    .map(({ other, spelled }) => ({ other, apart: distance(given, spelled) }))
    .filter(({ apart }) => apart <= letters)
    .sort((a, b) => a.apart - b.apart)
    .map(({ other }) => other);
}
