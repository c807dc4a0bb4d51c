import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import type { CLIPTokenizer } from "../text/tokenizer.js";
import { isFloat } from "../weights/dtypes.js";
import { WeightsMismatchError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { float32 } from "../weights/parameters.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { addOnFile, type AddOnFileOptions } from "./add-on-file.js";

/** What learns a new word, and which. */
export interface TextualInversionOptions extends AddOnFileOptions {
  tokenizer: CLIPTokenizer;
  /** Grows by as many tokens as the word has vectors. */
  textEncoder: CLIPTextModel | CLIPTextModelWithProjection;
  /** The word, as it will stand in prompts. Default: the name that the file itself gives it. */
  token?: string;
}

/** Names that say nothing of the word: AUTOMATIC1111's, and those of SDXL's two encoders. */
const NAMELESS = new Set(["emb_params", "clip_l", "clip_g"]);

/**
 * Textual inversion (Gal et al. 2023): a new word for a text encoder, one or several vectors learned from pictures.
 * Reads files of diffusers (`{ "<token>": vector or vectors }`), of AUTOMATIC1111 (`emb_params`) and SDXL's (`clip_l`,
 * `clip_g`: the one of the encoder's width); the file, the folder that holds it, or its name on the hub.
 *
 * @returns the tokenizer that knows the word; the one given does not change
 * @throws WeightsMismatchError if the file has no vectors of the encoder's width; RangeError without a word, or for one
 *   that is known
 */
export async function loadTextualInversion(from: BytesFrom, options: TextualInversionOptions): Promise<CLIPTokenizer> {
  const { tokenizer, teach } = await readTextualInversion(from, options);
  teach();
  return tokenizer;
}

/**
 * The same in two steps, for words of several encoders, which learn all or nothing: `teach` cannot fail, and changes
 * the encoder.
 */
export async function readTextualInversion(
  from: BytesFrom,
  { tokenizer, textEncoder, token, ...where }: TextualInversionOptions,
): Promise<{ tokenizer: CLIPTokenizer; teach: () => void }> {
  const file = await openSafetensors(await addOnFile(from, where));
  try {
    const { hidden_size: width, vocab_size: first } = textEncoder.config;
    const stored = vectorsOfWidth(file, width);
    const word = token ?? (NAMELESS.has(stored) ? undefined : stored);
    if (word === undefined) {
      throw new RangeError(`${file.name} does not name its word; give one, such as { token: "<my-style>" }.`);
    }
    const numbers = float32(await file.read(stored));
    const count = numbers.length / width;
    const taught = tokenizer.withToken(
      word,
      Array.from({ length: count }, (_, i) => first + i),
    );
    const teach = () => tf.tidy(() => textEncoder.text_model.addTokens(tf.tensor2d(numbers, [count, width])));
    return { tokenizer: taught, teach };
  } finally {
    await file.close();
  }
}

function vectorsOfWidth({ name, tensors }: SafetensorsFile, width: number): string {
  const fitting = [...tensors].filter(
    ([, { dtype, shape }]) => isFloat(dtype) && shape.at(-1) === width && shape.length <= 2 && shape[0]! > 0,
  );
  if (fitting.length === 1) return fitting[0]![0];
  const found = [...tensors].map(([key, { dtype, shape }]) => `${key} [${shape.join(", ")}] ${dtype}`);
  throw new WeightsMismatchError(
    `${name}: expected one tensor [${width}] or [n, ${width}], of floats, the text encoder's width; it has ${found.slice(0, 5).join(", ") || "none"}` +
      `${found.length > 5 ? ` and ${found.length - 5} more` : ""}. It was learned with another model, or is no textual inversion.`,
  );
}
