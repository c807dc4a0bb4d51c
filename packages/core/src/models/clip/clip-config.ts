import { type ActivationName, activationNames } from "../../nn/activations.js";
import { count, layers, number, object, oneOf, type SchemaOf } from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";

/** The keys with which a transformers config names its class. */
interface Transformers {
  architectures?: string[];
  model_type?: string;
}

interface CLIPTowerConfig extends Transformers {
  /** Width of the tokens. */
  hidden_size: number;
  /** Hidden width of the two-layer networks. */
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  hidden_act: ActivationName;
  layer_norm_eps: number;
  /** Width of the space that pictures and texts share. */
  projection_dim: number;
  /** Standard deviation of the embeddings of an untrained network, times initializer_factor. */
  initializer_range: number;
  initializer_factor: number;
}

/** `config.json` of a CLIPTextModel, as transformers writes it. */
export interface CLIPTextConfig extends CLIPTowerConfig {
  vocab_size: number;
  /** Most tokens in a text, including start and end. */
  max_position_embeddings: number;
  pad_token_id: number;
  bos_token_id: number;
  /** The token whose state is pooled. The value 2 of early published configs means the largest id in the text. */
  eos_token_id: number;
}

/** `config.json` of a CLIPVisionModel. Pictures are square. */
export interface CLIPVisionConfig extends CLIPTowerConfig {
  image_size: number;
  patch_size: number;
  num_channels: number;
}

/** `config.json` of a CLIPModel. */
export interface CLIPConfig extends Transformers {
  text_config: Partial<CLIPTextConfig>;
  vision_config: Partial<CLIPVisionConfig>;
  projection_dim: number;
  /** Natural logarithm of the first scale of the similarities. */
  logit_scale_init_value: number;
  initializer_factor: number;
}

const TOWER = {
  hidden_act: oneOf<ActivationName>("quick_gelu", activationNames),
  layer_norm_eps: number(1e-5),
  projection_dim: count(512),
  initializer_range: number(0.02),
  initializer_factor: number(1),
};

const TEXT: SchemaOf<CLIPTextConfig> = {
  ...TOWER,
  hidden_size: count(512),
  intermediate_size: count(2048),
  num_hidden_layers: layers(12),
  num_attention_heads: count(8),
  vocab_size: count(49408),
  max_position_embeddings: count(77),
  pad_token_id: number(1),
  bos_token_id: number(49406),
  eos_token_id: number(49407),
};

const VISION: SchemaOf<CLIPVisionConfig> = {
  ...TOWER,
  hidden_size: count(768),
  intermediate_size: count(3072),
  num_hidden_layers: layers(12),
  num_attention_heads: count(12),
  image_size: count(224),
  patch_size: count(32),
  num_channels: count(3),
};

const JOINT: SchemaOf<CLIPConfig> = {
  text_config: object<CLIPConfig["text_config"]>({}),
  vision_config: object<CLIPConfig["vision_config"]>({}),
  projection_dim: count(512),
  logit_scale_init_value: number(2.6592),
  initializer_factor: number(1),
};

/**
 * Keys that transformers before version 4.40 wrote into every config, also for networks that do not generate texts or
 * classify.
 */
const WRITTEN_FOR_ALL = [
  ...["chunk_size_feed_forward", "output_attentions", "output_hidden_states", "return_dict", "tie_word_embeddings"],
  ...["tokenizer_class", "id2label", "label2id", "max_length", "min_length", "num_beams", "num_beam_groups"],
  ...["diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty"],
  ...["no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "num_return_sequences"],
];

/** Pruned heads would be missing from the tensors; usually the list is empty. */
const harmlessOf = (config: object) =>
  isEmpty((config as { pruned_heads?: unknown }).pruned_heads) ? [...WRITTEN_FOR_ALL, "pruned_heads"] : WRITTEN_FOR_ALL;

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

export const clipTextConfig = (className: string, config: Partial<CLIPTextConfig>): CLIPTextConfig =>
  resolveConfig(className, config, TEXT, harmlessOf(config));

export const clipVisionConfig = (className: string, config: Partial<CLIPVisionConfig>): CLIPVisionConfig =>
  resolveConfig(className, config, VISION, harmlessOf(config));

/**
 * Old files describe the towers twice. transformers uses `text_config_dict` and `vision_config_dict` if they are
 * present.
 */
interface OldCLIPConfig extends Partial<CLIPConfig> {
  text_config_dict?: Partial<CLIPTextConfig> | null;
  vision_config_dict?: Partial<CLIPVisionConfig> | null;
}

export function clipConfig({ text_config_dict, vision_config_dict, ...config }: OldCLIPConfig): CLIPConfig {
  const towers = {
    ...(text_config_dict && { text_config: text_config_dict }),
    ...(vision_config_dict && { vision_config: vision_config_dict }),
  };
  return resolveConfig("CLIPModel", { ...config, ...towers }, JOINT, WRITTEN_FOR_ALL);
}
