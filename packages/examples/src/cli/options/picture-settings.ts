import { pngTexts } from "@tfjs-diffusion/core/image";
import type { PictureArguments } from "./picture-arguments.js";

/** The name that programs which draw give to a picture's settings. */
const SETTINGS = "parameters";

/** What a picture was drawn with besides what was asked for. */
export interface DrawnWith {
  prompt: string;
  seed: number;
  backend: string;
  /** Class of the sampler. */
  sampler: string;
  /** [H, W, 3] */
  shape: readonly [number, number, number];
}

/** The texts of a picture's PNG file: all that it takes to draw it again, as JSON. */
export function pictureTexts(args: PictureArguments, { prompt, shape, ...drawn }: DrawnWith): Record<string, string> {
  const {
    model,
    negative,
    steps,
    timesteps,
    sigmas,
    guidance,
    rescale,
    clipSkip,
    weighting,
    loras,
    words,
    control,
    open,
  } = args;
  const { image, strength, mask, maskBlur, outpaint, paste } = args;
  const settings = {
    model,
    ...open,
    prompt,
    negative,
    steps,
    timesteps,
    sigmas,
    guidance,
    rescale,
    ...drawn,
    height: shape[0],
    width: shape[1],
    clipSkip,
    weighting,
    loras,
    words,
    control,
    image,
    strength,
    mask,
    maskBlur,
    outpaint,
    paste,
  };
  return { [SETTINGS]: asciiJson(settings), Software: "tfjs-diffusion" };
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

/** JSON of letters that every PNG file can hold; what is undefined, an empty list or false is left out. */
function asciiJson(settings: object): string {
  const isSaid = (value: unknown) =>
    value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  const said = Object.fromEntries(Object.entries(settings).filter(([, value]) => isSaid(value)));
  const escaped = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(said).replace(/[^\x20-\x7e]/g, escaped);
}
