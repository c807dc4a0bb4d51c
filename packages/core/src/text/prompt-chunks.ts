import { requireSynchronous } from "../platform/refused-promise.js";
import { promptSections } from "./prompt-weights.js";
import type { CLIPTokenizer } from "./tokenizer.js";

/** A token of a prompt, and its weight. */
export interface PromptToken {
  id: number;
  weight: number;
}

/** The tokens that a text encoder reads at once: start, tokens, end and padding, with the weight of each. */
export interface PromptChunk {
  ids: number[];
  weights: number[];
}

/** How to split a prompt into chunks. */
export interface PromptChunkOptions {
  /** Read weights and BREAK: see `parsePromptWeights`. Default false. */
  weighting?: boolean;
  /** Tokens of a chunk, with start and end. Default: the tokenizer's own, 77. */
  maxLength?: number;
  /** The most chunks of a prompt; the rest is cut off. Default: as many as it needs. */
  maxEmbeddingsMultiples?: number;
  /** If a chunk is full, up to this many tokens after its last comma move to the next chunk. Default 0. */
  commaPaddingBacktrack?: number;
  /** Called with the text that was cut off, if the prompt is too long. */
  onTruncate?: (cut: string) => unknown;
}

/**
 * A prompt in chunks that a text encoder for 77 tokens can read: 75 tokens each, with its own start and end token, and
 * padding after the last one. A prompt has one chunk or more.
 *
 * The word BREAK ends a chunk, if weights are read. A word that `withToken` added is not split.
 */
export function promptChunks(
  tokenizer: CLIPTokenizer,
  prompt: string,
  options: PromptChunkOptions = {},
): PromptChunk[] {
  const { maxLength = tokenizer.maxLength } = options;
  return splitPrompt(tokenizer, prompt, options).map((tokens) => promptChunk(tokenizer, tokens, maxLength));
}

/** The tokens of each chunk of {@link promptChunks}, without start, end and padding. */
export function splitPrompt(
  tokenizer: CLIPTokenizer,
  prompt: string,
  {
    weighting = false,
    maxLength = tokenizer.maxLength,
    maxEmbeddingsMultiples: most = Infinity,
    commaPaddingBacktrack: backtrack = 0,
    onTruncate,
  }: PromptChunkOptions = {},
): PromptToken[][] {
  const sections = weighting ? promptSections(prompt) : [[{ text: prompt, weight: 1 }]];
  const room = maxLength - 2;
  const chunks = sections.flatMap((pieces, i) => {
    const tokens = pieces.flatMap(({ text, weight }) => tokenizer.tokenize(text).map((id) => ({ id, weight })));
    // As in AUTOMATIC1111's web UI, an empty section before BREAK is a chunk, and one after the last BREAK is not.
    if (tokens.length === 0) return i === sections.length - 1 && i > 0 ? [] : [[]];
    return most === 1 ? inPieces(tokens, room) : splitTokens(tokens, room, tokenizer, backtrack);
  });
  if (chunks.length > most) {
    const cut = chunks.slice(most).flatMap((tokens) => tokens.map(({ id }) => id));
    requireSynchronous(onTruncate?.(tokenizer.decode(cut)));
  }
  return chunks.slice(0, most);
}

/**
 * Start, tokens, end and padding, `length` in total. Tokens that do not fit are left out; for length 1, so is the end.
 */
export function promptChunk(tokenizer: CLIPTokenizer, tokens: readonly PromptToken[], length: number): PromptChunk {
  const [start, ...endAndPadding] = tokenizer.encode("", { maxLength: Math.max(length, 2) });
  const kept = tokens.slice(0, Math.max(length - 2, 0));
  const rest = endAndPadding.slice(0, length - 1 - kept.length);
  return {
    ids: [start!, ...kept.map(({ id }) => id), ...rest],
    weights: [1, ...kept.map(({ weight }) => weight), ...rest.map(() => 1)],
  };
}

function inPieces<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

/** Fills the chunks one by one. If one is full, the tokens after a near comma can move to the next chunk. */
function splitTokens(
  tokens: readonly PromptToken[],
  room: number,
  tokenizer: CLIPTokenizer,
  backtrack: number,
): PromptToken[][] {
  const comma = tokenizer.vocab[",</w>"];
  const chunks: PromptToken[][] = [[]];
  for (const word of wholeWords(tokens, tokenizer)) {
    const chunk = chunks.at(-1)!;
    if (chunk.length + word.length > room && chunk.length > 0) {
      const behindComma = chunk.map(({ id }) => id).lastIndexOf(comma ?? -1) + 1;
      const isNear = behindComma > 0 && chunk.length - (behindComma - 1) <= backtrack;
      chunks.push(isNear && word[0]!.id !== comma ? chunk.splice(behindComma) : []);
    }
    for (const token of word) {
      if (chunks.at(-1)!.length === room) chunks.push([]);
      chunks.at(-1)!.push(token);
    }
  }
  return chunks;
}

/** The tokens in groups that are not split: the tokens of an added word, and single tokens. */
function wholeWords(tokens: readonly PromptToken[], { addedTokens }: CLIPTokenizer): PromptToken[][] {
  const continuing = new Set(Object.values(addedTokens).flatMap((ids) => ids.slice(1)));
  const groups: PromptToken[][] = [];
  for (const token of tokens) {
    if (continuing.has(token.id) && groups.length > 0) groups.at(-1)!.push(token);
    else groups.push([token]);
  }
  return groups;
}
