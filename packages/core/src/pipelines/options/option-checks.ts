import * as tf from "@tensorflow/tfjs";
import { PipelineOptionError } from "./errors.js";
import { A_TENSOR, isOfNumbers, MOST_PICTURES } from "./option.js";

/** @throws PipelineOptionError that says what was given and what is expected */
export function requireOption(condition: boolean, option: string, value: unknown, expected: string): asserts condition {
  if (!condition) throw new PipelineOptionError(`${option}: ${String(value)}; expected ${expected}.`);
}

export function requireWhole(option: string, value: number, least: number): void {
  requireOption(Number.isSafeInteger(value) && value >= least, option, value, `a whole number, ${least} or more`);
}

export function requireBetween(option: string, value: number, least: number, most: number): void {
  const isBetween = typeof value === "number" && value >= least && value <= most;
  requireOption(isBetween, option, value, `a number from ${least} to ${most}`);
}

/** Requires a tensor that is not disposed. */
export function requireTensor(option: string, value: unknown): void {
  requireOption(value instanceof tf.Tensor, option, value, "a tensor");
  const { isDisposed, dtype } = value as tf.Tensor;
  requireOption(!isDisposed, option, "disposed of", A_TENSOR);
  requireOption(isOfNumbers(value as tf.Tensor), option, `a tensor of ${dtype}`, A_TENSOR);
}

/** How far a picture's values may lie outside [0, 1], because bicubic resizing overshoots. */
const OVERSHOOT = 0.25;

/**
 * Requires pictures in [0, 1]. Without this check, bytes would appear far too bright, and pictures in [-1, 1] (the
 * networks' range) too dark.
 *
 * @throws PipelineOptionError also for NaN
 */
export async function requirePictures(pictures: Record<string, tf.Tensor | undefined>): Promise<void> {
  for (const [option, picture] of Object.entries(pictures)) {
    if (!picture) continue;
    const range = tf.tidy(() => tf.stack([picture.min(), picture.max(), picture.mean()].map((x) => x.toFloat())));
    const [least, most, mean] = (await range.data()) as unknown as [number, number, number];
    range.dispose();
    const isPicture = least >= -OVERSHOOT && most <= 1 + OVERSHOOT && Number.isFinite(mean);
    const found = Number.isFinite(mean) ? `values from ${least} to ${most}` : "values that are NaN or infinite";
    requireOption(isPicture, option, found, "values from 0 to 1; divide bytes by 255");
  }
}

/**
 * Requires finite numbers in every tensor among the options, also in lists of tensors and in objects such as a control
 * or the states of a prompt.
 *
 * @throws PipelineOptionError that names the option
 */
export async function requireFiniteTensors(options: object): Promise<void> {
  for (const [name, tensor] of Object.entries(options).flatMap(([name, value]) => namedTensors(name, value))) {
    requireTensor(name, tensor);
    const bad = countNonFinite(await tensor.data());
    requireOption(bad === 0, name, `${bad} of ${tensor.size} values are NaN or infinite`, "finite numbers");
  }
}

/** How many values are NaN or infinite. */
export function countNonFinite(values: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) count++;
  return count;
}

function namedTensors(name: string, value: unknown): [name: string, tensor: tf.Tensor][] {
  if (value instanceof tf.Tensor) return value.dtype === "float32" ? [[name, value as tf.Tensor]] : [];
  if (Array.isArray(value)) return value.flatMap((item, i) => namedTensors(`${name}[${i}]`, item));
  // Models, schedulers and signals have classes; what a caller writes between braces has none.
  const isPlain = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isPlain ? Object.entries(value).flatMap(([key, item]) => namedTensors(`${name}.${key}`, item)) : [];
}

/** One object or several, by their names in error messages: `control`, or `control[0]` and so on. */
export function namedInputs<T extends object>(option: string, given: T | readonly T[] | undefined): Map<string, T> {
  if (!Array.isArray(given)) return new Map(given ? [[option, given as T]] : []);
  return new Map((given as readonly T[]).map((one, i) => [`${option}[${i}]`, one]));
}

/** One text or several, as a list. */
export function texts(option: string, given: string | string[]): string[] {
  const list = [given].flat() as unknown[];
  if (list.length === 0) throw new PipelineOptionError(`${option}: an empty list; give at least one.`);
  for (const value of list) requireOption(typeof value === "string", option, value, "a string, or a list of strings");
  return list as string[];
}

/** @throws PipelineOptionError for more pictures than one call draws */
export function requireCount(prompts: number, numImages: number): void {
  const all = prompts * numImages;
  if (all <= MOST_PICTURES) return;
  throw new PipelineOptionError(
    `numImages: ${numImages} of ${prompts} prompts are ${all} pictures; one call draws at most ${MOST_PICTURES}. Make several calls.`,
  );
}

/** One negative prompt for all, or one for each of `count` prompts. */
export function negativesFor(count: number, given: string | string[]): string[] {
  const negatives = texts("negativePrompt", given);
  if (negatives.length !== 1 && negatives.length !== count) {
    throw new PipelineOptionError(
      `negativePrompt: ${negatives.length} for ${count} prompts; give one for all, or one for each.`,
    );
  }
  return negatives;
}
