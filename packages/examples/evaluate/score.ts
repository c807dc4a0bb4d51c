import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import {
  ATTRIBUTES,
  heldOutPairs,
  PORTRAIT_ATTRIBUTE_NAMES,
  type Attribute,
  type Face,
} from "../datasets/faces/index.js";
import type { Prompt } from "./prompts.js";

/** One character for each attribute, "-" if the data set does not have it. */
const ATTRIBUTE_NAMES = PORTRAIT_ATTRIBUTE_NAMES;

/**
 * How well a picture matches its prompt, one character for each attribute in the order of ATTRIBUTES: "1" right, "0"
 * wrong, "-" not mentioned.
 */
export type Verdict = string;

/** Compares the prompt with the classifier's result. An attribute that the picture does not show counts as wrong. */
export function judge({ face, mentioned }: Pick<Prompt, "face" | "mentioned">, reading: Partial<Face>): Verdict {
  return ATTRIBUTE_NAMES.map((name) => (mentioned.includes(name) ? Number(reading[name] === face[name]) : "-")).join(
    "",
  );
}

/** A mistake, and how often it was made. */
export interface Confusion {
  readonly attribute: Attribute;
  readonly asked: string;
  /** "nothing" if the picture does not show the attribute. */
  readonly drawn: string;
  readonly count: number;
}

/** The mistakes, most frequent first. */
export function confusions(
  prompts: readonly Pick<Prompt, "face" | "mentioned">[],
  readings: readonly Partial<Face>[],
  most = 8,
): Confusion[] {
  const counts = new Map<string, number>();
  prompts.forEach(({ face, mentioned }, i) => {
    for (const name of mentioned.filter((name) => readings[i]![name] !== face[name])) {
      const key = [name, face[name], readings[i]![name] ?? "nothing"].join(" ");
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  });
  const ordered = [...counts].sort(([, m], [, n]) => n - m).slice(0, most);
  return ordered.map(([key, count]) => {
    const [attribute, asked, drawn] = key.split(" ") as [Attribute, string, string];
    return { attribute, asked, drawn, count };
  });
}

/**
 * A classifier result in twelve characters, with the index of each attribute's value or "-", so that files stay small.
 */
export function packReading(reading: Partial<Face>): string {
  return ATTRIBUTE_NAMES.map((name) => {
    const value: string | undefined = reading[name];
    return value === undefined ? "-" : (ATTRIBUTES[name] as readonly string[]).indexOf(value);
  }).join("");
}

/** The inverse of {@link packReading}. */
export function unpackReading(packed: string): Partial<Face> {
  const shown = ATTRIBUTE_NAMES.map((name, at) => [name, ATTRIBUTES[name][Number(packed[at])]] as const);
  return Object.fromEntries(shown.filter(([, value]) => value !== undefined));
}

/** A share, with the bounds of its 95 % confidence interval. */
export interface Estimate {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

export interface Scores {
  /** Share of the mentioned attributes that are right. */
  readonly mean: Estimate;
  /** Share of the pictures in which every mentioned attribute is right. */
  readonly allRight: Estimate;
  readonly attributes: Partial<Record<Attribute, Estimate>>;
}

/**
 * Scores of pictures drawn for prompts; `verdicts[k][i]` is for sampling seed k and prompt i. Intervals come from the
 * bootstrap over prompts: a prompt's attributes and seeds are not independent, so they stay together.
 */
export function score(verdicts: readonly (readonly Verdict[])[], random: RandomNumbers): Scores {
  const marks = ofPrompts(verdicts).map((own) => [
    own.join(""),
    own.map((verdict) => (verdict.includes("0") ? "0" : "1")).join(""),
    ...ATTRIBUTE_NAMES.map((_, at) => own.map((verdict) => verdict[at]!).join("")),
  ]);
  const [mean, allRight, ...attributes] = estimates(marks, random);
  const named = ATTRIBUTE_NAMES.map((name, at) => [name, attributes[at]!] as const);
  return {
    mean: mean!,
    allRight: allRight!,
    attributes: Object.fromEntries(named.filter(([, { share }]) => !Number.isNaN(share))),
  };
}

/**
 * The measure of composition: the share of the requested held-out pairs that are drawn with both attributes right.
 * Undefined if no prompt asks for such a pair.
 */
export function scorePairs(
  prompts: readonly Pick<Prompt, "face" | "mentioned">[],
  readings: readonly (readonly Partial<Face>[])[],
  random: RandomNumbers,
): Estimate | undefined {
  const marks = prompts.map(({ face, mentioned }, i) => {
    const pairs = heldOutPairs(face).filter((pair) => pair.every((name) => mentioned.includes(name)));
    const isRight = (reading: Partial<Face>, pair: Attribute[]) => pair.every((name) => reading[name] === face[name]);
    return [readings.flatMap((ofSeed) => pairs.map((pair) => Number(isRight(ofSeed[i]!, pair)))).join("")];
  });
  return marks.some(([own]) => own !== "") ? estimates(marks, random)[0] : undefined;
}

/** From a list of verdicts for each seed to one for each prompt. */
const ofPrompts = (verdicts: readonly (readonly Verdict[])[]) =>
  verdicts[0]!.map((_, i) => verdicts.map((ofSeed) => ofSeed[i]!));

/**
 * For each statistic, the share of ones among the marks "0" and "1" of all prompts, `marks[prompt][statistic]`, with
 * the percentiles 2.5 and 97.5 of that share over resampled prompts (Efron 1979).
 */
function estimates(marks: readonly string[][], random: RandomNumbers, resamples = 1000): Estimate[] {
  const count = (text: string) => [text.split("1").length - 1, text.replaceAll("-", "").length];
  const prompts = marks.map((statistics) => statistics.flatMap(count));
  const resampled = Array.from({ length: resamples }, () =>
    sharesOf(prompts.map(() => prompts[random.integer(prompts.length)]!)),
  );
  return sharesOf(prompts).map((share, statistic) => {
    const sorted = resampled.map((row) => row[statistic]!).sort((a, b) => a - b);
    const percentile = (p: number) => sorted[Math.min(resamples - 1, Math.floor(p * resamples))]!;
    return { share, low: percentile(0.025), high: percentile(0.975) };
  });
}

/** For each statistic, the ratio of the sums of its two counts. */
function sharesOf(prompts: readonly number[][]): number[] {
  const sums = new Float64Array(prompts[0]!.length);
  for (const row of prompts) for (let i = 0; i < sums.length; i++) sums[i]! += row[i]!;
  return Array.from({ length: sums.length / 2 }, (_, i) => sums[2 * i]! / sums[2 * i + 1]!);
}
