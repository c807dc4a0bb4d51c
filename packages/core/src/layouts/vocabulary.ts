import { configFolder } from "../hub/model-source.js";
import { joinPath } from "../platform/files.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import { WeightsReadError } from "../weights/errors.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { FAMILIES } from "./families.js";

/** The model on the hub with the vocabulary of all published Stable Diffusion families. */
export const CLIP_VOCABULARY = "openai/clip-vit-large-patch14";

/** The source of the vocabulary for a single file. */
export interface VocabularySource {
  /** A folder, or a model on the hub, with CLIP's `vocab.json` and `merges.txt`. */
  tokenizer?: string;
  /** A diffusers folder, or a model on the hub, with a `tokenizer` folder for each text encoder. */
  config?: string;
}

/**
 * The tokenizers for a single file, which does not contain any: one for each text encoder of its family.
 *
 * @throws WeightsReadError if neither option is given; TokenizerFilesError, HubError if no vocabulary is found
 */
export async function tokenizersFor(
  family: CheckpointFamily,
  { tokenizer, config }: VocabularySource,
): Promise<Map<"tokenizer" | "tokenizer_2", CLIPTokenizer>> {
  if (tokenizer === undefined && config === undefined) {
    throw new WeightsReadError(
      "A single file has no vocabulary. Give as tokenizer a folder with CLIP's vocab.json and merges.txt.",
    );
  }
  const folder = await configFolder(tokenizer ?? config!);
  const tokenizers = new Map<"tokenizer" | "tokenizer_2", CLIPTokenizer>();
  for (const [encoder, { names }] of Object.entries(FAMILIES[family].textEncoders)) {
    const part = encoder.replace("text_encoder", "tokenizer") as "tokenizer" | "tokenizer_2";
    const found = await CLIPTokenizer.fromFolder(tokenizer === undefined ? joinPath(folder, part) : folder);
    // OpenCLIP's text towers were trained with padding id 0, the token "!".
    const isOpenClip = tokenizer !== undefined && names === "openclip";
    tokenizers.set(part, isOpenClip ? new CLIPTokenizer({ ...found, padToken: "!" }) : found);
  }
  return tokenizers;
}
