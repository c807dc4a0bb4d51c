import { expect } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";

/** Settings of `npm run fuzz`; without them a campaign runs its short form. */
const SEED = Number(process.env.FUZZ_SEED ?? 0);
const MINUTES = Number(process.env.FUZZ_MINUTES ?? 0);
/** Shares of the minutes that all campaigns with a share divide among them. */
const ALL_SHARES = 24;

export type Random = ReturnType<typeof keyedRandom>;

export interface Campaign {
  /** Attempts of the short form. */
  count: number;
  /** Names of the errors that may be thrown. */
  typed: readonly string[];
  /** How many of the 24 shares of a long campaign's minutes this one takes. Default 1. */
  shares?: number;
}

/** How long a test with such a campaign may take, in milliseconds. */
export const timeout = (shares = 1) => 60_000 + (2 * MINUTES * 60_000 * shares) / ALL_SHARES;

/**
 * Makes attempts, each with its own random numbers, and requires that each succeeds or throws a typed error. What
 * `attempt` returns is counted as the outcome; default "accepted".
 *
 * @throws Error that names the attempt of any other error, so that it can be repeated alone
 */
export async function campaign(
  name: string,
  { count, typed, shares = 1 }: Campaign,
  attempt: (random: Random) => unknown,
): Promise<void> {
  const until = performance.now() + (MINUTES * 60_000 * shares) / ALL_SHARES;
  const outcomes = new Map<string, number>();
  const isOne = process.env.FUZZ_ONLY !== undefined;
  const first = Number(process.env.FUZZ_ONLY ?? 0);
  let run = first;
  for (; run < first + (isOne ? 1 : count) || (!isOne && performance.now() < until); run++) {
    if (process.env.FUZZ_TRACE) process.stderr.write(`${name} ${run}\n`); // To find one that never ends.
    let outcome = "accepted";
    try {
      const returned = await attempt(keyedRandom(SEED, `${name} ${run}`));
      if (typeof returned === "string") outcome = returned;
    } catch (error) {
      outcome = (error as Error).name;
      if (!typed.includes(outcome))
        throw new Error(`FUZZ_SEED=${SEED} FUZZ_ONLY=${run}, ${name}: ${(error as Error).stack}`, { cause: error });
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  if (MINUTES > 0) console.log(`${name}: ${run} attempts, ${JSON.stringify(Object.fromEntries(outcomes))}`);
  // A campaign in which nothing is accepted, or everything, tests nothing.
  if (isOne) return;
  expect(outcomes.size).toBeGreaterThan(1);
  expect(outcomes.get("accepted")).toBeGreaterThan(0);
}

export const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(list.length)]!;

/** Values that are wrong for most options and keys. */
export const ODD: readonly unknown[] = [
  ...[0, -1, 1, 2, 0.5, 1e9, NaN, Infinity, -Infinity, 2 ** 53, -0, "", "1", "a", true, false, null, undefined],
  ...[[], [1], [NaN], {}, { a: 1 }, [[]], [null], ["a", "b"], [0.2, 0.8], new Float32Array(2), new Date(0)],
  ...[Array<string>(20_000).fill("a"), () => 1, Symbol("odd"), 1n, Object.create(null) as unknown],
];

/** The same object with one to three keys that have odd values. */
export function withOddValues(object: object, random: Random): Record<string, unknown> {
  const changed: Record<string, unknown> = { ...object };
  for (let change = 1 + random.integer(3); change > 0; change--)
    changed[pick(random, [...Object.keys(object), "unknown"])] = pick(random, ODD);
  return changed;
}
