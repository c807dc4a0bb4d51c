import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { fixturePath } from "../testing/fixture.js";
import { CLIPTokenizer } from "./tokenizer.js";
import { TokenizerFilesError } from "./tokenizer-files.js";

let vocab: string;
let merges: string;
let folder: string;
beforeAll(async () => {
  const unpacked = async (name: string) =>
    gunzipSync(await readFile(fixturePath(`tokenizer/${name}.gz`))).toString("utf8");
  [vocab, merges] = [await unpacked("vocab.json"), await unpacked("merges.txt")];
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenizer "));
  await write("vocab.json", vocab);
  await write("merges.txt", merges);
});
afterEach(() => rm(folder, { recursive: true }));

const write = (name: string, text: string | Uint8Array) => writeFile(join(folder, name), text);
const config = (values: object) => () => write("tokenizer_config.json", JSON.stringify(values));
const special = (values: object) => () => write("special_tokens_map.json", JSON.stringify(values));

it("CLIP's own files are accepted, also with null, and with the length that transformers writes for none", async () => {
  await config({ model_max_length: 1e30, pad_token: null })();
  await special({ bos_token: { content: "<|startoftext|>" }, pad_token: "!" })();
  const tokenizer = await CLIPTokenizer.fromFolder(folder);
  expect([tokenizer.maxLength, tokenizer.padToken]).toEqual([77, "!"]);
});

it.each<[string, () => Promise<void>, RegExp]>([
  ["merges that end in the middle", () => write("merges.txt", merges.slice(0, merges.length / 2)), /merge/],
  [
    "merges without the last five",
    () => write("merges.txt", merges.trimEnd().split("\n").slice(0, -5).join("\n")),
    /one of 5 such tokens.*merges\.txt is cut off \(it has 48889 merges\).*copy it again/,
  ],
  ["empty merges", () => write("merges.txt", ""), /merges\.txt is cut off \(it has 0 merges\)/],
  [
    "binary merges",
    () =>
      write(
        "merges.txt",
        Uint8Array.from({ length: 999 }, (_, i) => i * 7),
      ),
    /no readable merges\.txt \(it is not text in UTF-8\)\. Copy the file again/,
  ],
  ["merges of another vocabulary", () => write("merges.txt", "i n\nq xyz\n"), /merge 2 of 2, "q xyz", makes no token/],
  [
    "no start token",
    () => write("vocab.json", '{"<|endoftext|>":0}'),
    /bos_token is "<\|startoftext\|>", which the vocabulary/,
  ],
  [
    "a list in place of a token",
    special({ bos_token: ["a"] }),
    /special_tokens_map\.json: bos_token is \["a"\]; expected one value, not a list: a token.*Copy/,
  ],
  ["an unknown pad token", config({ pad_token: "<pad>" }), /tokenizer_config\.json: pad_token is "<pad>", which/],
  ...[0, -1, 0.5, 1, "77"].map((length): [string, () => Promise<void>, RegExp] => [
    `a length of ${JSON.stringify(length)}`,
    config({ model_max_length: length }),
    /tokenizer_config\.json: model_max_length is .*CLIP's is 77/,
  ]),
  [
    "a config of 200 brackets",
    () => write("tokenizer_config.json", "[".repeat(200)),
    /nested more than 127 levels deep/,
  ],
])("A tokenizer folder with %s is refused, naming file, key, value and remedy", async (_, damage, message) => {
  await damage();
  const opened = CLIPTokenizer.fromFolder(folder);
  await expect(opened).rejects.toThrow(TokenizerFilesError);
  await expect(opened).rejects.toThrow(message);
  await expect(opened).rejects.toThrow(folder);
});

it("A small vocabulary without its special tokens is refused, naming the token", async () => {
  await write("vocab.json", '{"a":0,"<|endoftext|>":1}');
  await write("merges.txt", "");
  await expect(CLIPTokenizer.fromFolder(folder)).rejects.toThrow(
    /bos_token is "<\|startoftext\|>", which the vocabulary/,
  );
});
