import * as tf from "@tensorflow/tfjs";
import type { Plan, PlanRequest } from "@tfjs-diffusion/schedulers";
import type { ConditionalDenoiserInputs } from "../../models/denoiser.js";
import { composedParts } from "../../text/composed-prompt.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import { PipelineOptionError } from "../options/errors.js";
import { type PromptPlan, promptPlan, type PromptText, tellOfReading } from "./prompt-plan.js";
import {
  type EncodePromptsOptions,
  type PromptReader,
  type PromptReading,
  rowsOf,
  type TextConditioning,
  tokensFor,
} from "./text-conditioning.js";

/**
 * The denoiser's inputs besides latents and timestep. With guidance the batch is twice as large, with the negative
 * prompts first. The caller owns the tensors.
 */
export type Condition = {
  context: tf.Tensor3D;
  inputs: ConditionalDenoiserInputs & tf.TensorContainerObject;
  /** If AND joins prompts: all but the first. */
  composition?: Composition;
};

/** The prompts that AND joins. A prompt with fewer parts than others of the batch has further ones of weight 0. */
export type Composition = {
  /** The weight of each part, for each prompt of the batch. */
  weights: number[][];
  /** The inputs of all parts but the first, without the negative prompts. */
  others: Condition[];
};

/** Prompts as texts, or their states. */
export type GivenPrompts = readonly PromptText[] | TextConditioning;

/** The functions of a pipeline that {@link conditionPerStep} uses. */
export interface PromptEncoder {
  /** The text encoders, each with the texts that it reads. */
  readers(texts: readonly PromptText[]): PromptReader[];
  /** Encodes texts, a row for each. */
  encode(texts: readonly PromptText[], options: EncodePromptsOptions): TextConditioning;
  /** The denoiser's inputs for encoded prompts, a row for each. */
  condition(positive: TextConditioning, negative: TextConditioning | undefined): Condition;
}

/** The prompts of a drawing. */
export interface ConditionRequest {
  positive: GivenPrompts;
  negative: GivenPrompts | undefined;
  /** How many steps the prompts are edited over. */
  steps: number;
  clipSkip: number;
  reading: PromptReading;
}

/**
 * The denoiser's inputs for each step; steps with the same prompts share one object. Each text is encoded once, and all
 * texts have as many chunks as the longest one needs. Runs in a tidy.
 *
 * @throws PipelineOptionError for states with fewer tokens than the prompts
 */
export function conditionPerStep(encoder: PromptEncoder, request: ConditionRequest): Condition[] {
  const { positive, negative, steps, clipSkip, reading } = request;
  const parts = partsOf(positive, reading);
  const tokens = tokensOfAll(encoder, { ...request, positive: parts.prompts });
  const prompts = encoded(parts.prompts, { ...reading, clipSkip, tokens });
  // The negative prompt is encoded without clipSkip, as in diffusers.
  const negatives = negative && encoded(negative, { ...reading, tokens });
  const known = new Map<string, Condition>();
  return Array.from({ length: steps }, (_, step) => {
    const key = JSON.stringify([prompts, negatives].map((each) => each?.plan?.rows[step]));
    const condition = known.get(key) ?? composed(parts.weights, at(prompts, step), negatives && at(negatives, step));
    known.set(key, condition);
    return condition;
  });

  function composed(weights: number[][], states: TextConditioning, negative: TextConditioning | undefined): Condition {
    const conditions = weights.map((ofPart, part) => {
      const own =
        weights.length === 1
          ? states
          : rowsOf(
              states,
              ofPart.map((_, i) => i * weights.length + part),
            );
      return encoder.condition(own, negative);
    });
    const [first, ...others] = conditions as [Condition];
    const isPlain = weights.length === 1 && weights[0]!.every((weight) => weight === 1);
    return isPlain ? first : { ...first, composition: { weights, others: others.map(promptedHalf) } };
  }

  function encoded(given: GivenPrompts, options: EncodePromptsOptions): Encoded {
    const plan = planOf(given, request);
    if (plan && request.reading.weighting) tellOfReading(plan);
    return plan ? { plan, states: encoder.encode(plan.texts, options) } : { states: given as TextConditioning };
  }
}

