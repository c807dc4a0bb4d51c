import { requireSynchronous } from "../platform/refused-promise.js";
import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { joinPath } from "../platform/files.js";
import { BytePairEncoder } from "./byte-pairs.js";
import {
  ADDED_TOKENS_FILE,
  readTokenizerFolder,
  TOKENIZER_FILE,
  TOKENIZER_FILES,
  type TokenizerParts,
} from "./tokenizer-files.js";
import type { ModelPlace } from "../platform/model-files.js";

/** How to find the files of a tokenizer. */
export interface TokenizerFolderOptions extends HubModelOptions {
  /** Folder of the files inside the given one, such as "tokenizer" in a pipeline. */
  subfolder?: string;
}

/** How to fit a text into a fixed number of tokens. */
export interface EncodeOptions {
  /** Length of the result. Default: the tokenizer's own. */
  maxLength?: number;
  /** Token for the padding. Default: the tokenizer's own. */
  padToken?: string;
  /** Called with the text that was cut off, if the text is too long. */
  onTruncate?: (cut: string) => unknown;
}

/**
 * CLIP's tokenizer (Radford et al. 2021, section 2.4): lower-cased byte-pair encoding, equal to transformers' token for
 * token.
 */
export class CLIPTokenizer {
  /** As a `model_index.json` names it. */
  readonly className = "CLIPTokenizer";
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly string[];
  readonly bosToken: string;
  readonly eosToken: string;
  readonly padToken: string;
  readonly maxLength: number;
  readonly addedTokens: Readonly<Record<string, readonly number[]>>;
  readonly #encoder: BytePairEncoder;
  readonly #words = new Map<string, readonly number[]>();
  /** The ids of added words, by their normalised form. */
  readonly #added: ReadonlyMap<string, readonly number[]>;
  readonly #addedPattern: RegExp;
  #largestId: number | undefined;

  constructor(parts: TokenizerParts) {
    const {
      vocab,
      merges,
      bosToken = "<|startoftext|>",
      eosToken = "<|endoftext|>",
      padToken = eosToken,
      maxLength = 77,
      addedTokens = {},
    } = parts;
    this.vocab = vocab;
    this.merges = merges;
    this.bosToken = bosToken;
    this.eosToken = eosToken;
    this.padToken = padToken;
    this.maxLength = maxLength;
    this.addedTokens = addedTokens;
    this.#added = new Map(Object.entries(addedTokens).map(([token, ids]) => [normalised(token), ids]));
    this.#addedPattern = anyOf([...this.#added.keys()]);
    for (const token of [bosToken, eosToken, padToken]) this.#idOf(token);
    this.#encoder = new BytePairEncoder(vocab, merges, this.#idOf(eosToken));
  }

  /**
   * Reads a tokenizer folder as transformers writes it: `vocab.json` and `merges.txt`, or `tokenizer.json` from version
   * 5 on, and, if present, `special_tokens_map.json` and `tokenizer_config.json`. If there is no such folder,
   * "owner/name" is a model on the Hugging Face hub, of which only these files are downloaded.
   *
   * @throws TokenizerFilesError; HubError for downloads
   */
  static async fromFolder(from: ModelPlace, options: TokenizerFolderOptions = {}): Promise<CLIPTokenizer> {
    const { subfolder, ...source } = options;
    const inside = (folder: string) => (subfolder === undefined ? folder : joinPath(folder, subfolder));
    const files = TOKENIZER_FILES.map((name) => joinPath(inside(""), name));
    return new CLIPTokenizer(await readTokenizerFolder(inside(await modelFolder(from, { ...source, files }))));
  }

  /**
   * A copy of this tokenizer with one more word, which becomes these ids wherever it occurs, also inside other words.
   * Case is ignored, as in transformers.
   */
  withToken(token: string, ids: ArrayLike<number>): CLIPTokenizer {
    if (token.trim() === "" || this.#added.has(normalised(token)) || Object.hasOwn(this.vocab, token)) {
      throw new RangeError(
        `The token ${JSON.stringify(token)} ${token.trim() === "" ? "is empty" : "is in the vocabulary already"}; give a new word, such as <my-style>.`,
      );
    }
    return new CLIPTokenizer({ ...this, addedTokens: { ...this.addedTokens, [token]: Array.from(ids) } });
  }

  /**
   * Writes the files that {@link fromFolder} reads. Files of an earlier save that would contradict them are removed.
   */
  async save(folder: string): Promise<void> {
    const special = {
      bos_token: this.bosToken,
      eos_token: this.eosToken,
      pad_token: this.padToken,
      unk_token: this.eosToken,
    };
    const config = { tokenizer_class: "CLIPTokenizer", model_max_length: this.maxLength, ...special };
    const added = Object.entries(this.addedTokens).flatMap(([token, ids]) =>
      ids.map((id, i) => [i === 0 ? token : `${token}_${i}`, id] as const),
    );
    const { removeFiles, replaceFolder, writeText } = await import("../platform/saving.js");
    await replaceFolder(folder, async (to) => {
      await writeText(joinPath(to, "vocab.json"), JSON.stringify(this.vocab));
      await writeText(joinPath(to, "merges.txt"), ["#version: 0.2", ...this.merges, ""].join("\n"));
      await writeText(joinPath(to, "special_tokens_map.json"), `${JSON.stringify(special, null, 2)}\n`);
      await writeText(joinPath(to, "tokenizer_config.json"), `${JSON.stringify(config, null, 2)}\n`);
      if (added.length > 0) await writeText(joinPath(to, ADDED_TOKENS_FILE), JSON.stringify(Object.fromEntries(added)));
      await removeFiles(to, added.length > 0 ? [TOKENIZER_FILE] : [TOKENIZER_FILE, ADDED_TOKENS_FILE]);
    });
  }

