import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, type Vocabulary } from "../datasets/faces/index.js";

/** The files of a model's folder that are not trained. */
export interface FixedParts {
  vocabulary: Vocabulary;
  /** Folders of tokenizers, which all get the same files. */
  tokenizers: readonly string[];
  scheduler: object;
  /** `model_index.json`: the pipeline, and the library and class of each part. */
  index: object;
}

/**
 * Writes the files of a model's folder that are not trained: tokenizers, scheduler, and the index that names the parts.
 */
export async function writeFixedParts(folder: string, parts: FixedParts): Promise<void> {
  const { vocab, merges } = parts.vocabulary;
  const special = { bos_token: START_OF_TEXT, eos_token: END_OF_TEXT, pad_token: END_OF_TEXT, unk_token: END_OF_TEXT };
  for (const tokenizer of parts.tokenizers) {
    await writeAll(join(folder, tokenizer), {
      "vocab.json": json(vocab),
      "merges.txt": merges,
      "tokenizer_config.json": json({ tokenizer_class: "CLIPTokenizer", model_max_length: CONTEXT_LENGTH, ...special }),
      "special_tokens_map.json": json(special),
    });
  }
  await writeAll(join(folder, "scheduler"), { "scheduler_config.json": json(parts.scheduler) });
  await writeAll(folder, { "model_index.json": json(parts.index) });
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

async function writeAll(folder: string, files: Record<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
}
