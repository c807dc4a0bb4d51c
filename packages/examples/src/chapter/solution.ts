import { CheckError, ChapterError } from "./errors.js";
import { formatNumber } from "./output.js";
import { emit, withoutOutput } from "./sink.js";

/** What is wrong with an answer, in words that do not give the right one away; undefined if it is right. */
export type Hint = string | undefined;
/** A curve as its points' heights, or as points [x, y]. */
export type Points = readonly (readonly [x: number, y: number])[];
/** A function that a reader writes. */
export type Written = (...args: never[]) => unknown;
export type AnswerValue = number | Points | Written;

/** A right answer, and how to judge another one. */
export interface Solution {
  readonly answer: AnswerValue;
  readonly judge: (given: never) => Hint | Promise<Hint>;
}

let registry = new Map<string, Solution>();

/**
 * Keeps the right answer to the chapter's exercise `name`, in the chapter's file of solutions. A number, and the height
 * of each point of a curve, may differ by `tolerance`.
 */
export async function solution(name: string, answer: number | Points, tolerance: number): Promise<void>;
/**
 * The same for a function that the reader writes or repairs. `judge` calls it, and says what is wrong; what it throws
 * is a hint, too. It must accept `answer`, and refuse each of `wrong`, which holds at least one.
 *
 * @throws CheckError if the judge does not
 */
export async function solution<F extends Written>(
  name: string,
  answer: F,
  judge: (given: F) => Hint | Promise<Hint>,
  wrong: readonly [F, ...F[]],
): Promise<void>;
export async function solution(
  name: string,
  answer: AnswerValue,
  judge: number | ((given: never) => Hint | Promise<Hint>),
  wrong: readonly Written[] = [],
): Promise<void> {
  if (registry.has(name)) throw new ChapterError(`solution "${name}": there is one of this name already.`);
  const known: Solution = { answer, judge: typeof judge === "function" ? judge : within(answer, judge, name) };
  registry.set(name, known);
  const hint = await judgeAnswer(known, answer);
  if (hint) throw new CheckError(`solution "${name}": its own answer is refused: ${hint}.`);
  for (const [i, other] of wrong.entries()) {
    if (!(await judgeAnswer(known, other)))
      throw new CheckError(`solution "${name}": the judge accepts wrong answer ${i + 1}; let it test more.`);
  }
  emit({ kind: "check", text: `${name}: ${describe(answer)} is right` });
}

/** What `solution` says of an answer of another kind. */
const KINDS = { number: "a number", function: "a function", points: "a list of points [x, y]" };
const kindOf = (answer: unknown): keyof typeof KINDS | undefined =>
  typeof answer === "number" || typeof answer === "function"
    ? (typeof answer as "number")
    : Array.isArray(answer)
      ? "points"
      : undefined;

/** What is wrong with `given`; what a reader's function throws is a hint, too. */
export async function judgeAnswer({ answer, judge }: Solution, given: unknown): Promise<Hint> {
  const kind = kindOf(answer)!;
  if (kindOf(given) !== kind) return `it must be ${KINDS[kind]}`;
  try {
    return await judge(given as never);
  } catch (error) {
    return `it throws: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/**
 * "too small" or "too large" if `got` differs from `want` by more than `tolerance`: a hint for judges.
 *
 * @param what begins the sentence: "the mean at t = 10"
 */
export function hint(what: string, got: number, want: number, tolerance: number): Hint {
  if (typeof got !== "number" || Number.isNaN(got)) return `${what} is not a number`;
  if (got === want || Math.abs(got - want) <= tolerance) return undefined;
  return `${what} is too ${got < want ? "small" : "large"}`;
}

function within(answer: AnswerValue, tolerance: number, name: string): (given: never) => Hint {
  if (!(tolerance >= 0 && tolerance < Infinity)) {
    throw new RangeError(
      `solution "${name}": the tolerance is ${tolerance}; it must be a number from 0, the largest difference that is right.`,
    );
  }
  if (typeof answer === "number") return (given: number) => hint("it", given, answer, tolerance);
  return (given: Points) => comparePoints(given, answer as Points, tolerance);
}

/** Names the first point that is off, by its x. */
function comparePoints(given: Points, want: Points, tolerance: number): Hint {
  if (given.length !== want.length) return `it has ${given.length} points; the plot has ${want.length}`;
  for (const [i, [x, y]] of want.entries()) {
    const [gotX, gotY] = given[i]!;
    if (!(Math.abs(gotX - x) <= 1e-9 * Math.max(1, Math.abs(x))))
      return `its point ${i + 1} is at x = ${formatNumber(gotX)}; in the plot it is at x = ${formatNumber(x)}`;
    const wrong = hint(`its point at x = ${formatNumber(x)}`, gotY, y, tolerance);
    if (wrong) return wrong;
  }
  return undefined;
}

function describe(answer: AnswerValue): string {
  if (typeof answer === "number") return formatNumber(answer, 6);
  return typeof answer === "function" ? "this function" : `this curve of ${answer.length} points`;
}

/** The solutions that `run` keeps, by the exercises' names; it shows nothing. */
export async function collectSolutions(run: () => Promise<unknown>): Promise<ReadonlyMap<string, Solution>> {
  const before = registry;
  const collected = (registry = new Map<string, Solution>());
  try {
    await withoutOutput(run);
  } finally {
    registry = before;
  }
  return collected;
}