  /**
   * Encodes a text as ids: the start token, the text's tokens, the end token, and padding up to `maxLength`. A text
   * that is too long is cut off before the end token.
   *
   * @throws RangeError if `maxLength` leaves no room for start and end, or `padToken` is not in the vocabulary
   */
  encode(
    text: string,
    { maxLength = this.maxLength, padToken = this.padToken, onTruncate }: EncodeOptions = {},
  ): number[] {
    if (!Number.isInteger(maxLength) || maxLength < 2) {
      throw new RangeError(
        `encode: maxLength is ${maxLength}; it must be a whole number, 2 or more, for the start and the end token.`,
      );
    }
    const pad = this.#idOf(padToken);
    const ids = this.tokenize(text, padToken);
    const kept = ids.slice(0, maxLength - 2);
    if (kept.length < ids.length) requireSynchronous(onTruncate?.(this.decode(ids.slice(kept.length))));
    const encoded = [this.#idOf(this.bosToken), ...kept, this.#idOf(this.eosToken)];
    return encoded.concat(Array<number>(maxLength - encoded.length).fill(pad));
  }

  /** The largest id it can give, added words included: a text encoder needs a vector for each id up to it. */
  get largestId(): number {
    const ids = () => [...Object.values(this.vocab), ...Object.values(this.addedTokens).flat()];
    return (this.#largestId ??= ids().reduce((a, b) => Math.max(a, b), -1));
  }

  /**
   * The tokens of a text itself, without start and end, and not cut off.
   *
   * @throws TypeError for anything but a text
   */
  tokenize(text: string, padToken: string = this.padToken): number[] {
    if (typeof text !== "string") throw new TypeError(`The tokenizer got a value of type ${typeof text}; give a text.`);
    const specials = [...new Set([this.bosToken, this.eosToken, padToken])];
    const ids: number[] = [];
    for (const part of text.split(anyOf(specials))) {
      if (specials.includes(part)) ids.push(this.#idOf(part));
      else this.#tokenizeInto(ids, normalised(part));
    }
    return ids;
  }

  #tokenizeInto(ids: number[], text: string): void {
    for (const part of this.#added.size === 0 ? [text] : text.split(this.#addedPattern)) {
      const added = this.#added.get(part);
      if (added) ids.push(...added);
      else for (const word of words(part)) for (const id of this.#encodeWord(word)) ids.push(id);
    }
  }

  /** Decodes ids to a text, without start, end and padding. Words are lower-cased and separated by single spaces. */
  decode(ids: ArrayLike<number>): string {
    const left = new Set([this.bosToken, this.eosToken, this.padToken].map((token) => this.#idOf(token)));
    const later = new Map(
      Object.entries(this.addedTokens).flatMap(([token, own]) => own.map((id, i) => [id, i ? "" : token])),
    );
    const texts: string[] = [];
    let run: number[] = [];
    for (const id of Array.from(ids).filter((id) => !left.has(id))) {
      const token = later.get(id);
      if (token === undefined) run.push(id);
      else {
        texts.push(this.#encoder.decode(run), token);
        run = [];
      }
    }
    return [...texts, this.#encoder.decode(run)].filter((text) => text !== "").join(" ");
  }

  #encodeWord(word: string): readonly number[] {
    let ids = this.#words.get(word);
    if (!ids) {
      ids = this.#encoder.encode(word);
      if (this.#words.size < MAX_REMEMBERED && word.length < LONG_WORD) this.#words.set(word, ids);
    }
    return ids;
  }

  #idOf(token: string): number {
    const id = Object.hasOwn(this.vocab, token) ? this.vocab[token] : undefined;
    if (id === undefined)
      throw new RangeError(
        `The tokenizer's vocabulary has no ${JSON.stringify(token)}, which it needs as a special token.`,
      );
    return id;
  }
}

const MAX_REMEMBERED = 50_000;
/** Words of this many letters are not cached, so that the cache stays small. */
const LONG_WORD = 50;

/**
 * Normalises a text: NFC, single spaces, lower case. Lower-cased letter by letter, because JavaScript gives a Greek
 * sigma at the end of a word another form.
 */
function normalised(text: string): string {
  const spaced = text.normalize("NFC").replace(/\p{White_Space}+/gu, " ");
  return /^\p{ASCII}*$/u.test(spaced)
    ? spaced.toLowerCase()
    : Array.from(spaced, (letter) => letter.toLowerCase()).join("");
}

/** CLIP's pattern: its special tokens, English endings, runs of letters, single digits, runs of anything else. */
function words(text: string): string[] {
  const found = text.match(
    /<\|(?:start|end)oftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu,
  );
  // A special token in capitals is not special, but is matched as one piece before it is split.
  return (found ?? []).flatMap((word) => (word.endsWith("oftext|>") ? ["<|", word.slice(2, -2), "|>"] : [word]));
}

/** Matches any of these texts, the longest first. In a group, so that `split` keeps the separators. */
function anyOf(texts: readonly string[]): RegExp {
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(`(${longestFirst.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`);
}
