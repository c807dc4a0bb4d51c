import * as tf from "@tensorflow/tfjs";
import { decode, encode } from "fast-png";

/** Thrown when a picture's bytes cannot be read, or a tensor cannot be a picture. */
export class ImageError extends Error {
  override name = "ImageError";
}

/** A picture [H, W, 1 | 3 | 4] in [0, 1] (values outside are clipped) as a PNG file of 8 bits a channel. Borrows the tensor. */
export async function encodePng(image: tf.Tensor): Promise<Uint8Array> {
  const [height, width, channels] = image.shape;
  if (image.rank !== 3 || ![1, 3, 4].includes(channels!) || image.size === 0) {
    throw new ImageError(
      `encodePng: the tensor is [${image.shape.join(", ")}]; a picture is [height, width, 1, 3 or 4].`,
    );
  }
  const bytes = tf.tidy(() => image.clipByValue(0, 1).mul(255).round());
  try {
    const data = Uint8Array.from(await bytes.data());
    return encode({ width: width!, height: height, channels: channels, data });
  } finally {
    bytes.dispose();
  }
}

/** A PNG file as [H, W, 3] in [0, 1]: greys become colours, transparent parts are laid over white. The caller owns the result. */
export async function decodePng(bytes: Uint8Array): Promise<tf.Tensor3D> {
  let png: ReturnType<typeof decode>;
  try {
    png = decode(bytes);
  } catch (error) {
    throw new ImageError(`decodePng: this is not a readable PNG file (${(error as Error).message}).`, { cause: error });
  }
  const { width, height, channels, depth, palette, data } = png;
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
