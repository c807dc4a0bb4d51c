import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import { pngPixels } from "../../image/png/decode-png.js";
import { jsonObject } from "../../weights/read-json.js";
import { openSafetensors } from "../../weights/safetensors.js";
import { fixturePath } from "../fixture.js";
import { type Family, mutant } from "./mutants.js";

/**
 * Mutants of files are accepted or refused as by the reference readers, and what is accepted has the same content:
 * safetensors 0.8.0, Python's json, and Pillow 13.0.0. Their verdicts on 1,000,000 mutants are in fixtures/mutants. A
 * few thousand run in `npm test`, all in `npm run fuzz`.
 */
const IS_LONG = process.env.FUZZ_MINUTES !== undefined;
const SHORT = { safetensors: 8000, json: 4000, png: 3000 };

/**
 * What is refused here although the reference reads it, on purpose. Pillow reads many files that the PNG specification
 * forbids; the reasons are given with its sections.
 */
const STRICTER: Record<Family, RegExp[]> = {
  safetensors: [
    /the key .* occurs twice/, // The reference takes the last; another reader may take the first.
    /its header does not start with \{/, // The format demands it; the reference also takes spaces before it.
    /has the shape \[.*\d{16}.*\]; expected whole numbers/, // Beyond 2^53, next to a size of 0.
  ],
  json: [],
  png: [
    /it does not begin with one header, IHDR|its header has|are unknown\)/, // 11.2.1
    /its palette has|two PLTE|a pixel has colour/, // 11.2.2
    /cut off in its chunk|cut off before its last chunk, IEND|checksum of its chunk/, // 5.3, 11.2.4
    /more data than|pixels are cut off|its pixels: |checksum of its pixels|not compressed with zlib/, // 10
    /two tRNS|its transparent colour has/, // 11.3.1
    /comes after its pixels/, // 5.6
    /is required for decoding, and is unknown/, // 13.1
  ],
};

/** Verdicts of a reference reader, and the first byte of a hash of what it read. */
class Verdicts {
  readonly count: number;
  readonly #bytes: Buffer;
  #content: number;

  constructor(family: Family) {
    this.#bytes = gunzipSync(readFileSync(fixturePath(`mutants/${family}.bin.gz`)));
    this.count = { safetensors: 800_000, json: 100_000, png: 100_000 }[family];
    this.#content = this.count / 8;
  }

  /** The verdicts in order: undefined if the reference refuses the mutant. */
  next(number: number): number | undefined {
    const isAccepted = ((this.#bytes[Math.floor(number / 8)]! >> (number % 8)) & 1) === 1;
    return isAccepted ? this.#bytes[this.#content++] : undefined;
  }
}

/** What a file contains, as bytes that make.py makes the same of it. */
const CONTENTS: Record<Family, (bytes: Uint8Array) => Promise<Buffer>> = {
  async safetensors(bytes) {
    const file = await openSafetensors(bytes);
    const lines = await Promise.all(
      [...file.tensors].map(async ([name, { dtype, shape }]) => {
        const data = Buffer.from(await file.readBytes(name)).toString("hex");
        return Buffer.from(`${name} ${dtype} ${JSON.stringify(shape)} ${data}`);
      }),
    );
    await file.close();
    const text = lines.sort(Buffer.compare).map(String).join("\n");
    return Buffer.from(text.replaceAll(" ", ""));
  },

  async json(bytes) {
    return canonical(jsonObject("mutant.json", bytes, { remedy: "It is a mutant." }));
  },

  async png(bytes) {
    const { width, height, colours, alpha } = await pngPixels(bytes, {});
    const [depth, colourType] = [bytes[24]!, bytes[25]!];
    const size = Buffer.alloc(8);
    size.writeUInt32LE(width);
    size.writeUInt32LE(height, 4);
    // Pillow compares a key with samples that it has widened or cut off.
    if (Buffer.from(bytes).includes("tRNS") && colourType !== 3 && depth !== 8) return size;
    const byte = (value: number) => (depth === 16 ? Math.round(value * 65535) >> 8 : Math.round(value * 255));
    const pixels = Array.from({ length: width * height }, (_, i) => [
      ...[...colours.subarray(3 * i, 3 * i + 3)].map(byte),
      alpha ? byte(alpha[i]!) : 255,
    ]);
    return Buffer.concat([size, Buffer.from(pixels.flat())]);
  },
};

/** A value of JSON as bytes that do not depend on how it was written. */
function canonical(value: unknown): Buffer {
  if (typeof value === "boolean") return Buffer.from(value ? "t" : "f");
  if (value === null || (typeof value === "number" && !Number.isFinite(value))) return Buffer.from("0");
  if (typeof value === "number") {
    const bytes = Buffer.from("n________");
    bytes.writeDoubleLE(value + 0, 1);
    return bytes;
  }
  if (typeof value === "string") {
    const data = Buffer.from(value, "utf16le");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(data.length);
    return Buffer.concat([Buffer.from("s"), length, data]);
  }
  if (Array.isArray(value)) return Buffer.concat([Buffer.from("["), ...value.map(canonical), Buffer.from("]")]);
  const entries = Object.entries(value as object).map(([key, item]) =>
    Buffer.concat([canonical(key), canonical(item)]),
  );
  return Buffer.concat([Buffer.from("{"), ...entries.sort(Buffer.compare), Buffer.from("}")]);
}

const TYPED: Record<Family, string> = {
  safetensors: "WeightsFormatError",
  json: "WeightsFormatError",
  png: "ImageError",
};

describe("Mutants have the verdicts and contents of the reference reader:", () => {
  it.each(Object.keys(SHORT) as Family[])(
    "%s",
    async (family) => {
      const verdicts = new Verdicts(family);
      const count = IS_LONG ? verdicts.count : SHORT[family];
      const disagreements: string[] = [];
      let [accepted, stricter] = [0, 0];
      for (let number = 0; number < count; number++) {
        const wanted = verdicts.next(number);
        const found = await CONTENTS[family](mutant(family, number)).catch((error: Error) => error);
        if (!(found instanceof Error)) {
          accepted++;
          if (wanted === undefined) disagreements.push(`${number} is accepted`);
          else if (createHash("sha256").update(found).digest()[0] !== wanted)
            disagreements.push(`${number} has another content`);
        } else if (found.name !== TYPED[family]) throw new Error(`${family} ${number}: ${found.stack}`);
        else if (wanted !== undefined) {
          if (STRICTER[family].some((reason) => reason.test(found.message))) stricter++;
          else disagreements.push(`${number} is refused: ${found.message}`);
        }
      }
      if (IS_LONG) {
        const refused = `${count - accepted} refused, ${stricter} of them on purpose although the reference reads them`;
        console.log(`${family}: ${count} mutants, ${accepted} accepted, ${refused}`);
      }
      expect(disagreements).toEqual([]);
      expect(accepted).toBeGreaterThan(count / 20);
    },
    IS_LONG ? 3_600_000 : 60_000,
  );
});
