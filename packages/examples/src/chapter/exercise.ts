import { basename } from "node:path";
import * as Plot from "@observablehq/plot";
import { ChapterError } from "./errors.js";
import { formatNumber, type ExerciseState } from "./output.js";
import { plot } from "./show.js";
import { emit } from "./sink.js";
import {
  collectSolutions,
  judgeAnswer,
  type AnswerValue,
  type Points,
  type Solution,
  type Written,
} from "./solution.js";

/** A placeholder for the reader's answer. */
export const todo: unique symbol = Symbol("todo");
/** A reader's answer: a number unless said otherwise, or still to do. */
export type Answer<T extends AnswerValue = number> = T | typeof todo;

/** An exercise that the chapter has come to. */
export interface Attempt {
  readonly name: string;
  readonly state: ExerciseState;
  /** What the reader predicts: the number that the chapter computes. */
  readonly computed?: number;
}

/**
 * Judges the answer to an exercise by the chapter's solutions. A wrong answer shows a hint and does not end the
 * chapter; for `todo` there is only a reminder.
 */
export async function exercise(name: string, answer: Answer<AnswerValue>): Promise<void> {
  if (answer === todo) return attempt({ name, state: "todo" }, `${name}: your turn`);
  const wrong = await judgeAnswer(await solutionOf(name), answer);
  const given = typeof answer === "number" ? formatNumber(answer, 6) : "your answer";
  if (wrong) attempt({ name, state: "wrong" }, `${name}: ${given} is not right yet: ${wrong}`);
  else attempt({ name, state: "right" }, `${name}: ${given} is right`);
}

/**
 * Predict, then run: shows the `computed` number only after the reader has predicted it. A prediction that differs by
 * more than `tolerance` is no mistake; the reader is told by how much it is off.
 */
export function predict(name: string, prediction: Answer, computed: number, tolerance: number): void {
  if (prediction === todo)
    return attempt({ name, state: "todo", computed }, `${name}: predict it; the number is shown afterwards`);
  const close = Math.abs(prediction - computed) <= tolerance;
  attempt(
    { name, state: close ? "right" : "predicted", computed },
    `${name}: you predicted ${formatNumber(prediction)}; it is ${formatNumber(computed)}${close ? "" : ". What did you not think of?"}`,
  );
}

/** Find the fault: `given` has a wrong line. Until the reader has repaired it, the fault's symptom is shown. */
export async function repair(name: string, given: Written): Promise<void> {
  const symptom = await judgeAnswer(await solutionOf(name), given);
  if (symptom) attempt({ name, state: "todo" }, `${name}: not repaired yet: ${symptom}`);
  else attempt({ name, state: "right" }, `${name}: repaired`);
}

/** A plot to reproduce: draws the curve of the solution as a line, and the reader's points upon it. */
export async function reproduce(
  name: string,
  answer: Answer<Points>,
  { caption, ...options }: Plot.PlotOptions & { caption: string },
): Promise<void> {
  const target = (await solutionOf(name)).answer;
  if (!Array.isArray(target)) throw new ChapterError(`reproduce "${name}": its solution is no list of points.`);
  const marks = [Plot.line(target as Points, { stroke: "#d97706", strokeWidth: 3, strokeOpacity: 0.6 })];
  if (Array.isArray(answer)) marks.push(Plot.dot(answer as Points, { fill: "#4269d0", r: 3 }));
  plot({ caption, ...options, marks: [...(options.marks ?? []), ...marks] });
  await exercise(name, answer);
}

function attempt(made: Attempt, text: string): void {
  attempts.push(made);
  emit({ kind: "exercise", state: made.state, text });
}

/** How a chapter's solutions are found: in the file of the same name in the folder `solutions` beside it. */
const importSolutions = (name: string): Promise<unknown> =>
  import(new URL(`../../chapters/solutions/${name}.js`, import.meta.url).href);

let chapter = basename(process.argv[1] ?? "").replace(/\.[jt]s$/, "");
let load = importSolutions;
let attempts: Attempt[] = [];
/** By chapter: a module is executed only once in a process. */
const solutions = new Map<string, Promise<ReadonlyMap<string, Solution>>>();

/**
 * From now on, exercises belong to this chapter.
 *
 * @param loadSolutions executes the file with its solutions
 */
export function beginChapter(name: string, loadSolutions = importSolutions): void {
  chapter = name;
  if (loadSolutions !== load) solutions.delete(name);
  load = loadSolutions;
  attempts = [];
}

/** The exercises that the chapter has come to since it began. */
export const attemptsSoFar = (): readonly Attempt[] => attempts;

async function solutionOf(name: string): Promise<Solution> {
  if (!solutions.has(chapter))
    solutions.set(
      chapter,
      collectSolutions(() => load(chapter)),
    );
  const known = await solutions.get(chapter)!;
  const found = known.get(name);
  if (!found)
    throw new ChapterError(
      `exercise "${name}": chapters/solutions/${chapter}.ts has no solution of this name. ` +
        `It has: ${[...known.keys()].join(", ")}.`,
    );
  return found;
}

/** "exercises: 2 right, 1 wrong, 3 to do"; undefined for a chapter without exercises. */
export function exerciseSummary(made: readonly Attempt[] = attempts): string | undefined {
  const words: Record<ExerciseState, string> = {
    right: "right",
    predicted: "predicted",
    wrong: "wrong",
    todo: "to do",
  };
  const counts = Object.entries(words).flatMap(([state, word]) => {
    const count = made.filter((attempt) => attempt.state === state).length;
    return count > 0 ? [`${count} ${word}`] : [];
  });
  return counts.length > 0 ? `exercises: ${counts.join(", ")}` : undefined;
}

/**
 * Compares a chapter's exercises with its solutions.
 *
 * @throws ChapterError for an exercise without a solution, a solution without an exercise, or a number that readers
 * predict and that the chapter computes otherwise than its solution
 */
export async function matchSolutions(
  made: readonly Attempt[],
  solutions: ReadonlyMap<string, Solution>,
): Promise<void> {
  const names = made.map(({ name }) => name);
  const problems = [
    ...names.filter((name) => !solutions.has(name)).map((name) => `"${name}" has no solution`),
    ...[...solutions.keys()].filter((name) => !names.includes(name)).map((name) => `"${name}" is no exercise`),
  ];
  for (const { name, computed } of made) {
    const known = solutions.get(name);
    const wrong = known && computed !== undefined && (await judgeAnswer(known, computed));
    if (wrong) problems.push(`"${name}" is computed as ${computed}: ${wrong} for the solution`);
  }
  if (problems.length > 0) throw new ChapterError(`Exercises and solutions do not match: ${problems.join("; ")}.`);
}
