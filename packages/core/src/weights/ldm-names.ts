/**
 * The names of diffusers' parameters in files of the original latent diffusion code (CompVis, Stability AI), without
 * the prefix of the network. There the UNet is a flat list of blocks; only the number of layers divides it into levels.
 */

/** The part of the config that the numbers of the blocks depend on. */
export interface UnetLayout {
  layers_per_block: number | readonly number[];
  up_block_types: readonly string[];
}

/** [diffusers, LDM] of the modules inside a residual block of the UNet. */
const RESNET: readonly [string, string][] = [
  ["norm1", "in_layers.0"],
  ["conv1", "in_layers.2"],
  ["time_emb_proj", "emb_layers.1"],
  ["norm2", "out_layers.0"],
  ["conv2", "out_layers.3"],
  ["conv_shortcut", "skip_connection"],
];

const UNET_ENDS: readonly [string, string][] = [
  ["conv_in", "input_blocks.0.0"],
  ["time_embedding.linear_1", "time_embed.0"],
  ["time_embedding.linear_2", "time_embed.2"],
  ["add_embedding.linear_1", "label_emb.0.0"],
  ["add_embedding.linear_2", "label_emb.0.2"],
  ["class_embedding.linear_1", "label_emb.0.0"],
  ["class_embedding.linear_2", "label_emb.0.2"],
  ["conv_norm_out", "out.0"],
  ["conv_out", "out.2"],
];

/** `down_blocks.1.resnets.0.norm1.weight` is `input_blocks.4.0.in_layers.0.weight` if a level has two layers. */
export function ldmUnetName(name: string, { layers_per_block, up_block_types }: UnetLayout): string {
  // The original code had the same number on every level.
  const layers = typeof layers_per_block === "number" ? layers_per_block : layers_per_block[0]!;
  const ended = replacePrefix(name, UNET_ENDS);
  if (ended !== undefined) return ended;
  const { block, level, module, index, rest } = parse(name);
  const inside = module === "resnets" ? (replacePrefix(rest, RESNET) ?? rest) : rest;
  if (block === "mid_block") return `middle_block.${module === "attentions" ? 1 : 2 * index}.${inside}`;
  const part = module === "resnets" ? 0 : 1;
  if (block === "down_blocks") {
    const first = 1 + level * (layers + 1);
    return module === "downsamplers"
      ? `input_blocks.${first + layers}.0.${rest.replace("conv", "op")}`
      : `input_blocks.${first + index}.${part}.${inside}`;
  }
  const first = level * (layers + 1);
  if (module !== "upsamplers") return `output_blocks.${first + index}.${part}.${inside}`;
  const isAfterAttention = up_block_types[level]!.includes("CrossAttn");
  return `output_blocks.${first + layers}.${isAfterAttention ? 2 : 1}.${rest}`;
}

/**
 * The same for a ControlNet. The last number of its hint layers follows from how many there are: 14 in published ones.
 */
export function ldmControlNetName(name: string, layout: UnetLayout & { hintBlocks: number }): string {
  const hint = /^controlnet_cond_embedding\.(?:(conv_in|conv_out)|blocks\.(\d+))\.(.*)$/.exec(name);
  if (hint) {
    const [, end, block, rest] = hint;
    // Each layer but the last is followed by an activation, which takes a number as well.
    const position = end === "conv_in" ? 0 : end === "conv_out" ? layout.hintBlocks + 1 : Number(block) + 1;
    return `input_hint_block.${2 * position}.${rest}`;
  }
  const zero = /^controlnet_(?:down_blocks\.(\d+)|mid_block)\.(.*)$/.exec(name);
  if (!zero) return ldmUnetName(name, layout);
  return zero[1] === undefined ? `middle_block_out.0.${zero[2]}` : `zero_convs.${zero[1]}.0.${zero[2]}`;
}

const VAE_MODULES: readonly [RegExp, string][] = [
  [/\.mid_block\.resnets\.0\./, ".mid.block_1."],
  [/\.mid_block\.resnets\.1\./, ".mid.block_2."],
  [/\.mid_block\.attentions\.0\.group_norm\./, ".mid.attn_1.norm."],
  [/\.mid_block\.attentions\.0\.to_out\.0\./, ".mid.attn_1.proj_out."],
  [/\.mid_block\.attentions\.0\.to_([qkv])\./, ".mid.attn_1.$1."],
  [/\.down_blocks\.(\d+)\.resnets\.(\d+)\./, ".down.$1.block.$2."],
  [/\.down_blocks\.(\d+)\.downsamplers\.0\./, ".down.$1.downsample."],
  [/\.up_blocks\.(\d+)\.resnets\.(\d+)\./, ".up.$1.block.$2."],
  [/\.up_blocks\.(\d+)\.upsamplers\.0\./, ".up.$1.upsample."],
  [/\.conv_shortcut\./, ".nin_shortcut."],
  [/\.conv_norm_out\./, ".norm_out."],
];

/** The same for an autoencoder with `levels` levels. There the decoder's levels are counted from the finest. */
export function ldmVaeName(name: string, levels: number): string {
  const renamed = VAE_MODULES.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), name);
  return renamed.replace(/\.up\.(\d+)\./, (_, level: string) => `.up.${levels - 1 - Number(level)}.`);
}

function replacePrefix(name: string, table: readonly [string, string][]): string | undefined {
  const entry = table.find(([prefix]) => name.startsWith(`${prefix}.`));
  return entry && entry[1] + name.slice(entry[0].length);
}

/** `down_blocks.1.resnets.0.norm1.weight` split into its parts; the middle block has no level. */
function parse(name: string) {
  const [, block, level = "0", module, index, rest] =
    /^(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.([a-z]+)\.(\d+)\.(.*)$/.exec(name) ?? [];
  if (rest === undefined)
    throw new RangeError(
      `${name} is not a parameter of a UNet of the original latent diffusion code, and has no name there.`,
    );
  return { block, level: Number(level), module, index: Number(index), rest };
}
