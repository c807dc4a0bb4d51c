import { distance } from "fastest-levenshtein";

/** How near a name must be to be offered. */
export interface NearestNamesOptions {
  /** The most letters that may differ. Default: a third of the name's. */
  letters?: number;
  /** What of a name is compared. Default: all of it. */
  spelling?: (name: string) => string;
}

/** Those of `others` that are spelled almost like `name` (Levenshtein 1966), the nearest first. */
export function nearestNames(
  name: string,
  others: readonly string[],
  { letters = Math.floor(name.length / 3), spelling = (text) => text }: NearestNamesOptions = {},
): string[] {
  const given = spelling(name);
  return others
    .map((other) => ({ other, spelled: spelling(other) }))
    .filter(({ spelled }) => Math.abs(spelled.length - given.length) <= letters) // The others are too long or too short.
    .map(({ other, spelled }) => ({ other, apart: distance(given, spelled) }))
    .filter(({ apart }) => apart <= letters)
    .sort((a, b) => a.apart - b.apart)
    .map(({ other }) => other);
}
