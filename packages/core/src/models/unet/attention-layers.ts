import type { Attention } from "../../nn/attention.js";
import { SelfAttention2D, type SpatialAttention, Transformer2DModel } from "../../nn/spatial-attention.js";

/** The attention layers of a UNet by their paths in the checkpoint. */
export interface AttentionLayers {
  /** Those in which pixels read each other. */
  self: ReadonlyMap<string, Attention | SelfAttention2D>;
  /** Those of transformer blocks in which pixels read the context. */
  context: ReadonlyMap<string, Attention>;
}

/** The blocks of a UNet, as its fields name them. */
interface Blocks {
  down_blocks: readonly { attentions?: readonly SpatialAttention[] }[];
  up_blocks: readonly { attentions?: readonly SpatialAttention[] }[];
  mid_block?: { attentions?: readonly SpatialAttention[] };
}

/** The layers in diffusers' order, in which IP-Adapters number them: the way down, the way up, the middle. */
export function attentionLayers({ down_blocks, up_blocks, mid_block }: Blocks): AttentionLayers {
  const self = new Map<string, Attention | SelfAttention2D>();
  const context = new Map<string, Attention>();
  const blocks = [
    ...down_blocks.map((block, i) => [`down_blocks.${i}`, block] as const),
    ...up_blocks.map((block, i) => [`up_blocks.${i}`, block] as const),
    ["mid_block", mid_block] as const,
  ];
  for (const [path, block] of blocks) {
    for (const [i, attention] of (block?.attentions ?? []).entries()) {
      const name = `${path}.attentions.${i}`;
      if (attention instanceof SelfAttention2D) self.set(name, attention);
      if (!(attention instanceof Transformer2DModel)) continue;
      for (const [j, { attn1, attn2, onlyCrossAttention }] of attention.transformer_blocks.entries()) {
        if (!onlyCrossAttention) self.set(`${name}.transformer_blocks.${j}.attn1`, attn1);
        if (attn2) context.set(`${name}.transformer_blocks.${j}.attn2`, attn2);
      }
    }
  }
  return { self, context };
}
