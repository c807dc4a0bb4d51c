import { namedParameters } from "../nn/parameter.js";
import { blockScale, type BlockScales, requireBlockScales, requireNumber, wrongKey } from "./block-scale.js";
import { LORA_PARTS, type LoraPart } from "./lora-models.js";

/**
 * The factor of a LoRA's change: one number for all of it, or one for each network, and for each block of the UNet, as
 * in diffusers' `set_adapters`. Parts that are not named have scale 1; 0 turns the change off.
 *
 *     0.8
 *     { unet: 0.8, text_encoder: 0.5 }
 *     { unet: { down: 0.5, mid: 1, up: { block_1: 0.3, block_2: [0.4, 0.8, 1] } } }
 *
 * A list has a number for each layer of the block, which is a residual block with its attention. A block's down- or
 * upsampler has the scale of its first layer. Layers outside of blocks, such as `conv_in`, have scale 1.
 */
export type LoraScale = number | LoraPartScales;

/** One scale for each network, and for each block of the UNet. */
export interface LoraPartScales {
  unet?: number | BlockScales;
  text_encoder?: number;
  text_encoder_2?: number;
}

/**
 * @throws RangeError for a scale that is not a finite number, or for a network, a block or a layer that does not exist
 */
export function requireScale(lora: string, scale: LoraScale, parts: readonly [LoraPart, object][]): void {
  const of = `LoRA "${lora}": `;
  if (typeof scale !== "object" || scale === null) return requireNumber(of, "", scale);
  const networks = new Map(parts);
  for (const [part, own] of Object.entries(scale)) {
    const network = networks.get(part as LoraPart);
    if (!network) throw wrongKey(of, part, networks.size > 0 ? [...networks.keys()] : LORA_PARTS);
    if (part !== "unet" || typeof own !== "object" || own === null) {
      requireNumber(of, part, own);
      continue;
    }
    const names = [...namedParameters(network)].map(([name]) => name);
    requireBlockScales(of, "unet.", own as object, names);
  }
}

/** The scale of one parameter of a network. */
export function scaleOf(scale: LoraScale, part: LoraPart, name: string): number {
  if (typeof scale === "number") return scale;
  const own = scale[part] ?? 1;
  return typeof own === "number" ? own : blockScale(own, name, 1);
}