/** The inputs of the prompts, without those of the negative prompts. Borrows its argument. */
export function promptedHalf(condition: Condition): Condition {
  return changed(condition, (x) => tf.split(x, 2)[1]!);
}

/** The inputs of a slice's pictures. Borrows its argument; runs in a tidy. */
export function conditionOfSlice(condition: Condition, slice: Slice): Condition {
  const inputs = changed(condition, (x) => rowsOfSlice(x, slice));
  if (!condition.composition) return inputs;
  const { weights, others } = condition.composition;
  const { from, to, of } = slice;
  const ofPictures = weights.map((each) =>
    Array.from({ length: to - from }, (_, i) => each[Math.floor(((from + i) * each.length) / of)]!),
  );
  return {
    ...inputs,
    composition: { weights: ofPictures, others: others.map((other) => conditionOfSlice(other, slice)) },
  };
}

/** The same change of all tensors of a condition. */
function changed({ context, inputs }: Condition, change: (x: tf.Tensor) => tf.Tensor): Condition {
  const values = Object.entries(inputs).map(([name, value]) => [
    name,
    value instanceof tf.Tensor ? change(value) : value,
  ]);
  return { context: change(context) as tf.Tensor3D, inputs: Object.fromEntries(values) as Condition["inputs"] };
}

/** The step of each call of the denoiser, counted from 1; calls before `first` are not made. */
export function stepCounter({ stepStarts }: Plan, first: number): (call: number) => number {
  const before = stepStarts.filter((start) => start < first).length;
  return (call) => stepStarts.filter((start) => start <= call).length - before;
}

/** The number of steps of a request. */
export function stepCount(request: PlanRequest, { stepStarts }: Plan): number {
  return typeof request === "number" ? request : stepStarts.length;
}

/** The parts of all prompts, prompt by prompt, and the weights of each part; given states have one part. */
function partsOf(given: GivenPrompts, { weighting }: PromptReading): { prompts: GivenPrompts; weights: number[][] } {
  if ("context" in given) return { prompts: given, weights: [Array<number>(given.context.shape[0]).fill(1)] };
  if (!weighting) return { prompts: given, weights: [given.map(() => 1)] };
  const parts = given.map((text) => composedParts(text.prompt).map((part) => ({ ...text, ...part })));
  const most = Math.max(...parts.map(({ length }) => length));
  const filled = parts.map((list) => Array.from({ length: most }, (_, k) => list[k] ?? { ...list[0]!, weight: 0 }));
  return {
    prompts: filled.flat().map(({ weight: _, ...text }) => text),
    weights: Array.from({ length: most }, (_, part) => filled.map((list) => list[part]!.weight)),
  };
}

/** The states of all texts of a plan, or given states without a plan. */
interface Encoded {
  plan?: PromptPlan;
  states: TextConditioning;
}

function at({ plan, states }: Encoded, step: number): TextConditioning {
  const changes = plan && new Set(plan.rows).size > 1;
  return changes ? rowsOf(states, plan.rows[step]!) : states;
}

function planOf(given: GivenPrompts, { steps, reading }: ConditionRequest): PromptPlan | undefined {
  return "context" in given ? undefined : promptPlan(given, steps, reading.weighting ?? false);
}

/** The number of tokens of all states: that of given states, or as many as the longest text needs. */
function tokensOfAll(encoder: PromptEncoder, request: ConditionRequest): number {
  const { positive, negative, reading } = request;
  if ("context" in positive) return positive.context.shape[1];
  const texts = [positive, negative].flatMap((given) => (given ? (planOf(given, request)?.texts ?? []) : []));
  const needed = tokensFor(encoder.readers(texts), reading);
  if (!negative || !("context" in negative)) return needed;
  const given = negative.context.shape[1];
  if (given >= needed) return given;
  throw new PipelineOptionError(
    `negativePromptEmbeds: ${given} tokens; the prompts have ${needed}. Give states of at least as many tokens.`,
  );
}
