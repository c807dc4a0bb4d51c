/**
 * Names of tensors in other versions of the libraries: patterns and their replacements, tried in order on names that a
 * network does not have. Null means that the tensor is not needed.
 */
export const OLD_NAMES: readonly (readonly [RegExp, string | null])[] = [
  // A buffer of CLIP (0 to 76) that transformers used to save.
  [/(^|\.)embeddings\.position_ids$/, null],
  // transformers 5 saves a single text or vision tower without its prefix.
  [/^(?=embeddings\.|encoder\.|final_layer_norm\.)/, "text_model."],
  [/^(?=embeddings\.|encoder\.|pre_layrnorm\.|post_layernorm\.)/, "vision_model."],
  // Attention in diffusers before version 0.15.
  [/\.query\.(?=weight|bias)/, ".to_q."],
  [/\.key\.(?=weight|bias)/, ".to_k."],
  [/\.value\.(?=weight|bias)/, ".to_v."],
  [/\.proj_attn\.(?=weight|bias)/, ".to_out.0."],
];
