import * as tf from "@tensorflow/tfjs";
import { decode, encode } from "fast-png";

/** Thrown when a picture's bytes cannot be read, or a tensor cannot be a picture. */
export class ImageError extends Error {
  override name = "ImageError";
}

/** What goes into a PNG file besides the picture. */
export interface PngOptions {
  /**
   * Texts by name (up to 79 letters), as in `tEXt` chunks: of Latin-1, so write others as JSON with escapes.
   * {@link pngTexts} reads them.
   */
  text?: Readonly<Record<string, string>>;
}

/**
 * A picture [H, W, 1 | 3 | 4] in [0, 1] (values outside are clipped) as a PNG file of 8 bits a channel. Borrows the
 * tensor.
 *
 * @throws ImageError for a tensor that is no picture, and texts that cannot be written
 */
export async function encodePng(image: tf.Tensor, { text }: PngOptions = {}): Promise<Uint8Array> {
  const [height, width, channels] = image.shape;
  if (image.rank !== 3 || ![1, 3, 4].includes(channels!) || image.size === 0) {
    throw new ImageError(
      `encodePng: the tensor is [${image.shape.join(", ")}]; a picture is [height, width, 1, 3 or 4].`,
    );
  }
  const bytes = tf.tidy(() => image.clipByValue(0, 1).mul(255).round());
  try {
    const data = Uint8Array.from(await bytes.data());
    return encode({ width: width!, height: height, channels: channels, data, text: text && checkedTexts(text) });
  } finally {
    bytes.dispose();
  }
}

function checkedTexts(texts: Readonly<Record<string, string>>): Record<string, string> {
  for (const [name, text] of Object.entries(texts)) {
    const isName = /^[\x20-\x7e\xa1-\xff]{1,79}$/.test(name) && !/^ | $| {2}/.test(name);
    // eslint-disable-next-line no-control-regex
    if (isName && /^[\x01-\xff]*$/.test(text)) continue;
    throw new ImageError(
      `encodePng: the text ${JSON.stringify(name)} cannot be written; PNG takes Latin-1, and names of 1 to 79 letters.`,
    );
  }
  return { ...texts };
}

/**
 * The texts in a PNG file, by their names.
 *
 * @throws ImageError
 */
export function pngTexts(bytes: Uint8Array): Record<string, string> {
  return decoded("pngTexts", bytes).text;
}

function decoded(caller: string, bytes: Uint8Array): ReturnType<typeof decode> {
  try {
    return decode(bytes);
  } catch (error) {
    throw new ImageError(`${caller}: this is not a readable PNG file (${(error as Error).message}).`, { cause: error });
  }
}

/**
 * A PNG file as [H, W, 3] in [0, 1]: greys become colours, transparent parts are laid over white. The caller owns the
 * result.
 */
export async function decodePng(bytes: Uint8Array): Promise<tf.Tensor3D> {
  const { width, height, channels, depth, palette, data } = decoded("decodePng", bytes);
  const rgb = new Float32Array(width * height * 3);
  const largest = 2 ** depth - 1;
  for (let pixel = 0; pixel < width * height; pixel++) {
    const sample = (channel: number) =>
      palette ? palette[data[pixel]!]![channel]! / 255 : data[pixel * channels + channel]! / largest;
    const isGrey = !palette && channels < 3;
    const alpha = palette ? (palette[data[pixel]!]![3] ?? 255) / 255 : channels % 2 === 0 ? sample(channels - 1) : 1;
    for (let k = 0; k < 3; k++) rgb[pixel * 3 + k] = 1 - alpha + alpha * sample(isGrey ? 0 : k);
  }
  return tf.tensor3d(rgb, [height, width, 3]);
}
