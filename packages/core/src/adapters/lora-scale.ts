import { namedParameters } from "../nn/parameter.js";
import { LORA_PARTS, type LoraPart } from "./lora-names.js";

/**
 * How strongly a LoRA is added: times the change that was learned. One number for all of it, or one for each network,
 * and of the UNet for each of its blocks, as diffusers' `set_adapters` takes them. What is not named has the scale 1; 0
 * changes nothing.
 *
 *     0.8
 *     { unet: 0.8, text_encoder: 0.5 }
 *     { unet: { down: 0.5, mid: 1, up: { block_1: 0.3, block_2: [0.4, 0.8, 1] } } }
 *
 * A list has a number for each layer of the block: a residual block and the attention behind it. A block's down- or
 * upsampler goes with the first. Layers outside of blocks, such as `conv_in`, have the scale 1.
 */
export type LoraScale = number | LoraPartScales;

/** One scale for each network, and of the UNet for each block. */
export interface LoraPartScales {
  unet?: number | LoraBlockScales;
  text_encoder?: number;
  text_encoder_2?: number;
}

/** One scale for each block of a UNet; blocks are counted as in `down_blocks.0`. */
export interface LoraBlockScales {
  down?: LoraSideScales;
  mid?: number;
  up?: LoraSideScales;
}

/** One scale for all blocks of a side, or one for each block, or one for each layer of a block. */
export type LoraSideScales = number | Readonly<Record<`block_${number}`, number | readonly number[]>>;

/**
 * Throws RangeError on a scale that is no finite number, or is for a network, a block or a number of layers that there
 * is not.
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
          `LoRA "${lora}": ${path} has ${list.length} scales; that block has ${count} layers. Give one or ${count}.`,
        );
      }
      for (const each of list) requireNumber(lora, path, each);
    }
  }
}

/** How many layers each block of each side has. */
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

/** Where in a UNet a parameter is; undefined outside of blocks. */
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
  return new RangeError(`LoRA "${lora}": a scale is given for ${path}, which is not there; there is ${names}.`);
}
