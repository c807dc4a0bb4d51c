import type * as tf from "@tensorflow/tfjs";
import { exifOrientation, upright } from "../orientation.js";
import { type PictureLimits, requirePictureSize } from "../picture-limits.js";
import { overWhite, type Pixels } from "../pixels.js";
import { notReadable, readChunks } from "./chunks.js";
import { parseHeader, type PngHeader } from "./header.js";
import { inflateExactly } from "./inflate.js";
import { rawSize, unpackSamples } from "./samples.js";

/**
 * A PNG file of any colour type and depth, interlaced or not, as [H, W, 3] in [0, 1]. Greys become colours, transparent
 * parts are laid over white, and the picture is turned as its EXIF data says. The stored samples are taken as sRGB:
 * `gAMA`, `cHRM`, `iCCP` and `bKGD` are not applied, as in diffusers and other programs that use Pillow. The caller
 * owns the result.
 *
 * @throws ImageError for a file that is damaged, or larger than `maxPixels`
 */
export async function decodePng(bytes: Uint8Array, limits: PictureLimits = {}): Promise<tf.Tensor3D> {
  return overWhite(await pngPixels(bytes, limits));
}

/**
 * The size in the header.
 *
 * @throws ImageError
 */
export function pngSize(bytes: Uint8Array): { width: number; height: number } {
  const [header] = readChunks(bytes);
  if (header?.type !== "IHDR") throw notReadable(NO_HEADER);
  const { width, height } = parseHeader(header.data);
  return { width, height };
}

/** @throws ImageError */
export async function pngPixels(bytes: Uint8Array, limits: PictureLimits): Promise<Pixels> {
  const { header, palette, transparency, exif, data } = parts(bytes, limits);
  const samples = unpackSamples(header, await inflateExactly(data, rawSize(header)));
  const pixels = header.hasPalette
    ? fromPalette(header, samples, palette, transparency)
    : fromSamples(header, samples, transparency);
  return exif ? upright(pixels, exifOrientation(exif)) : pixels;
}

const NO_HEADER = "it does not begin with one header, IHDR";

interface Parts {
  header: PngHeader;
  /** Red, green, blue of each colour. */
  palette: Uint8Array | undefined;
  transparency: Uint8Array | undefined;
  exif: Uint8Array | undefined;
  data: Uint8Array[];
}

function parts(bytes: Uint8Array, limits: PictureLimits): Parts {
  let header: PngHeader | undefined;
  const single = new Map<string, Uint8Array>();
  const data: Uint8Array[] = [];
  for (const chunk of readChunks(bytes)) {
    if ((header === undefined) !== (chunk.type === "IHDR")) throw notReadable(NO_HEADER);
    if (chunk.type === "IHDR") {
      header = parseHeader(chunk.data);
      requirePictureSize(header.width, header.height, limits);
    } else if (chunk.type === "IDAT") {
      data.push(chunk.data);
    } else if (SINGLE_CHUNKS.includes(chunk.type)) {
      if (single.has(chunk.type)) throw notReadable(`it has two ${chunk.type} chunks`);
      if (data.length > 0 && chunk.type !== "eXIf") throw notReadable(`its ${chunk.type} chunk comes after its pixels`);
      single.set(chunk.type, chunk.data);
    } else if (/^[A-Z]/.test(chunk.type)) {
      throw notReadable(`its chunk ${chunk.type} is required for decoding, and is unknown here`);
    }
  }
  if (!header) throw notReadable("it has no header");
  return {
    header,
    data,
    palette: single.get("PLTE"),
    transparency: single.get("tRNS"),
    exif: single.get("eXIf"),
  };
}

const SINGLE_CHUNKS: readonly string[] = ["PLTE", "tRNS", "eXIf"];

/** tRNS holds the alpha of the palette's first colours; the others are opaque. */
function fromPalette(
  { width, height }: PngHeader,
  samples: Uint8Array | Uint16Array,
  palette: Uint8Array | undefined,
  transparency: Uint8Array | undefined,
): Pixels {
  if (!palette || palette.length === 0 || palette.length % 3 !== 0 || palette.length > 3 * 256) {
    throw notReadable(`its palette has ${palette?.length ?? 0} bytes; expected three for each of at most 256 colours`);
  }
  const pixels = emptyPixels(width, height, transparency !== undefined);
  samples.forEach((place, i) => {
    if (place * 3 >= palette.length) {
      throw notReadable(`a pixel has colour ${place} of a palette of ${palette.length / 3}`);
    }
    for (let k = 0; k < 3; k++) pixels.colours[i * 3 + k] = palette[place * 3 + k]! / 255;
    if (pixels.alpha) pixels.alpha[i] = (transparency![place] ?? 255) / 255;
  });
  return pixels;
}

/** tRNS holds the one grey or colour that is transparent, as a sample; an alpha channel overrides it. */
function fromSamples(
  { width, height, channels, depth }: PngHeader,
  samples: Uint8Array | Uint16Array,
  transparency: Uint8Array | undefined,
): Pixels {
  const largest = 2 ** depth - 1;
  const hasAlpha = channels % 2 === 0;
  const colourCount = hasAlpha ? channels - 1 : channels;
  const key = hasAlpha ? undefined : transparency && keySamples(transparency, colourCount, largest);
  const pixels = emptyPixels(width, height, hasAlpha || key !== undefined);
  for (let i = 0; i < width * height; i++) {
    const at = i * channels;
    for (let k = 0; k < 3; k++) pixels.colours[i * 3 + k] = samples[at + (k % colourCount)]! / largest;
    if (key) pixels.alpha![i] = key.every((sample, k) => sample === samples[at + k]) ? 0 : 1;
    else if (hasAlpha) pixels.alpha![i] = samples[at + colourCount]! / largest;
  }
  return pixels;
}

/** Bits above the depth of the samples have no meaning (11.3.1.1). */
function keySamples(transparency: Uint8Array, count: number, largest: number): number[] {
  if (transparency.length !== 2 * count) {
    throw notReadable(`its transparent colour has ${transparency.length} bytes; expected ${2 * count}`);
  }
  return Array.from({ length: count }, (_, k) => ((transparency[2 * k]! << 8) | transparency[2 * k + 1]!) & largest);
}

function emptyPixels(width: number, height: number, hasAlpha: boolean): Pixels {
  const count = width * height;
  const pixels: Pixels = { width, height, colours: new Float32Array(count * 3) };
  return hasAlpha ? { ...pixels, alpha: new Float32Array(count) } : pixels;
}
