/** One scale for each block of a UNet, numbered as in `down_blocks.0`. */
export interface BlockScales {
  down?: SideScales;
  mid?: number | readonly [number];
  up?: SideScales;
}

/** One scale for all blocks of the way down or up, for each block, or for each layer of a block. */
export type SideScales = number | Readonly<Record<`block_${number}`, number | readonly number[]>>;

/**
 * @param of the beginning of the errors, such as `LoRA "style": `
 * @param prefix the beginning of the paths in them, such as "unet."
 * @param names parameters or layers of the UNet; a block has as many layers as their names count
 * @throws RangeError for a scale that is not a finite number, or for a block or a layer that does not exist
 */
export function requireBlockScales(of: string, prefix: string, scales: object, names: readonly string[]): void {
  const layers = layersOfBlocks(names);
  for (const [side, own] of Object.entries(scales)) {
    if (!["down", "mid", "up"].includes(side)) throw wrongKey(of, `${prefix}${side}`, ["down", "mid", "up"]);
    if (side === "mid") {
      const list: unknown[] = [own].flat();
      requireNumber(of, `${prefix}mid`, list.length === 1 ? list[0] : own);
      continue;
    }
    if (typeof own !== "object" || own === null) {
      requireNumber(of, `${prefix}${side}`, own);
      continue;
    }
    const blocks = layers.get(side) ?? [];
    for (const [key, value] of Object.entries(own as object)) {
      const path = `${prefix}${side}.${key}`;
      const count = blocks[Number(/^block_(\d+)$/.exec(key)?.[1])];
      if (count === undefined)
        throw wrongKey(
          of,
          path,
          Object.keys(blocks).map((i) => `block_${i}`),
        );
      const list: unknown[] = [value].flat();
      if (list.length !== 1 && list.length !== count) {
        throw new RangeError(
          `${of}${path} has ${list.length} scales, but the block has ${count} layers. Give one or ${count}.`,
        );
      }
      for (const each of list) requireNumber(of, path, each);
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

/** The position of a parameter or a layer in a UNet; undefined outside of blocks. */
function placeOf(name: string): { side: string; block: number; layer: number } | undefined {
  if (name.startsWith("mid_block.")) return { side: "mid", block: 0, layer: 0 };
  const [, side, block, layer] = /^(down|up)_blocks\.(\d+)\.\w+\.(\d+)\./.exec(name) ?? [];
  return side === undefined ? undefined : { side, block: Number(block), layer: Number(layer) };
}

/** The scale of a parameter or a layer of a UNet; `fallback` where none is given. */
export function blockScale(scales: BlockScales, name: string, fallback: number): number {
  const place = placeOf(name);
  const side = place && scales[place.side as keyof BlockScales];
  if (side === undefined) return fallback;
  if (typeof side === "number") return side;
  const block = isList(side) ? side : (side[`block_${place!.block}`] ?? fallback);
  return isList(block) ? (block[place!.layer] ?? block[0]!) : block;
}

function isList(value: unknown): value is readonly number[] {
  return Array.isArray(value);
}

/** @throws RangeError unless the scale is a finite number; `path` is "" for the only one */
export function requireNumber(of: string, path: string, scale: unknown): void {
  if (typeof scale === "number" && Number.isFinite(scale)) return;
  const what = path === "" ? "the scale" : `the scale of ${path}`;
  throw new RangeError(`${of}${what} is ${String(scale)}; give a finite number.`);
}

export function wrongKey(of: string, path: string, known: readonly string[]): RangeError {
  const names = known.length > 0 ? `one of ${known.join(", ")}` : "none";
  return new RangeError(`${of}a scale is given for ${path}, which does not exist; give ${names}.`);
}
