import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTE_NAMES, type Attribute, type Face } from "../datasets/faces/index.js";
import type { Prompt } from "./eval-prompts.js";

/**
 * How one picture answers its prompt, one character an attribute in the order of ATTRIBUTES:
 * "1" as asked, "0" not, "-" not mentioned. Text, so that a thousand of them are a readable file.
 */
export type Verdict = string;

/** Compares what was asked with what the classifier reads. An attribute that the picture does not show counts as wrong. */
export function judge({ face, mentioned }: Pick<Prompt, "face" | "mentioned">, reading: Partial<Face>): Verdict {
  return ATTRIBUTE_NAMES.map((name) => (mentioned.includes(name) ? Number(reading[name] === face[name]) : "-")).join(
    "",
  );
}

/** A share, with the bounds of its 95 % confidence interval. */
export interface Estimate {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

export interface Scores {
  /** Of all mentioned attributes, how many are as asked. */
  readonly mean: Estimate;
  /** Of all pictures, how many have every mentioned attribute as asked. */
  readonly allRight: Estimate;
  readonly attributes: Partial<Record<Attribute, Estimate>>;
}

/**
 * Scores of pictures drawn for prompts, `verdicts[k][i]` being the k-th sampling seed's for prompt i. Intervals come
 * from the bootstrap over prompts (Efron 1979): a prompt's attributes and seeds are not independent, so they stay
 * together. Bounds are the percentiles 2.5 and 97.5 of the resampled shares.
 */
export function score(verdicts: readonly (readonly Verdict[])[], random: RandomNumbers, resamples = 1000): Scores {
  const prompts = verdicts[0]!.map((_, i) => countRow(verdicts.map((seed) => seed[i]!)));
  const shares = sharesOf(prompts);
  const resampled = Array.from({ length: resamples }, () =>
    sharesOf(prompts.map(() => prompts[random.integer(prompts.length)]!)),
  );
  const [mean, allRight, ...attributes] = shares.map((share, statistic): Estimate => {
    const sorted = resampled.map((row) => row[statistic]!).sort((a, b) => a - b);
    const percentile = (p: number) => sorted[Math.min(resamples - 1, Math.floor(p * resamples))]!;
    return { share, low: percentile(0.025), high: percentile(0.975) };
  });
  const named = ATTRIBUTE_NAMES.map((name, at) => [name, attributes[at]!] as const);
  return {
    mean: mean!,
    allRight: allRight!,
    attributes: Object.fromEntries(named.filter(([, { share }]) => !Number.isNaN(share))),
  };
}

/** One prompt's counts over its pictures, [right, asked] for each statistic: all attributes, whole pictures, each attribute. */
function countRow(verdicts: readonly Verdict[]): number[] {
  const count = (marks: string) => [marks.split("1").length - 1, marks.replaceAll("-", "").length];
  const whole = verdicts.map((verdict) => (verdict.includes("0") ? "0" : "1")).join("");
  const perAttribute = ATTRIBUTE_NAMES.map((_, at) => verdicts.map((verdict) => verdict[at]!).join(""));
  return [verdicts.join(""), whole, ...perAttribute].flatMap(count);
}

/** For each statistic, the ratio of the summed counts. */
function sharesOf(prompts: readonly number[][]): number[] {
  const sums = new Float64Array(prompts[0]!.length);
  for (const row of prompts) for (let i = 0; i < sums.length; i++) sums[i]! += row[i]!;
  return Array.from({ length: sums.length / 2 }, (_, i) => sums[2 * i]! / sums[2 * i + 1]!);
}
