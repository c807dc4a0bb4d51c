import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModel, CLIPTextModelWithProjection, CLIPTextOutput } from "../../models/clip/clip-text-model.js";
import { warn } from "../../platform/warn.js";
import { promptChunk, type PromptChunkOptions, splitPrompt } from "../../text/prompt-chunks.js";
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
  /** One vector per prompt, of its first chunk: [N, D]. */
  pooled: tf.Tensor2D | undefined;
};

/** How prompts are split into chunks. */
export interface PromptReading extends Pick<PromptChunkOptions, "weighting" | "commaPaddingBacktrack"> {
  /** Most chunks of a prompt. Default: as many as the longest needs if weights are read, otherwise 1. */
  maxEmbeddingsMultiples?: number;
}

/** How to read prompts. */
export interface EncodePromptsOptions extends PromptReading {
  /** Take the states from this many layers before the last. */
  clipSkip?: number;
  /** Number of tokens to cut or pad each prompt to. Default: whole chunks, as many as the longest prompt has. */
  tokens?: number;
}

/** Number of tokens of a chunk. */
export function tokensOf(tokenizer: CLIPTokenizer, encoder: CLIPTextModel | CLIPTextModelWithProjection): number {
  return Math.min(tokenizer.maxLength, encoder.config.max_position_embeddings);
}

/** A text encoder, its prompts, and its tokenizer. */
export interface PromptReader {
  prompts: string[];
  tokenizer: CLIPTokenizer;
  encoder: CLIPTextModel | CLIPTextModelWithProjection;
}

/** Number of tokens of the prompts: whole chunks, as many as the longest prompt of all readers has. */
export function tokensFor(readers: readonly PromptReader[], reading: PromptReading): number {
  const lengths = readers.map(({ prompts, tokenizer, encoder }) => {
    const maxLength = tokensOf(tokenizer, encoder);
    const most = mostChunks(reading);
    if (most === 1) return maxLength;
    const options = { ...reading, maxLength, maxEmbeddingsMultiples: most };
    return maxLength * Math.max(...prompts.map((prompt) => splitPrompt(tokenizer, prompt, options).length));
  });
  return Math.max(...lengths);
}

function mostChunks({ weighting, maxEmbeddingsMultiples }: PromptReading): number {
  return maxEmbeddingsMultiples ?? (weighting ? Infinity : 1);
}

/** Encodes all prompts at once, each cut or padded to the same length; warns about text that is cut. */
export function encodePrompts(
  prompts: string[],
  { tokenizer, textEncoder, textEncoder2 }: TextEncoders,
  { clipSkip = 0, ...reading }: EncodePromptsOptions = {},
): TextConditioning {
  return inParts([{ prompts, tokenizer, encoder: textEncoder }], reading, ([reader], tokens) => {
    const states = (ids: tf.Tensor2D) => tokenStates(textEncoder, ids, clipSkip);
    const context = readChunks(reader!, { ...reading, tokens }, states);
    const second = textEncoder2 && readPrompts({ ...reader!, encoder: textEncoder2 }, reading);
    return { context, pooled: second && textEncoder2.forward(second.ids).textEmbeds };
  });
}

/**
 * Encodes prompts for Stable Diffusion XL: the states before each encoder's last layer, not normalised, are
 * concatenated, and the last encoder gives the sentence vector (Podell et al. 2024, section 2.1).
 */
export function encodePromptsXL(
  readers: readonly PromptReader[],
  { clipSkip = 0, ...reading }: EncodePromptsOptions = {},
): TextConditioning {
  return inParts(readers, reading, (readers, tokens) => {
    let pooled: tf.Tensor2D | undefined;
    const states = readers.map((reader) =>
      readChunks(reader, { ...reading, tokens }, (ids, chunk) => {
        const output: CLIPTextOutput & { textEmbeds?: tf.Tensor2D } = reader.encoder.forward(ids);
        if (chunk === 0) pooled = output.textEmbeds;
        return output.hiddenStates.at(-2 - clipSkip)!;
      }),
    );
    return { context: tf.concat(states, 2), pooled };
  });
}

/** Most prompts that a text encoder reads at once: more take hundreds of megabytes, and no less time. */
export const PROMPTS_AT_ONCE = 32;

