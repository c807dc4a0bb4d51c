import { AddedKeyValueAttention, SelfAttention2D, Transformer2DModel } from "../../nn/spatial-attention.js";
import type {
  ConditionDownBlockType,
  ConditionLevel,
  ConditionMidBlockType,
  ConditionUpBlockType,
  UNet2DConditionConfig,
} from "./unet-2d-condition-config.js";
import type { AttentionFactory } from "./unet-blocks.js";

type BlockType = ConditionDownBlockType | ConditionMidBlockType | ConditionUpBlockType;

/** The attention layers of a block of a conditional UNet, by the block's name in the config. */
export function attentionFactory(
  { norm_num_groups: groups, norm_eps: eps, use_linear_projection: linearProjection }: UNet2DConditionConfig,
  { contextChannels, headSetting, onlyCrossAttention }: ConditionLevel,
  blockType: BlockType,
  transformers: number | number[],
): AttentionFactory {
  /** Except in transformer blocks, attention_head_dim is the size of a head. */
  const headsOf = (channels: number) => channels / (headSetting ?? channels);
  switch (blockType) {
    case "CrossAttnDownBlock2D":
    case "CrossAttnUpBlock2D":
    case "UNetMidBlock2DCrossAttn":
      return (channels, i) =>
        new Transformer2DModel(channels, {
          heads: headSetting ?? 1,
          layers: Array.isArray(transformers) ? (transformers[i] ?? transformers.at(-1)!) : transformers,
          groups,
          contextChannels,
          // Unlike the others, the middle block always has self-attention: diffusers does not pass the flag to it.
          onlyCrossAttention: onlyCrossAttention && blockType !== "UNetMidBlock2DCrossAttn",
          linearProjection,
        });
    case "SimpleCrossAttnDownBlock2D":
    case "SimpleCrossAttnUpBlock2D":
    case "UNetMidBlock2DSimpleCrossAttn":
      return (channels) =>
        new AddedKeyValueAttention(channels, {
          heads: headsOf(channels),
          groups,
          eps: 1e-5,
          contextChannels,
          onlyCrossAttention,
        });
    case "AttnDownBlock2D":
    case "AttnUpBlock2D":
      return (channels) => new SelfAttention2D(channels, { heads: headsOf(channels), groups, eps });
    default:
      return undefined;
  }
}
