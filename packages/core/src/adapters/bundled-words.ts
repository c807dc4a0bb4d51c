/** A tensor of a learned word inside the file of a LoRA. */
export interface BundledWord {
  word: string;
  /** `string_to_param.*` as AUTOMATIC1111 names it; `clip_l`, `clip_g` as OneTrainer does. */
  key: string;
}

/** Parses the name of a tensor of a learned word in the file of a LoRA; undefined for other names. */
export function bundledWord(stored: string): BundledWord | undefined {
  const [, word, key] = /^bundle_emb\.(.+?)\.(string_to_param\.\*|[^.]+)$/.exec(stored) ?? [];
  return word === undefined ? undefined : { word, key: key! };
}
