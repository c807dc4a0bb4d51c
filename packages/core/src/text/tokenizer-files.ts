import { isByteSymbol } from "./byte-pairs.js";
import { fileExists, joinPath, readText } from "../platform/files.js";
import { wrongFileHint } from "../weights/wrong-file-hint.js";
import { type ConfigKey, flawOf } from "../weights/config-schema.js";
import { readJsonObject } from "../weights/read-json.js";

/** A byte-pair vocabulary in CLIP's format. */
export interface TokenizerParts {
  /** Token to id, as in `vocab.json`. */
  vocab: Readonly<Record<string, number>>;
  /** Pairs to merge, best first, as the lines of `merges.txt` without its version line. */
  merges: readonly string[];
  bosToken?: string;
  eosToken?: string;
  /** Pads texts to their length; inside a text it is read as one token. Default: `eosToken`. */
  padToken?: string;
  /** Number of tokens of an encoded text, start and end included. Default 77. */
  maxLength?: number;
  /** Words added later (textual inversion), with their ids, which come after those of the vocabulary. */
  addedTokens?: Readonly<Record<string, readonly number[]>>;
}

/** Thrown when a tokenizer's files are missing, damaged, or contradict each other. */
export class TokenizerFilesError extends Error {
  override name = "TokenizerFilesError";
}

/** Reads a tokenizer folder, in either of the two forms that transformers writes. */
export async function readTokenizerFolder(folder: string): Promise<TokenizerParts> {
  const isNew =
    !(await fileExists(joinPath(folder, "vocab.json"))) && (await fileExists(joinPath(folder, TOKENIZER_FILE)));
  const learned = isNew ? await readTokenizerFile(folder) : await readVocabAndMerges(folder);
  const config = await readSettings(folder, CONFIG_FILE);
  const specialMap = await readSettings(folder, "special_tokens_map.json");
  const length = config.model_max_length as number | null | undefined;
  const added = { ...learned.added, ...checkedIds(folder, await readOptional(folder, ADDED_TOKENS_FILE)) };
  const special = (key: SpecialKey) => {
    const file = specialMap[key] === undefined ? CONFIG_FILE : "special_tokens_map.json";
    return specialToken(joinPath(folder, file), key, specialMap[key] ?? config[key], { ...learned.vocab, ...added });
  };
  const parts = {
    vocab: learned.vocab,
    merges: learned.merges,
    bosToken: special("bos_token"),
    eosToken: special("eos_token"),
    padToken: special("pad_token"),
    addedTokens: grouped(added, learned.vocab),
    maxLength: length === null || length === undefined || length >= NO_LIMIT ? undefined : length,
  };
  requireWholeMerges(folder, parts);
  return parts;
}

const CONFIG_FILE = "tokenizer_config.json";

/** A special token in a config file: a text, or an object with the text in `content`. */
const token = (fallback: string | undefined): ConfigKey<string | undefined> => ({
  fallback,
  expected: "a token, as a text",
  accepts: (value) => value === null || textOf(value) !== undefined,
});

/** transformers writes 10^30 for a tokenizer without a maximum length. */
const NO_LIMIT = 1e6;

/** What is read of `tokenizer_config.json` and `special_tokens_map.json`, with the tokens of CLIP's text models. */
const SCHEMA = {
  bos_token: token("<|startoftext|>"),
  eos_token: token("<|endoftext|>"),
  pad_token: token(undefined),
  model_max_length: {
    fallback: undefined,
    expected: "a whole number of tokens, 2 or more for the start and the end (CLIP's is 77)",
    accepts: (value) =>
      value === null || (typeof value === "number" && (value >= NO_LIMIT || (Number.isInteger(value) && value >= 2))),
  } satisfies ConfigKey<number | undefined>,
};
type SpecialKey = "bos_token" | "eos_token" | "pad_token";

function textOf(token: unknown): string | undefined {
  const text = typeof token === "string" ? token : (token as { content?: unknown } | null | undefined)?.content;
  return typeof text === "string" ? text : undefined;
}

/** A file with settings of a tokenizer; an empty one if there is none. */
async function readSettings(folder: string, name: string): Promise<Record<string, unknown>> {
  const settings = await readOptional(folder, name);
  const flaw = flawOf(SCHEMA, settings);
  if (!flaw) return settings;
  throw new TokenizerFilesError(
    `${joinPath(folder, name)}: ${flaw.key} is ${flaw.value}; expected ${flaw.expected}. Copy the file from the model's page.`,
  );
}

/** The text of a special token, which the vocabulary must have. */
function specialToken(path: string, key: SpecialKey, value: unknown, known: object): string | undefined {
  const text = textOf(value ?? SCHEMA[key].fallback);
  if (text === undefined || Object.hasOwn(known, text)) return text;
  throw new TokenizerFilesError(
    `${path}: ${key} is ${JSON.stringify(text)}, which the vocabulary does not have. Copy all files of the tokenizer from ` +
      "one model, or name a token of this vocabulary.",
  );
}

/**
 * Checks the merges against the vocabulary, since other merges give other tokens, and so other pictures. Each makes a
 * token of the vocabulary, from tokens or bytes. In a vocabulary with all bytes, as CLIP's, each longer token is made
 * by a merge.
 */
