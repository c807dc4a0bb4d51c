import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { fixturePath } from "../fixture.js";

/**
 * Mutants of safetensors files, JSON and PNG files. This is fixtures/mutants/make.py again, line by line: the same
 * family and number give the same bytes there and here, so that only the reference's verdicts are stored.
 */
export type Family = keyof typeof FAMILIES;

/** Mutant `number` of a family. */
export function mutant(family: Family, number: number): Uint8Array {
  const first = { safetensors: 0, json: 1, png: 2 }[family];
  return FAMILIES[family](new Mulberry32(number * 3 + first));
}

interface Seeds {
  safetensors: { headers: [header: string, size: number][]; pieces: string[] };
  json: { texts: string[]; pieces: string[] };
  png: { chunks: [type: string, hex: string][]; rows: string }[];
}
const SEEDS = JSON.parse(readFileSync(fixturePath("mutants/seeds.json"), "utf8")) as Seeds;

/** By Tommy Ettinger: a generator that is one line in every language. */
class Mulberry32 {
  constructor(private state: number) {}

  below(count: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % count;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** One to three changes of single bytes and runs of bytes. */
function mutatedBytes(given: Buffer, random: Mulberry32): Buffer {
  let data = given;
  for (let change = 1 + random.below(3); change > 0; change--) {
    const at = random.below(data.length + 1);
    const run = 1 + random.below(8);
    const kind = random.below(5);
    const [before, after] = [data.subarray(0, at), data.subarray(at)];
    if (kind === 0) data = Buffer.concat([before, Buffer.of(random.below(256)), after.subarray(1)]);
    else if (kind === 1) data = Buffer.concat([before, after.subarray(run)]);
    else if (kind === 2) data = Buffer.concat([before, after.subarray(0, run), after]);
    else if (kind === 3 && after.length > 0)
      data = Buffer.concat([before, Buffer.of(after[0]! ^ (1 << random.below(8))), after.subarray(1)]);
    else if (kind === 3 || random.below(4) === 0) data = before;
    else data = Buffer.concat([before, Buffer.alloc(run), after]);
  }
  return data;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[-+.A-Za-z0-9_]+|[\s\S]/gu;

/** Texts, words and numbers, space, or signs such as brackets. */
function kindOf(token: string): string {
  if (token.startsWith('"')) return "text";
  if (/^[-+.A-Za-z0-9_]/.test(token)) return "word";
  return /^[ \t\n\r]/.test(token) ? "space" : "sign";
}

/** One to three changes of whole tokens of JSON, most of which leave it valid. */
function mutatedText(text: string, pieces: readonly string[], random: Mulberry32): string {
  const tokens = text.match(TOKEN)!;
  for (let change = 1 + random.below(3); change > 0; change--) {
    const at = random.below(tokens.length);
    const same = (others: readonly string[]) => others.filter((other) => kindOf(other) === kindOf(tokens[at]!));
    const kind = random.below(20);
    if (kind < 9 && kindOf(tokens[at]!) !== "sign") tokens[at] = random.pick(same(pieces));
    else if (kind < 14) tokens[at] = random.pick(same(tokens));
    else if (kind === 14) tokens[at] = random.pick(pieces);
    else if (kind === 15) tokens[at] = "";
    else if (kind === 16) tokens[at] += random.pick(pieces);
    else if (kind === 17) {
      const other = random.below(tokens.length);
      [tokens[at], tokens[other]] = [tokens[other]!, tokens[at]!];
    } else if (kind === 18) tokens.splice(at, 0, ...tokens.slice(at, at + random.below(8)));
    else tokens[at] += " ";
  }
  return tokens.join("");
}

function safetensorsMutant(random: Mulberry32): Buffer {
  const { headers, pieces } = SEEDS.safetensors;
  const [text, wholeSize] = random.pick(headers);
  let size = wholeSize;
  let header: Buffer = Buffer.from(mutatedText(text, pieces, random));
  if (random.below(8) === 0) header = mutatedBytes(header, random);
  let { length } = header;
  const kind = random.below(16);
  if (kind === 0) length = Math.max(0, length + random.below(9) - 4);
  else if (kind === 1) size = Math.max(0, size + random.below(9) - 4);
  const begin = Buffer.alloc(8);
  begin.writeBigUInt64LE(BigInt(length));
  const data = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) % 256));
  const file = Buffer.concat([begin, header, data]);
  return kind === 2 ? mutatedBytes(file, random) : file;
}

function jsonMutant(random: Mulberry32): Buffer {
  const data = Buffer.from(mutatedText(random.pick(SEEDS.json.texts), SEEDS.json.pieces, random));
  return random.below(4) === 0 ? mutatedBytes(data, random) : data;
}

function pngMutant(random: Mulberry32): Buffer {
  const seed = random.pick(SEEDS.png);
  const chunks = seed.chunks.map(([type, data]): [string, Buffer] => [type, Buffer.from(data, "hex")]);
  let rows: Buffer = Buffer.from(seed.rows, "hex");
  const kind = random.below(8);
  if (kind === 0) rows = mutatedBytes(rows, random);
  let pixels = storedZlib(rows);
  if (kind === 1) pixels = mutatedBytes(pixels, random);
  if (kind === 2) {
    const cut = random.below(pixels.length + 1);
    chunks.push(["IDAT", pixels.subarray(0, cut)], ["IDAT", pixels.subarray(cut)]);
  } else chunks.push(["IDAT", pixels]);
  chunks.push(["IEND", Buffer.alloc(0)]);
  if (kind === 3) {
    const chosen = random.pick(chunks);
    chosen[1] = mutatedBytes(chosen[1], random);
  } else if (kind === 4) {
    const chosen = random.pick(chunks);
    chosen[0] = random.pick(["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "tEXt", "prIv", "ABCD", "abcd"]);
  } else if (kind === 5) {
    const [at, other] = [random.below(chunks.length), random.below(chunks.length)];
    [chunks[at], chunks[other]] = [chunks[other]!, chunks[at]!];
  } else if (kind === 6) chunks.splice(random.below(chunks.length + 1), 0, [...random.pick(chunks)]);
  else if (kind === 7 && random.below(2) === 0) chunks.splice(random.below(chunks.length), 1);
  const file = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...chunks.flatMap(written)]);
  return random.below(8) === 0 ? mutatedBytes(file, random) : file;
}

function written([type, data]: [string, Buffer]): Buffer[] {
  const body = Buffer.concat([Buffer.from(type), data]);
  return [uint32(data.length), body, uint32(crc32(body))];
}

/** A zlib stream without compression, whose bytes are the same in every library. */
function storedZlib(data: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt16LE(data.length);
  size.writeUInt16LE(data.length ^ 0xffff, 2);
  let [a, b] = [1, 0];
  for (const byte of data) b = (b + (a = (a + byte) % 65521)) % 65521;
  return Buffer.concat([Buffer.of(0x78, 0x01, 0x01), size, data, uint32(b * 65536 + a)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const FAMILIES = { safetensors: safetensorsMutant, json: jsonMutant, png: pngMutant };
