import { namedParameters } from "../nn/parameter.js";
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
  unet?: number | LoraBlockScales;
  text_encoder?: number;
  text_encoder_2?: number;
}

/** One scale for each block of a UNet, numbered as in `down_blocks.0`. */
export interface LoraBlockScales {
  down?: LoraSideScales;
  mid?: number;
  up?: LoraSideScales;
}

/** One scale for all blocks of the way down or up, for each block, or for each layer of a block. */
export type LoraSideScales = number | Readonly<Record<`block_${number}`, number | readonly number[]>>;

/**
 * @throws RangeError for a scale that is not a finite number, or for a network, a block or a layer that does not exist
 */
export function requireScale(lora: string, scale: LoraScale, parts: readonly [LoraPart, object][]): void {
  if (typeof scale === "object" && scale !== null) {
    const networks = new Map(parts);
    for (const [part, own] of Object.entries(scale)) {
      if (!networks.has(part as LoraPart)) throw wrongKey(lora, part, [...networks.keys()]);
      if (part !== "unet" || typeof own !== "object") requireNumber(lora, part, own);
      else
        requireBlockScales(
          lora,
          own as object,
          [...namedParameters(networks.get("unet")!)].map(([name]) => name),
        );
    }
  } else requireNumber(lora, "", scale);
}

function requireBlockScales(lora: string, scales: object, names: readonly string[]): void {
  const layers = layersOfBlocks(names);
  for (const [side, own] of Object.entries(scales)) {
    if (!["down", "mid", "up"].includes(side)) throw wrongKey(lora, `unet.${side}`, ["down", "mid", "up"]);
    if (side === "mid" || typeof own !== "object" || own === null) {
      requireNumber(lora, `unet.${side}`, own);
      continue;
    }
    const blocks = layers.get(side) ?? [];
    for (const [key, value] of Object.entries(own as object)) {
      const path = `unet.${side}.${key}`;
      const count = blocks[Number(/^block_(\d+)$/.exec(key)?.[1])];
      if (count === undefined)
        throw wrongKey(
          lora,
          path,
          blocks.map((_, i) => `block_${i}`),
        );
      const list: unknown[] = [value].flat();
      if (list.length !== 1 && list.length !== count) {
        throw new RangeError(
          `LoRA "${lora}": ${path} has ${list.length} scales, but the block has ${count} layers. Give one or ${count}.`,
        );
      }
      for (const each of list) requireNumber(lora, path, each);
    }
  }
}

/** The number of layers of each block on the way down and up. */
function layersOfBlocks(names: readonly string[]): Map<string, number[]> {
  const layers = new Map<string, number[]>();
  for (const name of names) {
    const place = placeOf(name);
    if (!place || place.side === "mid") continue;
    const counts = layers.get(place.side) ?? [];
    counts[place.block] = Math.max(counts[place.block] ?? 0, place.layer + 1);
    layers.set(place.side, counts);
  }
  return layers;
}

/** The position of a parameter in a UNet; undefined outside of blocks. */
function placeOf(name: string): { side: string; block: number; layer: number } | undefined {
  if (name.startsWith("mid_block.")) return { side: "mid", block: 0, layer: 0 };
  const [, side, block, layer] = /^(down|up)_blocks\.(\d+)\.\w+\.(\d+)\./.exec(name) ?? [];
  return side === undefined ? undefined : { side, block: Number(block), layer: Number(layer) };
}

/** The scale of one parameter of a network. */
export function scaleOf(scale: LoraScale, part: LoraPart, name: string): number {
  if (typeof scale === "number") return scale;
  const own = scale[part] ?? 1;
  if (typeof own === "number") return own;
  const place = placeOf(name);
  const side = place && own[place.side as keyof LoraBlockScales];
  if (side === undefined || typeof side === "number") return side ?? 1;
  const block = side[`block_${place!.block}`] ?? 1;
  return typeof block === "number" ? block : (block[place!.layer] ?? block[0]!);
}

function requireNumber(lora: string, path: string, scale: unknown): void {
  if (typeof scale === "number" && Number.isFinite(scale)) return;
  const what = path === "" ? "the scale" : `the scale of ${path}`;
  throw new RangeError(`LoRA "${lora}": ${what} is ${String(scale)}; give a finite number.`);
}

function wrongKey(lora: string, path: string, known: readonly string[]): RangeError {
  const names = known.length > 0 ? known.join(", ") : `none of ${LORA_PARTS.join(", ")}`;
  return new RangeError(`LoRA "${lora}": a scale is given for ${path}, which does not exist; give one of ${names}.`);
}
