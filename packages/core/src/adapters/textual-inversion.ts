import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import type { CLIPTokenizer } from "../text/tokenizer.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { isFloat } from "../weights/dtypes.js";
import { WeightsMismatchError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { float32 } from "../weights/parameters.js";
import { tellLeftOvers } from "../weights/left-overs.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { addOnFile, type AddOnFileOptions } from "./add-on-file.js";
import { bundledWord } from "./bundled-words.js";
import { pathAndEnding } from "./lora-names.js";

/** A text encoder that learns words, and its tokenizer. */
export interface WordReader {
  tokenizer: CLIPTokenizer;
  /** Its vocabulary grows by one token for each vector of the word. */
  textEncoder: CLIPTextModel | CLIPTextModelWithProjection;
  /** Which vectors it takes of a file for SDXL, where those of both encoders have its width. */
  key?: SdxlWordKey;
}

/** The names of a word's vectors in SDXL's files: those of the first text encoder, and of the second. */
export type SdxlWordKey = "clip_l" | "clip_g";

/** Where to find the word, and what to call it. */
export interface WordFileOptions extends AddOnFileOptions {
  /**
   * The word for prompts. Default: the name in the file, or all words of a LoRA's file.
   */
  token?: string;
}

const WORD_OPTIONS = optionNames<WordFileOptions>()({
  token: true,
  weightName: true,
  revision: true,
  signal: true,
  onProgress: true,
});

/** The options of {@link loadTextualInversion}. */
export interface TextualInversionOptions extends WordFileOptions, WordReader {}

/** Names that are not the word: that of AUTOMATIC1111, and those of SDXL's two encoders. */
const NAMELESS = new Set(["emb_params", "clip_l", "clip_g"]);

/**
 * Textual inversion (Gal et al. 2023): a new word for a text encoder, one or several vectors learned from pictures.
 * Reads files of diffusers (`{ "<token>": vector or vectors }`), of AUTOMATIC1111 (`emb_params`), SDXL's (`clip_l`,
 * `clip_g`: the one of the encoder's width), and LoRAs with words in them (`bundle_emb.NAME.…`); `from` is the file,
 * the folder that holds it, or its name on the hub.
 *
 * @returns a tokenizer with the word; the given one does not change
 * @throws WeightsMismatchError if the file has no vectors of the encoder's width; RangeError if the word is missing or
 *   already in the vocabulary
 */
export async function loadTextualInversion(
  from: BytesFrom,
  { tokenizer, textEncoder, key, ...options }: TextualInversionOptions,
): Promise<CLIPTokenizer> {
  const [taught] = await loadWords(from, [{ tokenizer, textEncoder, key }], options);
  return taught!;
}

/**
 * {@link loadTextualInversion} for several encoders: all of them learn the word, or none does. Tensors that none of
 * them can use are listed in one warning.
 *
 * @returns a tokenizer for each encoder
 */
export async function loadWords(
  from: BytesFrom,
  readers: readonly WordReader[],
  options: WordFileOptions,
): Promise<CLIPTokenizer[]> {
  requireKnownOptions("loadTextualInversion", options, WORD_OPTIONS);
  const { token, ...where } = options;
  const file = await openSafetensors(await addOnFile(from, where));
  try {
    const words = readers.map((reader) => wordsOf(file, reader, token));
    const taught: { tokenizer: CLIPTokenizer; teach: () => void }[] = [];
    for (const [i, reader] of readers.entries()) taught.push(await lesson(file, reader, words[i]!));
    tellLeftOvers(file.name, unusedNames(file, words.flat(), token));
    // Everything before may throw; this cannot.
    for (const { teach } of taught) teach();
    return taught.map(({ tokenizer }) => tokenizer);
  } finally {
    await file.close();
  }
}

/** The tokenizer that knows the words, and the change of the encoder. */
async function lesson(file: SafetensorsFile, { tokenizer, textEncoder }: WordReader, words: readonly Word[]) {
  const { hidden_size: width, vocab_size: first } = textEncoder.config;
  const numbers: Float32Array[] = [];
  let [taught, next] = [tokenizer, first];
  for (const [word, stored] of words) {
    const vectors = float32(await file.read(stored));
    const ids = Array.from({ length: vectors.length / width }, (_, i) => next + i);
    taught = taught.withToken(word, ids);
    next += ids.length;
    numbers.push(vectors);
  }
  const teach = () =>
    tf.tidy(() => {
      const vectors = numbers.map((each) => tf.tensor2d(each, [each.length / width, width]));
      textEncoder.text_model.addTokens(tf.concat(vectors));
    });
  return { tokenizer: taught, teach };
}

type Word = readonly [word: string, stored: string];

/** What no encoder learns, apart from the other tensors of a LoRA, and its words that the caller did not ask for. */
function unusedNames({ tensors }: SafetensorsFile, words: readonly Word[], token: string | undefined): string[] {
  const used = new Set(words.map(([, stored]) => stored));
  const learned = new Set([...used].map((stored) => bundledWord(stored)?.word));
  const isBundle = !learned.has(undefined);
  return [...tensors.keys()].filter((stored) => {
    if (used.has(stored)) return false;
    const word = bundledWord(stored)?.word;
    if (!isBundle) return true;
    return word === undefined ? !pathAndEnding(stored).ending : token === undefined || learned.has(word);
  });
}

/** The words and their tensors, for this encoder. */
function wordsOf(file: SafetensorsFile, reader: WordReader, token: string | undefined): Word[] {
  const bundled = new Map<string, string[]>();
  for (const stored of file.tensors.keys()) {
    const found = bundledWord(stored);
    if (found) bundled.set(found.word, [...(bundled.get(found.word) ?? []), stored]);
  }
  if (bundled.size === 0) {
    const stored = vectorsFor(reader, file, [...file.tensors.keys()]);
    const word = token ?? (NAMELESS.has(stored) ? undefined : stored);
    if (word !== undefined) return [[word, stored]];
    throw new RangeError(
      `${file.name} does not name its word; give one: pipeline.loadTextualInversion(file, "<my-style>"), or the option { token: "<my-style>" } of loadTextualInversion.`,
    );
  }
  const outputs = [...bundled.values()].flat().filter((stored) => stored.endsWith("_out"));
  if (outputs.length > 0) {
    throw new WeightsMismatchError(
      `${file.name}: ${outputs.join(", ")} would be added to the text encoder's output, which is not supported. Train the word without it.`,
    );
  }
  const words = [...bundled].map(([word, names]): Word => [word, vectorsFor(reader, file, names)]);
  if (token === undefined) return words;
  const own = words.filter(([word]) => word === token);
  if (own.length > 0) return own;
  if (words.length === 1) return [[token, words[0]![1]]];
  throw new RangeError(`${file.name} has no word ${token}; it has ${[...bundled.keys()].join(", ")}.`);
}

function vectorsFor({ textEncoder, key }: WordReader, { name, tensors }: SafetensorsFile, names: readonly string[]) {
  const width = textEncoder.config.hidden_size;
  const candidates = names.map((key) => [key, tensors.get(key)!] as const);
  const fitting = candidates.filter(
    ([, { dtype, shape }]) => isFloat(dtype) && shape.at(-1) === width && shape.length <= 2 && shape[0]! > 0,
  );
  const own = fitting.filter(([stored]) => fitting.length === 1 || stored.split(".").at(-1) === key);
  if (own.length === 1) return own[0]![0];
  const found = candidates.map(([key, { dtype, shape }]) => `${key} [${shape.join(", ")}] ${dtype}`);
  throw new WeightsMismatchError(
    `${name}: expected one tensor [${width}] or [n, ${width}], of floats, the text encoder's width; it has ${found.slice(0, 5).join(", ") || "none"}` +
      `${found.length > 5 ? ` and ${found.length - 5} more` : ""}. It was learned with another model, or is not a textual inversion.`,
  );
}