/** Encodes prompts, some at a time, all cut or padded to the same number of tokens. */
function inParts(
  readers: readonly PromptReader[],
  reading: EncodePromptsOptions,
  encode: (readers: PromptReader[], tokens: number) => TextConditioning,
): TextConditioning {
  return tf.tidy(() => {
    const tokens = reading.tokens ?? tokensFor(readers, reading);
    const parts: TextConditioning[] = [];
    for (let from = 0; from < readers[0]!.prompts.length; from += PROMPTS_AT_ONCE) {
      const some = readers.map(({ prompts, ...reader }) => ({
        ...reader,
        prompts: prompts.slice(from, from + PROMPTS_AT_ONCE),
      }));
      parts.push(tf.tidy(() => encode(some, tokens)));
    }
    if (parts.length === 1) return parts[0]!;
    const pooled = parts.flatMap(({ pooled }) => pooled ?? []);
    return {
      context: tf.concat(parts.map(({ context }) => context)),
      pooled: pooled.length > 0 ? tf.concat(pooled) : undefined,
    };
  });
}

/** The states of prompts, chunk by chunk as `encode` gives them, weighted, and then side by side. [N, L, C] */
function readChunks(
  reader: PromptReader,
  reading: EncodePromptsOptions,
  encode: (ids: tf.Tensor2D, chunk: number) => tf.Tensor3D,
): tf.Tensor3D {
  const chunks = layOut(reader, reading).map(({ ids, weights }, chunk) => {
    const states = encode(tf.tensor2d(ids, undefined, "int32"), chunk);
    return reading.weighting ? weighted(states, weights) : states;
  });
  return chunks.length === 1 ? chunks[0]! : tf.concat(chunks, 1);
}

/** The token ids [N, L] of prompts of one chunk, and the number of tokens in each that are not padding. */
export function readPrompts(reader: PromptReader, reading: EncodePromptsOptions = {}) {
  const [{ ids, lengths }] = layOut(reader, reading) as [Column];
  return { ids: tf.tensor2d(ids, undefined, "int32"), lengths };
}

/** One chunk of each prompt. */
interface Column {
  /** [N][L] */
  ids: number[][];
  weights: number[][];
  /** Tokens that are not padding, of each prompt. */
  lengths: number[];
}

/**
 * The prompts in chunks. Of `tokens`, the last chunk gets what whole chunks leave over. A prompt of fewer chunks is
 * filled up with those of an empty text, and text that has no room is cut off, with a warning.
 */
function layOut(reader: PromptReader, { tokens, ...reading }: EncodePromptsOptions): Column[] {
  const { prompts, tokenizer, encoder } = reader;
  const whole = tokensOf(tokenizer, encoder);
  const all = tokens ?? tokensFor([reader], reading);
  const lengths = Array.from({ length: Math.ceil(all / whole) }, (_, i) => Math.min(whole, all - i * whole));
  const options = {
    ...reading,
    maxLength: Math.min(whole, all),
    maxEmbeddingsMultiples: lengths.length,
    onTruncate: warnOfCut,
  };
  const split = prompts.map((prompt) => splitPrompt(tokenizer, prompt, options));
  const cut = split.flatMap((chunks) => (chunks[lengths.length - 1] ?? []).slice(Math.max(lengths.at(-1)! - 2, 0)));
  if (cut.length > 0) warnOfCut(tokenizer.decode(cut.map(({ id }) => id)));
  return lengths.map((length, i) => {
    const column = split.map((chunks) => promptChunk(tokenizer, chunks[i] ?? [], length));
    return {
      ids: column.map(({ ids }) => ids),
      weights: column.map(({ weights }) => weights),
      lengths: split.map((chunks) => Math.min((chunks[i]?.length ?? 0) + 2, length)),
    };
  });
}

/** Letters of a text in a warning. */
const MOST_SHOWN = 1000;

function warnOfCut(cut: string): void {
  const shown = cut.length > MOST_SHOWN ? `${cut.slice(0, MOST_SHOWN)}…` : cut;
  warn(
    `A prompt is too long for the text encoder; its end is cut off: "${shown}". Use fewer words, or a larger ` +
      "maxEmbeddingsMultiples.",
  );
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

/** The given rows of an encoding, in this order. Borrows its argument. */
export function rowsOf({ context, pooled }: TextConditioning, rows: readonly number[]): TextConditioning {
  return tf.tidy(() => {
    const indices = tf.tensor1d(rows as number[], "int32");
    return { context: tf.gather(context, indices), pooled: pooled && tf.gather(pooled, indices) };
  });
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
