import TinyQueue from "tinyqueue";

/**
 * Byte-pair encoding of single words (Sennrich et al. 2016) over bytes. A word is written as printable symbols for its
 * UTF-8 bytes, the last one marked as the end of the word. Then neighbouring symbols are merged, in the order in which
 * the merges were learned. Takes O(n log n) time for a word of n bytes.
 */
export class BytePairEncoder {
  readonly #tokens: ReadonlyMap<number, string>;
  /**
   * The id of each symbol. Symbol 2 b is byte b, 2 b + 1 is byte b at the end of a word; the symbols that merges make
   * follow.
   */
  readonly #ids: readonly number[];
  /** The rank of the merge of two neighbouring symbols. */
  readonly #ranks = new Map<number, number>();
  /** The symbol that the merge of each rank makes. */
  readonly #merged: readonly number[];

  constructor(
    vocab: Readonly<Record<string, number>>,
    merges: readonly string[],
    /** The id for symbols that the vocabulary lacks. */
    unknownId: number,
  ) {
    const ids = new Map(Object.entries(vocab));
    this.#tokens = new Map(Array.from(ids, ([token, id]) => [id, token]));
    const symbols = new Map(BYTE_SYMBOLS.flatMap((name) => [name, name + END]).map((name, symbol) => [name, symbol]));
    const symbolOf = (name: string) => {
      const symbol = symbols.get(name) ?? symbols.size;
      if (symbol === symbols.size) symbols.set(name, symbol);
      return symbol;
    };
    this.#merged = merges.map((pair, rank) => {
      const [left = "", right = ""] = pair.split(" ");
      this.#ranks.set(neighbours(symbolOf(left), symbolOf(right)), rank);
      return symbolOf(left + right);
    });
    this.#ids = Array.from(symbols.keys(), (name) => ids.get(name) ?? unknownId);
  }

  encode(word: string): number[] {
    const symbols = Array.from(UTF8.encode(word), (byte) => 2 * byte);
    if (symbols.length > 0) symbols[symbols.length - 1]! += 1;
    return this.#merge(symbols).map((symbol) => this.#ids[symbol]!);
  }

  decode(ids: readonly number[]): string {
    const text = ids
      .map((id) => this.#tokens.get(id) ?? "")
      .join("")
      .replaceAll(END, " ");
    const bytes = Array.from(text, (symbol) => SYMBOL_BYTES.get(symbol) ?? 0x20);
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
  }

  /** Merges the pair of the lowest rank, the leftmost first, until no two neighbours can be merged. */
  #merge(symbols: number[]): number[] {
    const { length } = symbols;
    const next = symbols.map((_, i) => i + 1);
    const previous = symbols.map((_, i) => i - 1);
    const rankAt = (i: number) =>
      symbols[i] === GONE || next[i]! >= length
        ? undefined
        : this.#ranks.get(neighbours(symbols[i]!, symbols[next[i]!]!));
    // Rank and position as one number, so that equal ranks are merged from left to right.
    const queue = new TinyQueue<number>();
    const offer = (i: number) => {
      const rank = rankAt(i);
      if (rank !== undefined) queue.push(rank * length + i);
    };
    for (let i = 0; i < length; i++) offer(i);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const i = best % length;
      const rank = Math.floor(best / length);
      if (rankAt(i) !== rank) continue; // One of the two was merged with another neighbour since.
      const right = next[i]!;
      symbols[i] = this.#merged[rank]!;
      symbols[right] = GONE;
      next[i] = next[right]!;
      if (next[i] < length) previous[next[i]] = i;
      if (previous[i]! >= 0) offer(previous[i]!);
      offer(i);
    }
    return symbols.filter((symbol) => symbol !== GONE);
  }
}

/** Replaces a symbol that was merged into its left neighbour. */
const GONE = -1;

/** Two symbols as one number; vocabularies are far smaller than 2^26. */
function neighbours(left: number, right: number): number {
  return left * 2 ** 26 + right;
}

const END = "</w>";
const UTF8 = new TextEncoder();

/**
 * GPT-2's symbols for bytes: a printable byte is its own character, the others are the characters from code point 256
 * on.
 */
const BYTE_SYMBOLS: readonly string[] = (() => {
  let next = 256;
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();
const SYMBOL_BYTES: ReadonlyMap<string, number> = new Map(BYTE_SYMBOLS.map((symbol, byte) => [symbol, byte]));

/** Whether a token is a single byte, in a word or at its end. */
export function isByteSymbol(token: string): boolean {
  return SYMBOL_BYTES.has(token.endsWith(END) ? token.slice(0, -END.length) : token);
}
