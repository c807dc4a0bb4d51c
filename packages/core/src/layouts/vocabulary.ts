import { configFolder } from "../hub/model-source.js";
import { joinPath } from "../platform/files.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import { WeightsReadError } from "../weights/errors.js";
import { type CheckpointFamily, FAMILIES } from "./families.js";

/** The model of the hub whose vocabulary all published kinds of Stable Diffusion read with. */
export const CLIP_VOCABULARY = "openai/clip-vit-large-patch14";

/** Where a single file's vocabulary is to be taken from. */
export interface VocabularySource {
  /** A folder, or a model of the hub, with CLIP's `vocab.json` and `merges.txt`. */
  tokenizer?: string;
  /** A folder, or a model of the hub, in the layout of diffusers, with a `tokenizer` folder for each text encoder. */
  config?: string;
}

/**
 * The tokenizers that go with a single file, which holds none, one for each of its text encoders.
 *
 * @throws WeightsReadError if no place is given; TokenizerFilesError, HubError if there is none
 */
export async function tokenizersFor(
  family: CheckpointFamily,
  { tokenizer, config }: VocabularySource,
): Promise<Map<"tokenizer" | "tokenizer_2", CLIPTokenizer>> {
  if (tokenizer === undefined && config === undefined) {
    throw new WeightsReadError(
      "A single file holds no vocabulary. Give as tokenizer a folder with CLIP's vocab.json and merges.txt.",
    );
  }
  const folder = await configFolder(tokenizer ?? config!);
  const tokenizers = new Map<"tokenizer" | "tokenizer_2", CLIPTokenizer>();
  for (const [encoder, { names }] of Object.entries(FAMILIES[family].textEncoders)) {
    const part = encoder.replace("text_encoder", "tokenizer") as "tokenizer" | "tokenizer_2";
    const found = await CLIPTokenizer.fromFolder(tokenizer === undefined ? joinPath(folder, part) : folder);
    // OpenCLIP's towers were trained with texts filled up by id 0, whose token is "!".
    const isOpenClip = tokenizer !== undefined && names === "openclip";
    tokenizers.set(part, isOpenClip ? new CLIPTokenizer({ ...found, padToken: "!" }) : found);
  }
  return tokenizers;
}
