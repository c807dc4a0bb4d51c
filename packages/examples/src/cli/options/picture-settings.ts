import { pngTexts } from "@tfjs-diffusion/core/image";
import type { PictureArguments } from "./picture-arguments.js";
import { flagOf, type TableValues } from "./table-options.js";

/** The name that programs which draw give to a picture's settings. */
const SETTINGS = "parameters";

/** The settings of a picture besides the arguments. */
export interface DrawnWith {
  prompt?: string;
  /** The options of its pipeline. */
  options: TableValues;
  seed: number;
  backend: string;
  /** Class of the sampler. */
  sampler: string;
  /** [H, W, C] */
  shape: readonly number[];
}

/**
 * The texts of a picture's PNG file: everything that is needed to draw it again, as JSON, named as on a command line.
 */
export function pictureTexts(args: PictureArguments, drawn: DrawnWith): Record<string, string> {
  const { model, open, loras, words, control, adapter, ipAdapter, image, mask, outpaint, paste } = args;
  const { prompt, options, seed, backend, sampler, shape } = drawn;
  const flags = Object.entries(options).map(([option, value]) => [camelCase(flagOf(option) ?? option), value]);
  const [height, width] = shape;
  const settings = {
    model,
    ...open,
    prompt,
    ...(Object.fromEntries(flags) as object),
    seed,
    backend,
    sampler,
    height,
    width,
    loras,
    words,
    control,
    adapter,
    ipAdapter,
    image,
    mask,
    outpaint,
    paste,
  };
  return { [SETTINGS]: asciiJson(settings), Software: "tfjs-diffusion" };
}

/** `--mask-blur` as maskBlur. */
function camelCase(flag: string): string {
  return flag.replace(/^--/, "").replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The settings in a picture's file, as they are stored; undefined if there are none. */
export function settingsOf(png: Uint8Array): string | undefined {
  return pngTexts(png)[SETTINGS];
}

/** Settings with one line for each, if this program wrote them; another program's settings unchanged. */
export function readableSettings(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** JSON in letters that every PNG file can hold, without values that are undefined, false or an empty list. */
function asciiJson(settings: object): string {
  const isGiven = (value: unknown) =>
    value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => isGiven(value)));
  const escaped = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(given).replace(/[^\x20-\x7e]/g, escaped);
}
