/**
 * Byte-pair encoding of single words (Sennrich et al. 2016) over bytes: each word is spelled in printable stand-ins for its
 * UTF-8 bytes, the last marked as a word's end, and neighbours are merged in the order the merges were learned.
 */
export class BytePairEncoder {
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #tokens: ReadonlyMap<number, string>;

  constructor(
    vocab: Readonly<Record<string, number>>,
    merges: readonly string[],
    /** The id for what the vocabulary lacks. */
    readonly unknownId: number,
  ) {
    this.#vocab = new Map(Object.entries(vocab));
    this.#ranks = new Map(merges.map((pair, rank) => [pair, rank]));
    this.#tokens = new Map(Object.entries(vocab).map(([token, id]) => [id, token]));
  }

  encode(word: string): number[] {
    const spelled = Array.from(new TextEncoder().encode(word), (byte) => BYTE_SYMBOLS[byte]!);
    if (spelled.length === 0) return [];
    spelled[spelled.length - 1] += END;
    return this.#merge(spelled).map((token) => this.#vocab.get(token) ?? this.unknownId);
  }

  decode(ids: readonly number[]): string {
    const text = ids
      .map((id) => this.#tokens.get(id) ?? "")
      .join("")
      .replaceAll(END, " ");
    const bytes = Array.from(text, (symbol) => SYMBOL_BYTES.get(symbol) ?? 0x20);
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
  }

  /** Merges the best-ranked pair, everywhere it occurs, until no neighbours are a known pair. */
  #merge(word: string[]): string[] {
    for (let parts = word; ;) {
      let best = Infinity;
      let pair: readonly [string, string] | undefined;
      for (let i = 1; i < parts.length; i++) {
        const rank = this.#ranks.get(`${parts[i - 1]} ${parts[i]}`) ?? Infinity;
        if (rank < best) [best, pair] = [rank, [parts[i - 1]!, parts[i]!]];
      }
      if (!pair) return parts;
      const merged: string[] = [];
      for (let i = 0; i < parts.length; i++) {
        if (parts[i] === pair[0] && parts[i + 1] === pair[1]) merged.push(pair[0] + parts[++i]!);
        else merged.push(parts[i]!);
      }
      parts = merged;
    }
  }
}

const END = "</w>";

/** GPT-2's stand-ins: printable bytes stand for themselves, the others for the code points from 256 on. */
const BYTE_SYMBOLS: readonly string[] = (() => {
  let next = 256;
  const isPrintable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();
const SYMBOL_BYTES: ReadonlyMap<string, number> = new Map(BYTE_SYMBOLS.map((symbol, byte) => [symbol, byte]));
