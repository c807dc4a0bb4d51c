import TinyQueue from "tinyqueue";

/**
 * Byte-pair encoding of single words (Sennrich et al. 2016) over bytes: each word is spelled in printable stand-ins for
 * its UTF-8 bytes, the last marked as a word's end, and neighbours are merged in the order the merges were learned.
 * Time grows as n log n with a word's length n.
 */
export class BytePairEncoder {
  readonly #tokens: ReadonlyMap<number, string>;
  /** By symbol (a byte is twice itself, one more at a word's end, then come those that merges make): the id. */
  readonly #ids: readonly number[];
  /** By two neighbouring symbols: when they are merged. */
  readonly #ranks = new Map<number, number>();
  /** By rank: what they become. */
  readonly #merged: readonly number[];

  constructor(
    vocab: Readonly<Record<string, number>>,
    merges: readonly string[],
    /** The id for what the vocabulary lacks. */
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

  /** Merges the best-ranked pair, the leftmost first, until no neighbours are a known pair. */
  #merge(symbols: number[]): number[] {
    const { length } = symbols;
    const next = symbols.map((_, i) => i + 1);
    const previous = symbols.map((_, i) => i - 1);
    const rankAt = (i: number) =>
      symbols[i] === GONE || next[i]! >= length
        ? undefined
        : this.#ranks.get(neighbours(symbols[i]!, symbols[next[i]!]!));
    // Rank and place as one number, so that equal ranks come from left to right.
    const queue = new TinyQueue<number>();
    const offer = (i: number) => {
      const rank = rankAt(i);
      if (rank !== undefined) queue.push(rank * length + i);
    };
    for (let i = 0; i < length; i++) offer(i);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const i = best % length;
      const rank = Math.floor(best / length);
      if (rankAt(i) !== rank) continue; // One of the two was merged with another since.
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

/** In place of a symbol that became part of its left neighbour. */
const GONE = -1;

/** One number for two: vocabularies are far smaller than 2^26. */
function neighbours(left: number, right: number): number {
  return left * 2 ** 26 + right;
}

const END = "</w>";
const UTF8 = new TextEncoder();

/** GPT-2's stand-ins: printable bytes stand for themselves, the others for the code points from 256 on. */
const BYTE_SYMBOLS: readonly string[] = (() => {
  let next = 256;
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();
const SYMBOL_BYTES: ReadonlyMap<string, number> = new Map(BYTE_SYMBOLS.map((symbol, byte) => [symbol, byte]));
