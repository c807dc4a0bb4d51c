import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, vocabulary } from "../../datasets/faces/index.js";
import { SCHEDULER_CONFIG } from "./settings.js";

/** Writes all of the model's folder that is not learned: tokenizer, scheduler, and the index that names the parts. */
export async function writeFixedParts(folder: string): Promise<void> {
  const { vocab, merges } = vocabulary();
  const special = { bos_token: START_OF_TEXT, eos_token: END_OF_TEXT, pad_token: END_OF_TEXT, unk_token: END_OF_TEXT };
  await writeAll(join(folder, "tokenizer"), {
    "vocab.json": json(vocab),
    "merges.txt": merges,
    "tokenizer_config.json": json({ tokenizer_class: "CLIPTokenizer", model_max_length: CONTEXT_LENGTH, ...special }),
    "special_tokens_map.json": json(special),
  });
  await writeAll(join(folder, "scheduler"), { "scheduler_config.json": json(SCHEDULER_CONFIG) });
  await writeAll(folder, {
    "model_index.json": json({
      _class_name: "TextToImagePipeline",
      scheduler: ["diffusers", SCHEDULER_CONFIG._class_name],
      text_encoder: ["transformers", "CLIPTextModel"],
      text_encoder_2: ["transformers", "CLIPTextModelWithProjection"],
      tokenizer: ["transformers", "CLIPTokenizer"],
      unet: ["diffusers", "UNet2DConditionModel"],
    }),
  });
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

async function writeAll(folder: string, files: Record<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
}
