import { createAvatar } from "@dicebear/core";
import * as pixelArt from "@dicebear/pixel-art";

/** The artwork's grid: every part is a set of cells of 16 x 16. */
export const GRID = 16;

/**
 * One part of the artwork in one colour: straight (not premultiplied) RGBA, 16 * 16 * 4 numbers, rgb in 0..255, alpha
 * in 0..1.
 */
export type Layer = Float32Array;

type Part = "hair" | "hat" | "beard" | "glasses" | "clothing" | "eyes" | "mouth";

const NOTHING = {
  hair: [],
  hat: [],
  beard: [],
  glasses: [],
  clothing: [],
  eyes: [],
  mouth: [],
  hairProbability: 100,
  hatProbability: 100,
  beardProbability: 100,
  glassesProbability: 100,
  accessoriesProbability: 0,
};

/** The number of paths that draw the head, neck and shoulders, before any part. */
const BODY_PATHS = 2;

const layers = new Map<string, Layer>();

/** The bare head, neck and shoulders in a skin colour (rrggbb). The result is shared: do not write to it. */
export function bodyLayer(color: string): Layer {
  return cached(`body ${color}`, () => rasterise(readPaths({ skinColor: [color] })));
}

/**
 * One part of `@dicebear/pixel-art`, such as ("hair", "long09", "d2561e"). `replace` edits the drawing's colours,
 * from and to `fill` attributes as they stand in the SVG. The result is shared: do not write to it.
 */
export function partLayer(part: Part, variant: string, color: string, replace?: { fill: string; by: string }): Layer {
  return cached(`${part} ${variant} ${color} ${replace?.by}`, () => {
    const paths = readPaths({ [part]: [variant], [`${part === "beard" ? "hair" : part}Color`]: [color] });
    if (paths.length <= BODY_PATHS) throw new Error(`@dicebear/pixel-art has no ${part} "${variant}".`);
    const drawn = paths.slice(BODY_PATHS);
    return rasterise(
      replace
        ? drawn.map((path) => (path.fill === replace.fill ? { ...path, fill: replace.by, opacity: 1 } : path))
        : drawn,
    );
  });
}

function cached(key: string, make: () => Layer): Layer {
  let layer = layers.get(key);
  if (!layer) layers.set(key, (layer = make()));
  return layer;
}

interface Path {
  readonly d: string;
  /** "#rgb" or "#rrggbb". */
  readonly fill: string;
  readonly opacity: number;
  readonly evenOdd: boolean;
}

/**
 * The paths of an avatar in drawing order.
 *
 * Beards are drawn by the artwork through a luminance mask that is filled with the hair colour, so a dark beard
 * nearly vanishes. Here the mask's own shape, opaque in the hair colour, is the beard, and what it masks is skipped.
 */
function readPaths(options: Record<string, unknown>): Path[] {
  const svg = createAvatar(pixelArt, { ...NOTHING, ...options }).toString();
  const paths: Path[] = [];
  const groups: Record<string, string>[] = [];
  for (const [, closing, tag, text] of svg.matchAll(/<(\/?)(path|g|mask)\b([^>]*)>/g)) {
    if (closing) groups.pop();
    else {
      const own: Record<string, string> = Object.fromEntries(
        Array.from(text!.matchAll(/([\w-]+)="([^"]*)"/g), ([, name, value]) => [name!, value!]),
      );
      const inherited = { ...groups.at(-1), ...own };
      if (tag !== "path")
        groups.push(tag === "g" && own.mask?.includes("beard") ? { ...inherited, hidden: "yes" } : inherited);
      else if (!inherited.hidden) {
        paths.push({
          d: inherited.d!,
          fill: inherited.fill!,
          opacity: Number(own["fill-opacity"] ?? 1),
          evenOdd: inherited["fill-rule"] === "evenodd",
        });
      }
    }
  }
  return paths;
}

function rasterise(paths: readonly Path[]): Layer {
  const layer = new Float32Array(GRID * GRID * 4);
  for (const { d, fill, opacity, evenOdd } of paths) {
    const edges = verticalEdges(d);
    const color = parseColor(fill);
    for (let cell = 0; cell < GRID * GRID; cell++) {
      const winding = windingAt(edges, (cell % GRID) + 0.5, Math.floor(cell / GRID) + 0.5);
      if (evenOdd ? winding.crossings % 2 === 1 : winding.sum !== 0) paint(layer, cell * 4, color, opacity);
    }
  }
  return layer;
}

/** "Source over" for straight colours. */
function paint(layer: Layer, at: number, color: readonly number[], opacity: number): void {
  const below = layer[at + 3]! * (1 - opacity);
  const alpha = opacity + below;
  for (let k = 0; k < 3; k++) layer[at + k] = (color[k]! * opacity + layer[at + k]! * below) / alpha;
  layer[at + 3] = alpha;
}

/** [red, green, blue] in 0..255 of "#rgb", "#rrggbb" or "rrggbb". */
export function parseColor(text: string): [number, number, number] {
  const hex = text.replace("#", "");
  const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
  if (!/^[0-9a-f]{6}$/i.test(full))
    throw new Error(`Colour ${JSON.stringify(text)} is not a colour of the form rrggbb.`);
  return [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16)) as [number, number, number];
}

interface VerticalEdge {
  readonly x: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The vertical edges of an SVG path made of moves, horizontal and vertical lines, which is all that the artwork uses.
 */
function verticalEdges(d: string): VerticalEdge[] {
  const edges: VerticalEdge[] = [];
  let [x, y, startX, startY] = [0, 0, 0, 0];
  const lineTo = (newX: number, newY: number) => {
    if (newY !== y) edges.push({ x, from: y, to: newY });
    [x, y] = [newX, newY];
  };
  for (const [, command, text] of d.matchAll(/([a-z])([^a-z]*)/gi)) {
    const [a = 0, b = 0] = [...text!.matchAll(/-?[\d.]+/g)].map(Number);
    if (command === "M" || command === "m") {
      [x, y] = command === "M" ? [a, b] : [x + a, y + b];
      [startX, startY] = [x, y];
    } else if (command === "H") lineTo(a, y);
    else if (command === "h") lineTo(x + a, y);
    else if (command === "V") lineTo(x, a);
    else if (command === "v") lineTo(x, y + a);
    else if (command === "Z" || command === "z") lineTo(startX, startY);
    else throw new Error(`Path command "${command}" in "${d}" is not one of M, H, V and Z.`);
  }
  return edges;
}

/** How the outline winds around a point: crossings of a ray to the right, and their signed sum. */
function windingAt(edges: readonly VerticalEdge[], x: number, y: number): { crossings: number; sum: number } {
  const crossed = edges.filter(
    (edge) => edge.x > x && Math.min(edge.from, edge.to) < y && y < Math.max(edge.from, edge.to),
  );
  return { crossings: crossed.length, sum: crossed.reduce((sum, { from, to }) => sum + Math.sign(to - from), 0) };
}
