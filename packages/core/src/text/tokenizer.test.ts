import { beforeAll, describe, expect, it } from "@jest/globals";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { CLIPTokenizer } from "./tokenizer.js";
import { TokenizerFilesError } from "./tokenizer-files.js";

interface Case {
  text: string;
  ids: number[];
  full_ids?: number[];
  ids_tokenizer2_pad0?: number[];
}

// OpenAI's vocabulary, and the ids of transformers' CLIPTokenizer for 300 texts: see tokenizer_cases/meta.json.
const fixtures = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const unzipped = async (name: string) =>
  gunzipSync(await readFile(join(fixtures, "tokenizer", `${name}.gz`))).toString("utf8");

describe("CLIPTokenizer with OpenAI's vocabulary", () => {
  let tokenizer: CLIPTokenizer;
  let cases: Case[];
  beforeAll(async () => {
    const vocab = JSON.parse(await unzipped("vocab.json")) as Record<string, number>;
    const merges = (await unzipped("merges.txt")).split("\n").slice(1).filter(Boolean);
    tokenizer = new CLIPTokenizer({ vocab, merges });
    cases = JSON.parse(await readFile(join(fixtures, "tokenizer_cases/cases.json"), "utf8")) as Case[];
  });

  it("gives transformers' ids for every case, cut to 77 and padded with the end token", () => {
    expect(cases).toHaveLength(300);
    for (const { text, ids } of cases) {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({
        text,
        ids: [...ids, ...Array<number>(77 - ids.length).fill(49407)],
      });
    }
  });

  it("pads with ! for Stable Diffusion 2 and XL's second encoder, and then also reads ! in texts as padding", () => {
    for (const { text, ids, ids_tokenizer2_pad0: padded } of cases) {
      const want = padded ?? [...ids, ...Array<number>(77 - ids.length).fill(0)];
      expect({ text, ids: tokenizer.encode(text, { padToken: "!" }) }).toEqual({ text, ids: want });
    }
  });

  // The ids of transformers 5.23.0.
  it.each([
    ["<|EndOfText|>|", [27, 347, 40786, 4160, 91, 285, 347]],
    ["!<|EndOfText|>", [0, 27, 347, 40786, 4160, 91, 285]],
  ])("splits a special token in capitals, %s, as transformers does", (text, ids) => {
    expect(tokenizer.tokenize(text)).toEqual(ids);
  });

  it("reports the text that it cuts off, and nothing if the text fits", () => {
    const long = cases.find(({ full_ids }) => full_ids !== undefined)!;
    const cut: string[] = [];
    tokenizer.encode(long.text, { onTruncate: (text) => cut.push(text) });
    expect(cut).toHaveLength(1);
    expect(tokenizer.tokenize(cut[0]!)).toEqual(tokenizer.tokenize(long.text).slice(75));
    tokenizer.encode("a short text", { maxLength: 5, onTruncate: (text) => cut.push(text) });
    expect(cut).toHaveLength(1);
  });

  it("decodes what it encodes, in lower case with single spaces", () => {
    const words = "a photo of an astronaut riding a horse on mars";
    expect(tokenizer.decode(tokenizer.encode(`  A PHOTO of an astronaut\nriding a horse on Mars `))).toBe(words);
  });

  it("has the same ids after save and fromFolder", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tokenizer "));
    try {
      await tokenizer.save(folder);
      const again = await CLIPTokenizer.fromFolder(folder);
      for (const { text } of cases.slice(0, 50)) expect(again.encode(text)).toEqual(tokenizer.encode(text));
      // Files of an earlier save are removed.
      await writeFile(join(folder, "tokenizer.json"), "{}");
      await tokenizer.withToken("<t>", [49408]).save(folder);
      expect((await CLIPTokenizer.fromFolder(folder)).tokenize("<t>")).toEqual([49408]);
      await tokenizer.save(folder);
      expect((await CLIPTokenizer.fromFolder(folder)).tokenize("<t>")).toEqual(tokenizer.tokenize("<t>"));
      expect(await readdir(folder)).not.toContain("tokenizer.json");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each(["pairs", "texts"])(
    "is the same from transformers 5's tokenizer.json, its merges written as %s",
    async (written) => {
      const folder = await mkdtemp(join(tmpdir(), "tokenizer "));
      try {
        const merges = tokenizer.merges.map((merge) => (written === "pairs" ? merge.split(" ") : merge));
        await writeFile(
          join(folder, "tokenizer.json"),
          JSON.stringify({ model: { type: "BPE", vocab: tokenizer.vocab, merges } }),
        );
        const again = await CLIPTokenizer.fromFolder(folder);
        for (const { text } of cases.slice(0, 50)) expect(again.encode(text)).toEqual(tokenizer.encode(text));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );

  it("encodes 10,000 prompts in a second of processor time", () => {
    const rates = Array.from({ length: 5 }, () => {
      const before = process.cpuUsage();
      for (let i = 0; i < 2000; i++) tokenizer.encode(cases[i % cases.length]!.text);
      const { user, system } = process.cpuUsage(before);
      return (2000 / (user + system)) * 1e6;
    });
    expect(Math.max(...rates)).toBeGreaterThan(10_000);
  });

  it("merges as in the definition: the best pair everywhere in a word, then the next best", () => {
    const ranks = new Map(tokenizer.merges.map((pair, rank) => [pair, rank]));
    const textbook = (letters: string[]): string[] => {
      const pairs = letters.slice(1).map((right, i) => `${letters[i]} ${right}`);
      const best = pairs.reduce((a, b) => ((ranks.get(b) ?? Infinity) < (ranks.get(a) ?? Infinity) ? b : a), "");
      if (!ranks.has(best)) return letters;
      const merged: string[] = [];
      for (let i = 0; i < letters.length; i++)
        merged.push(`${letters[i]} ${letters[i + 1]}` === best ? letters[i]! + letters[++i]! : letters[i]!);
      return textbook(merged);
    };
    fc.assert(
      fc.property(fc.array(fc.constantFrom(..."abeilmnorst"), { minLength: 1, maxLength: 40 }), (letters) => {
        const want = textbook([...letters.slice(0, -1), `${letters.at(-1)}</w>`]);
        expect(tokenizer.tokenize(letters.join(""))).toEqual(want.map((token) => tokenizer.vocab[token]));
      }),
    );
  });

  it("encodes a word of 100,000 letters in seconds, not minutes", () => {
    const letters = Array.from({ length: 100_000 }, (_, i) => String.fromCharCode(97 + ((i * i * 7 + i) % 26)));
    const before = process.cpuUsage().user;
    expect(tokenizer.encode(letters.join(""))).toHaveLength(77);
    expect(process.cpuUsage().user - before).toBeLessThan(5e6);
  });

  it.each([1, 0, 2.5, NaN])("refuses a length of %p", (maxLength) => {
    expect(() => tokenizer.encode("a", { maxLength })).toThrow(RangeError);
  });

  it("finds added words as transformers 5 does: in normalised text, also inside other words, the longest first", () => {
    const words = ["<cat-toy>", "<MyStyle>", "Émile", "mycat", "a b"];
    const taught = words.reduce((known, word, i) => known.withToken(word, [49408 + i]), tokenizer);
    // tokenizer.add_tokens(words); tokenizer(text)["input_ids"][1:-1], transformers 5.24.0
    const expected: [string, number[]][] = [
      ["<CAT-TOY>", [49408]],
      ["a<cat-toy>b", [320, 49408, 321]],
      ["x <mystyle> y", [343, 49409, 344]],
      ["E\u0301mile", [49410]],
      ["mycats mycat MYCAT", [49411, 338, 49411, 49411]],
      ["a  b", [49412]],
    ];
    expect(expected.map(([text]) => [text, taught.tokenize(text)])).toEqual(expected);
    expect(() => taught.withToken("<mystyle>", [49413])).toThrow("in the vocabulary already");
  });

  it.each<[string, string, unknown]>([
    [
      "tokenizer.json",
      "as transformers 5 keeps them",
      [
        { id: 49407, content: "<|endoftext|>" },
        { id: 49408, content: "<t>" },
        { id: 49409, content: "<t>_1" },
      ],
    ],
    ["added_tokens.json", "as transformers 4 keeps them", { "<t>": 49408, "<t>_1": 49409 }],
  ])("reads added words from %s, %s, and refuses invalid ids", async (name, _, added) => {
    const folder = await mkdtemp(join(tmpdir(), "tokenizer "));
    try {
      const write = async (added: unknown) => {
        const model = { type: "BPE", vocab: tokenizer.vocab, merges: tokenizer.merges };
        if (name === "added_tokens.json") await tokenizer.save(folder);
        await writeFile(
          join(folder, name),
          JSON.stringify(name === "tokenizer.json" ? { model, added_tokens: added } : added),
        );
      };
      await write(added);
      expect((await CLIPTokenizer.fromFolder(folder)).tokenize("a <t>")).toEqual([320, 49408, 49409]);
      await write(name === "tokenizer.json" ? [null, { content: "<t>", id: -1 }] : { "<t>": "first" });
      await expect(CLIPTokenizer.fromFolder(folder)).rejects.toThrow(/its vocabulary gives ".*" the id/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("can learn a word that is also a property of every JavaScript object", () => {
    expect(tokenizer.withToken("constructor", [49408]).tokenize("a constructor")).toEqual([320, 49408]);
    expect(() => tokenizer.withToken("cat</w>", [49408])).toThrow("in the vocabulary already");
  });

  it("refuses what is not a text", () => {
    expect(() => tokenizer.encode(5 as never)).toThrow("The tokenizer got a value of type number; give a text.");
    expect(() => tokenizer.encode(undefined as never)).toThrow(TypeError);
  });

  it("refuses a pad token that is not in the vocabulary", () => {
    expect(() => tokenizer.encode("a", { padToken: "<pad>" })).toThrow(/vocabulary has no "<pad>"/);
  });
});

describe("A tokenizer folder", () => {
  it.each([
    ["no files", {}, /vocab\.json cannot be read/],
    ["a vocabulary that is not JSON", { "vocab.json": "{" }, /vocab\.json cannot be read/],
    ["a vocabulary that is a list", { "vocab.json": "[]" }, /vocab.json is not a JSON object/],
    ["an empty vocabulary", { "vocab.json": "{}", "merges.txt": "" }, /vocabulary is empty/],
    ["an id that is not a number", { "vocab.json": '{"a":"1"}', "merges.txt": "" }, /gives "a" the id "1"/],
    ["no merges", { "vocab.json": "{}" }, /merges\.txt/],
    ["a tokenizer of another kind", { "tokenizer.json": '{"model":{"type":"Unigram"}}' }, /not for a byte-pair model/],
  ])("with %s is refused", async (_, files, message) => {
    const folder = await mkdtemp(join(tmpdir(), "tokenizer "));
    try {
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      const opened = CLIPTokenizer.fromFolder(folder);
      await expect(opened).rejects.toThrow(TokenizerFilesError);
      await expect(opened).rejects.toThrow(message);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
