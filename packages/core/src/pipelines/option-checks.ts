import * as tf from "@tensorflow/tfjs";
import { PipelineOptionError } from "./errors.js";

/** @throws PipelineOptionError that says what was given and what is expected */
export function requireOption(condition: boolean, option: string, value: unknown, expected: string): asserts condition {
  if (!condition) throw new PipelineOptionError(`${option}: ${String(value)}; expected ${expected}.`);
}

export function requireWhole(option: string, value: number, least: number): void {
  requireOption(Number.isSafeInteger(value) && value >= least, option, value, `a whole number, ${least} or more`);
}

export function requireBetween(option: string, value: number, least: number, most: number): void {
  requireOption(value >= least && value <= most, option, value, `a number from ${least} to ${most}`);
}

/** Each of these options that is given must be a tensor. */
export function requireTensors(options: Record<string, unknown>): void {
  for (const [option, value] of Object.entries(options)) {
    requireOption(value === undefined || value instanceof tf.Tensor, option, value, "a tensor");
  }
}

/** One text or several, as a list. */
export function texts(option: string, given: string | string[]): string[] {
  const list = [given].flat() as unknown[];
  if (list.length === 0) throw new PipelineOptionError(`${option}: an empty list; give at least one.`);
  for (const value of list) requireOption(typeof value === "string", option, value, "a string, or a list of strings");
  return list as string[];
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
