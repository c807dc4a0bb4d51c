import { PipelineOptionError } from "../options/errors.js";
import { requireNoTags } from "./prompt-loras.js";
import { warn } from "../../platform/warn.js";
import { isComposed } from "../../text/composed-prompt.js";
import { parsePromptWeights } from "../../text/prompt-weights.js";
import { promptSchedule, type ScheduledPrompt, unreadEditing } from "../../text/prompt-schedule.js";

/** A prompt, and the prompt that XL's second text encoder reads instead. */
export interface PromptText {
  prompt: string;
  prompt2?: string;
}

/** The prompts of a drawing, which may change from step to step. */
export interface PromptPlan {
  /** The texts of all steps, each once. */
  texts: readonly PromptText[];
  /** For each step, the index in `texts` of each prompt. */
  rows: readonly (readonly number[])[];
}

/**
 * The text of each prompt at each step.
 *
 * @param isEdited whether prompt editing is read: see `promptSchedule`
 */
export function promptPlan(prompts: readonly PromptText[], steps: number, isEdited: boolean): PromptPlan {
  const asGiven = { texts: prompts, rows: Array<number[]>(steps).fill(prompts.map((_, i) => i)) };
  if (!isEdited) return asGiven;
  const schedules = prompts.map(({ prompt, prompt2 }) => ({
    first: promptSchedule(prompt, steps),
    second: prompt2 === undefined ? undefined : promptSchedule(prompt2, steps),
  }));
  const isSame = schedules.every(({ first, second }) => first.length === 1 && (second?.length ?? 1) === 1);
  if (isSame) {
    const texts = schedules.map(({ first, second }) => textOf(first, second, 1));
    return { ...asGiven, texts };
  }
  const numbers = new Map<string, number>();
  const texts: PromptText[] = [];
  const numberOf = (text: PromptText) => {
    const key = JSON.stringify([text.prompt, text.prompt2]);
    if (!numbers.has(key)) numbers.set(key, texts.push(text) - 1);
    return numbers.get(key)!;
  };
  const rows = Array.from({ length: steps }, (_, i) =>
    schedules.map(({ first, second }) => numberOf(textOf(first, second, i + 1))),
  );
  return { texts, rows };
}

function textOf(first: readonly ScheduledPrompt[], second: readonly ScheduledPrompt[] | undefined, step: number) {
  const prompt = textAt(first, step);
  return second ? { prompt, prompt2: textAt(second, step) } : { prompt };
}

function textAt(schedule: readonly ScheduledPrompt[], step: number): string {
  return schedule.find(({ lastStep }) => step <= lastStep)!.prompt;
}

/** @throws PipelineOptionError for prompts that change with the step, name LoRAs or are joined by AND */
export function requireSameAtEachStep(prompts: readonly string[]): void {
  requireNoTags("prompts", prompts);
  const composed = prompts.find(isComposed);
  if (composed !== undefined) {
    throw new PipelineOptionError(
      `prompts: ${JSON.stringify(composed)} has AND or a weight at its end, which the denoiser follows and not the text ` +
        "encoder. Give it to generate as prompt.",
    );
  }
  const edited = prompts.find((prompt) => promptSchedule(prompt, 1).some((scheduled) => scheduled.prompt !== prompt));
  if (edited === undefined) return;
  throw new PipelineOptionError(
    `prompts: ${JSON.stringify(edited)} changes with the step, so it has no states of its own. Give it to generate as ` +
      "prompt, or encode each of its texts: see promptSchedule.",
  );
}

/** Beyond this a picture only breaks: a number after a colon, such as a time of day, was taken as a weight. */
const PLAUSIBLE_WEIGHT = 5;

/** Warns once each of brackets that are read as text, and of texts that are hardly meant as weights. */
export function tellOfReading({ texts }: PromptPlan): void {
  const prompts = texts.flatMap(({ prompt, prompt2 }) => (prompt2 === undefined ? [prompt] : [prompt, prompt2]));
  const unread = prompts.map(unreadEditing).find((part) => part !== undefined);
  if (unread !== undefined) {
    warn(
      `In a prompt, ${unread} is read as text: its brackets are not valid prompt editing. Write [a:b:0.5], [a|b], or ` +
        "a backslash before a character that is meant as text.",
    );
  }
  const heavy = prompts.flatMap(parsePromptWeights).find(({ weight }) => Math.abs(weight) > PLAUSIBLE_WEIGHT);
  if (heavy === undefined) return;
  warn(
    `In a prompt, "${heavy.text}" has the weight ${Number(heavy.weight.toPrecision(4))}, as in AUTOMATIC1111. If its ` +
      "brackets are meant as text, write \\( and \\).",
  );
}
