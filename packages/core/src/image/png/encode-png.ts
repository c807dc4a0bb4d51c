import * as tf from "@tensorflow/tfjs";
import { zlibSync } from "fflate";
import { ImageError } from "../image-error.js";
import { type Chunk, writeChunks } from "./chunks.js";
import { checkedTexts, textChunk } from "./png-texts.js";

/** The content of a PNG file besides the picture. */
export interface PngOptions {
  /**
   * Texts by name (up to 79 letters), for `tEXt` chunks. Only Latin-1 is allowed: write other text as JSON with
   * escapes. {@link pngTexts} reads them.
   */
  text?: Readonly<Record<string, string>>;
}

/** Colour types by the number of channels. */
const COLOUR_TYPE = new Map([
  [1, 0],
  [3, 2],
  [4, 6],
]);

/**
 * A picture [H, W, 1 | 3 | 4] in [0, 1] (values outside are clipped) as a PNG file with 8 bits per channel. Borrows the
 * tensor.
 *
 * @throws ImageError for a tensor that is not a picture, and for texts that cannot be written
 */
export async function encodePng(image: tf.Tensor, { text = {} }: PngOptions = {}): Promise<Uint8Array> {
  const [height, width, channels] = image.shape;
  if (image.rank !== 3 || !COLOUR_TYPE.has(channels!) || image.size === 0) {
    throw new ImageError(
      `encodePng: the tensor is [${image.shape.join(", ")}]; a picture is [height, width, 1, 3 or 4].`,
    );
  }
  const texts = Object.entries(checkedTexts(text)).map(([name, value]) => textChunk(name, value));
  const levels = tf.tidy(() => image.clipByValue(0, 1).mul(255).round());
  try {
    const rows = withFilters(await levels.data(), height, width! * channels!);
    return writeChunks([
      header(width!, height, COLOUR_TYPE.get(channels!)!),
      { type: "IDAT", data: zlibSync(rows, { level: 3 }) }, // From 0 to 9: fast rather than small.
      ...texts,
    ]);
  } finally {
    levels.dispose();
  }
}

/** Width, height, 8 bits, and no compression, filter method or interlacing other than the usual. */
function header(width: number, height: number, colourType: number): Chunk {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([8, colourType, 0, 0, 0], 8);
  return { type: "IHDR", data };
}

/** Each row after its filter byte: 0, no filter. */
function withFilters(levels: ArrayLike<number>, rows: number, rowBytes: number): Uint8Array {
  const bytes = new Uint8Array(rows * (1 + rowBytes));
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < rowBytes; i++) bytes[row * (1 + rowBytes) + 1 + i] = levels[row * rowBytes + i]!;
  }
  return bytes;
}
