import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModel, CLIPTextModelWithProjection, CLIPTextOutput } from "../../models/clip/clip-text-model.js";
import { warn } from "../../platform/warn.js";
import { PipelineOptionError } from "../options/errors.js";
import { parsePromptWeights, type WeightedText } from "../../text/prompt-weights.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";

/** The networks that read a prompt. */
export interface TextEncoders {
  readonly tokenizer: CLIPTokenizer;
  /** Its last hidden states are the context of the UNet's cross-attention. */
  readonly textEncoder: CLIPTextModel;
  /** Its projected sentence vector is added to the UNet's time embedding, if the UNet takes one. */
  readonly textEncoder2?: CLIPTextModelWithProjection;
}

/** The encoding of N prompts. The caller owns the tensors. */
export type TextConditioning = {
  /** One state per token: [N, L, C]. */
  context: tf.Tensor3D;
  /** One vector per prompt: [N, D]. */
  pooled: tf.Tensor2D | undefined;
};

/** How to read prompts. */
export interface EncodePromptsOptions {
  /** Take the states from this many layers before the last. */
  clipSkip?: number;
  /** Read `(word:1.3)` as weights: see {@link parsePromptWeights}. */
  weighting?: boolean;
  /** Number of tokens to cut or pad each prompt to. Default: the most that tokenizer and encoder can take. */
  tokens?: number;
}

/** Number of tokens that a prompt is cut or padded to. */
export function tokensOf(tokenizer: CLIPTokenizer, encoder: CLIPTextModel | CLIPTextModelWithProjection): number {
  return Math.min(tokenizer.maxLength, encoder.config.max_position_embeddings);
}

/** Encodes all prompts at once, each cut or padded to the same length; warns about text that is cut. */
export function encodePrompts(
  prompts: string[],
  { tokenizer, textEncoder, textEncoder2 }: TextEncoders,
  { clipSkip = 0, ...reading }: EncodePromptsOptions = {},
): TextConditioning {
  return tf.tidy(() => {
    const { ids, weights } = readPrompts({ prompts, tokenizer, encoder: textEncoder }, reading);
    const states = tokenStates(textEncoder, ids, clipSkip);
    return {
      context: reading.weighting ? weighted(states, weights) : states,
      pooled: textEncoder2?.forward(readPrompts({ prompts, tokenizer, encoder: textEncoder2 }, reading).ids).textEmbeds,
    };
  });
}

/** A text encoder, its prompts, and its tokenizer. */
export interface PromptReader {
  prompts: string[];
  tokenizer: CLIPTokenizer;
  encoder: CLIPTextModel | CLIPTextModelWithProjection;
}

/**
 * Encodes prompts for Stable Diffusion XL: the states before each encoder's last layer, not normalised, are
 * concatenated, and the last encoder gives the sentence vector (Podell et al. 2024, section 2.1).
 */
export function encodePromptsXL(
  readers: readonly PromptReader[],
  { clipSkip = 0, ...reading }: EncodePromptsOptions = {},
): TextConditioning {
  return tf.tidy(() => {
    const read = readers.map((reader) => {
      const { ids, weights } = readPrompts(reader, reading);
      const output: CLIPTextOutput & { textEmbeds?: tf.Tensor2D } = reader.encoder.forward(ids);
      const states = output.hiddenStates.at(-2 - clipSkip)!;
      return { states: reading.weighting ? weighted(states, weights) : states, pooled: output.textEmbeds };
    });
    return {
      context: tf.concat(
        read.map(({ states }) => states),
        2,
      ),
      pooled: read.at(-1)!.pooled,
    };
  });
}

/**
 * The token ids [N, L] of the prompts, the number of tokens in each that are not padding, and the weight of each token.
 */
