import type { Piece } from "./file-view.js";

const MODULES: readonly [RegExp, string][] = [
  [/^text_model\.embeddings\.token_embedding\.weight$/, "token_embedding.weight"],
  [/^text_model\.embeddings\.position_embedding\.weight$/, "positional_embedding"],
  [/^text_model\.final_layer_norm\./, "ln_final."],
  [/^text_model\.encoder\.layers\.(\d+)\.layer_norm([12])\./, "transformer.resblocks.$1.ln_$2."],
  [/^text_model\.encoder\.layers\.(\d+)\.mlp\.fc1\./, "transformer.resblocks.$1.mlp.c_fc."],
  [/^text_model\.encoder\.layers\.(\d+)\.mlp\.fc2\./, "transformer.resblocks.$1.mlp.c_proj."],
  [/^text_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\./, "transformer.resblocks.$1.attn.out_proj."],
];

/**
 * The location in OpenCLIP of a parameter of transformers' text tower, without the prefix of the network. The
 * projections of queries, keys and values are stacked, and the text projection is transposed.
 */
export function openClipPiece(name: string): Piece {
  if (name === "text_projection.weight") return { stored: "text_projection", transposed: true };
  const [, layer, which, kind] =
    /^text_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)$/.exec(name) ?? [];
  if (layer !== undefined) {
    const third = "qkv".indexOf(which!) as 0 | 1 | 2;
    return { stored: `transformer.resblocks.${layer}.attn.in_proj_${kind}`, third };
  }
  const module = MODULES.find(([pattern]) => pattern.test(name));
  if (!module) throw new RangeError(`${name} is not a parameter of a text tower, and has no name in OpenCLIP.`);
  return { stored: name.replace(...module) };
}
