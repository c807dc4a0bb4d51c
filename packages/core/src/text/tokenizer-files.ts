import { fileExists, joinPath, readText } from "../platform/files.js";
import { wrongFileHint } from "../weights/wrong-file-hint.js";
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
  const config = await readOptional(folder, "tokenizer_config.json");
  const special = { ...config, ...(await readOptional(folder, "special_tokens_map.json")) };
  const length = config.model_max_length;
  return {
    vocab: learned.vocab,
    merges: learned.merges,
    bosToken: tokenText(special.bos_token),
    eosToken: tokenText(special.eos_token),
    padToken: tokenText(special.pad_token),
    addedTokens: grouped(
      { ...learned.added, ...checkedIds(folder, await readOptional(folder, ADDED_TOKENS_FILE)) },
      learned.vocab,
    ),
    maxLength: typeof length === "number" && length < NO_LIMIT ? length : undefined,
  };
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

/** transformers writes 10^30 for a tokenizer without a maximum length. */
const NO_LIMIT = 1e6;

/** A special token in a config file: a text, or an object with the text in `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
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
    throw new TokenizerFilesError(`${folder} has no readable merges.txt (${(error as Error).message}).`, {
      cause: error,
    });
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
  return readJsonObject(joinPath(folder, name), { remedy }).catch((error: Error) => {
    throw new TokenizerFilesError(error.message, { cause: error });
  });
}

async function readOptional(folder: string, name: string): Promise<Record<string, unknown>> {
  return (await fileExists(joinPath(folder, name))) ? readJson(folder, name) : {};
}