function requireWholeMerges(folder: string, { vocab, merges, addedTokens = {} }: TokenizerParts): void {
  const made = new Set<string>();
  for (const [i, merge] of merges.entries()) {
    const [left, right, ...more] = merge.split(" ");
    if (left && right && more.length === 0 && Object.hasOwn(vocab, left + right)) made.add(left + right);
    else
      throw new TokenizerFilesError(
        `${folder}: merge ${i + 1} of ${merges.length}, ${JSON.stringify(merge.slice(0, 80))}, makes no token of the ` +
          "vocabulary. The file is damaged, or of another tokenizer: copy merges.txt and vocab.json from one model.",
      );
  }
  const tokens = Object.keys(vocab);
  if (tokens.filter(isByteSymbol).length < 512) return;
  const isSpecial = (token: string) => /^<.+>$/.test(token) || Object.hasOwn(addedTokens, token);
  const missing = tokens.filter((token) => !made.has(token) && !isByteSymbol(token) && !isSpecial(token));
  if (missing.length === 0) return;
  throw new TokenizerFilesError(
    `${folder}: no merge makes ${JSON.stringify(missing[0])}, one of ${missing.length} such tokens of the vocabulary. ` +
      `merges.txt is cut off (it has ${merges.length} merges), or of another tokenizer: copy it again.`,
  );
}

/** File with the tokens that were added to the vocabulary: `{ token: id }`. */
export const ADDED_TOKENS_FILE = "added_tokens.json";

/**
 * Groups the tokens of a word with several vectors, which diffusers stores as `<t>`, `<t>_1`, `<t>_2`. Leaves out
 * tokens of the vocabulary itself.
 */
function grouped(
  added: Readonly<Record<string, number>>,
  vocab: Readonly<Record<string, number>>,
): Record<string, number[]> {
  const tokens = new Map<string, number[]>();
  for (const [token, id] of Object.entries(added).sort(([, a], [, b]) => a - b)) {
    if (Object.hasOwn(vocab, token)) continue;
    const [, word = "", number] = /^(.+)_(\d+)$/.exec(token) ?? [];
    const ids = tokens.get(word);
    if (ids?.length === Number(number)) ids.push(id);
    else tokens.set(token, [id]);
  }
  return Object.fromEntries(tokens);
}

/** The file that transformers from version 5 on writes in place of vocab.json and merges.txt. */
export const TOKENIZER_FILE = "tokenizer.json";

/** All files of a tokenizer folder. */
export const TOKENIZER_FILES: readonly string[] = [
  ...["vocab.json", "merges.txt", TOKENIZER_FILE],
  ...["tokenizer_config.json", "special_tokens_map.json", ADDED_TOKENS_FILE],
];

interface Learned extends Pick<TokenizerParts, "vocab" | "merges"> {
  /** Tokens of `tokenizer.json` besides those of its model. */
  added?: Record<string, number>;
}

async function readVocabAndMerges(folder: string): Promise<Learned> {
  const vocab = await readJson(folder, "vocab.json");
  const merges = await readText(joinPath(folder, "merges.txt")).catch((error: unknown) => {
    throw new TokenizerFilesError(
      `${folder} has no readable merges.txt (${(error as Error).message}). Copy the file again from the model's page.`,
      { cause: error },
    );
  });
  const found = wrongFileHint(merges);
  if (found) throw new TokenizerFilesError(`${joinPath(folder, "merges.txt")}: ${found}.`);
  return {
    vocab: checkedVocab(folder, vocab),
    merges: merges.split(/\r?\n/).filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#version"))),
  };
}

/** Reads `tokenizer.json`, where merges are pairs, or texts with a space in older files. */
async function readTokenizerFile(folder: string): Promise<Learned> {
  const { model, added_tokens } = (await readJson(folder, TOKENIZER_FILE)) as {
    model?: { type?: unknown; vocab?: unknown; merges?: unknown };
    added_tokens?: unknown;
  };
  if (model?.type !== "BPE" || !Array.isArray(model.merges)) {
    throw new TokenizerFilesError(
      `${folder}: ${TOKENIZER_FILE} is not for a byte-pair model, as CLIP's tokenizer is. Is it from another network?`,
    );
  }
  const merges = model.merges.map((merge: unknown) => (Array.isArray(merge) ? merge.join(" ") : String(merge)));
  const added = (Array.isArray(added_tokens) ? added_tokens : []) as ({ content?: unknown; id?: unknown } | null)[];
  const ids = Object.fromEntries(added.map((token) => [String(token?.content), token?.id]));
  return { vocab: checkedVocab(folder, model.vocab), merges, added: checkedIds(folder, ids) };
}

function checkedVocab(folder: string, vocab: unknown): Record<string, number> {
  if (typeof vocab === "object" && vocab !== null && Object.keys(vocab).length > 0) return checkedIds(folder, vocab);
  throw new TokenizerFilesError(`${folder}: its vocabulary is empty; expected tokens with whole numbers, 0 or more.`);
}

function checkedIds(folder: string, tokens: object): Record<string, number> {
  const bad = Object.entries(tokens).find(([, id]) => !Number.isSafeInteger(id) || (id as number) < 0);
  if (!bad) return tokens as Record<string, number>;
  throw new TokenizerFilesError(
    `${folder}: its vocabulary gives ${JSON.stringify(bad[0])} the id ${JSON.stringify(bad[1])}; expected a whole number, 0 or more.`,
  );
}

async function readJson(folder: string, name: string): Promise<Record<string, unknown>> {
  const remedy = "A tokenizer folder holds vocab.json and merges.txt.";
  return readJsonObject(joinPath(folder, name), { remedy, Failure: TokenizerFilesError });
}

async function readOptional(folder: string, name: string): Promise<Record<string, unknown>> {
  return (await fileExists(joinPath(folder, name))) ? readJson(folder, name) : {};
}