export function readPrompts(
  { prompts, tokenizer, encoder }: PromptReader,
  { weighting = false, tokens }: EncodePromptsOptions = {},
) {
  const most = tokensOf(tokenizer, encoder);
  const maxLength = tokens ?? most;
  if (maxLength > most) {
    throw new PipelineOptionError(
      `promptEmbeds: ${maxLength} tokens; the text encoder reads negative prompts of at most ${most} tokens. ` +
        "Give negativePromptEmbeds of the same length, or a guidanceScale of 1.",
    );
  }
  const encoded = prompts.map((prompt) => encodeWeighted(tokenizer, prompt, maxLength, weighting));
  const ids = encoded.flatMap(({ ids }) => ids);
  return {
    ids: tf.tensor2d(ids, [prompts.length, maxLength], "int32"),
    lengths: encoded.map(({ length }) => length),
    weights: encoded.map(({ weights }) => weights),
  };
}

/** A prompt's ids, including start, end and padding, the number before the padding, and the weight of each. */
function encodeWeighted(tokenizer: CLIPTokenizer, prompt: string, maxLength: number, weighting: boolean) {
  const pieces = weighting ? weightsIn(prompt) : [{ text: prompt, weight: 1 }];
  const tokens = pieces.flatMap(({ text, weight }) => tokenizer.tokenize(text).map((id) => ({ id, weight })));
  const kept = tokens.slice(0, maxLength - 2);
  if (kept.length < tokens.length) {
    const cut = tokenizer.decode(tokens.slice(kept.length).map(({ id }) => id));
    warn(`A prompt is too long for the text encoder; its end is cut off: "${cut}". Use fewer words.`);
  }
  const [start, ...endAndPadding] = tokenizer.encode("", { maxLength });
  const rest = endAndPadding.slice(0, maxLength - 1 - kept.length);
  return {
    ids: [start!, ...kept.map(({ id }) => id), ...rest],
    length: kept.length + 2,
    weights: [1, ...kept.map(({ weight }) => weight), ...rest.map(() => 1)],
  };
}

/** @throws PipelineOptionError for a weight out of range */
function weightsIn(prompt: string): WeightedText[] {
  try {
    return parsePromptWeights(prompt);
  } catch (error) {
    throw new PipelineOptionError(`prompt: ${(error as Error).message}`, { cause: error });
  }
}

/** Each token's state [N, L, C] times its weight, then rescaled to the mean of the unweighted states. */
function weighted(states: tf.Tensor3D, weights: readonly number[][]): tf.Tensor3D {
  const scaled = states.mul<tf.Tensor3D>(tf.tensor2d(weights as number[][]).expandDims(2));
  return scaled.mul(states.mean([1, 2], true).div(scaled.mean([1, 2], true)));
}

/** The states after the layer that is `clipSkip` before the last, with the final layer norm. */
function tokenStates(encoder: CLIPTextModel, ids: tf.Tensor2D, clipSkip: number): tf.Tensor3D {
  const { lastHiddenState, hiddenStates } = encoder.forward(ids);
  if (clipSkip === 0) return lastHiddenState;
  return encoder.text_model.final_layer_norm.forward<tf.Tensor3D>(hiddenStates.at(-1 - clipSkip)!);
}

/** Each prompt `count` times in a row: [N, ...] -> [N count, ...]. Borrows its argument. */
export function repeatPrompts({ context, pooled }: TextConditioning, count: number): TextConditioning {
  return tf.tidy(() => ({ context: repeatRows(context, count), pooled: pooled && repeatRows(pooled, count) }));
}

/** Both sets of prompts in one batch, `a` first. Borrows its arguments. */
export function joinPrompts(a: TextConditioning, b: TextConditioning): TextConditioning {
  return tf.tidy(() => ({
    context: tf.concat([a.context, b.context]),
    pooled: a.pooled && b.pooled && tf.concat([a.pooled, b.pooled]),
  }));
}

/** Each row `count` times in a row: [N, ...] -> [N count, ...]. Borrows its argument. */
export function repeatRows<T extends tf.Tensor>(x: T, count: number): T {
  const [rows = 0, ...rest] = x.shape;
  return x
    .expandDims(1)
    .tile([1, count, ...rest.map(() => 1)])
    .reshape<T>([rows * count, ...rest]);
}
