import * as tf from "@tensorflow/tfjs";

/** A picture of 8 bits for each channel: `channels` bytes for each pixel, row by row. */
export interface BytePicture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** A part of a picture: columns from `left` up to `right`, rows from `top` up to `bottom`, both without their ends. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Pictures [B, H, W, C] in [0, 1], rounded to 8 bits. */
export async function toBytes(pictures: tf.Tensor4D): Promise<BytePicture[]> {
  const [batch, height, width, channels] = pictures.shape;
  const values = await pictures.data();
  const size = height * width * channels;
  return Array.from({ length: batch }, (_, b) => {
    const data = Uint8ClampedArray.from(values.subarray(b * size, (b + 1) * size), (value) => Math.round(value * 255));
    return { width, height, channels, data: new Uint8Array(data.buffer) };
  });
}

/** Pictures of one size as [B, H, W, C] in [0, 1]; the caller owns the result. */
export function fromBytePictures(pictures: readonly BytePicture[]): tf.Tensor4D {
  const { width, height, channels } = pictures[0]!;
  const size = height * width * channels;
  const values = new Float32Array(pictures.length * size);
  for (const [b, { data }] of pictures.entries()) data.forEach((byte, i) => (values[b * size + i] = byte / 255));
  return tf.tensor4d(values, [pictures.length, height, width, channels]);
}

/** A black picture. */
export function black(width: number, height: number, channels: number): BytePicture {
  return { width, height, channels, data: new Uint8Array(width * height * channels) };
}

/** The part of a picture that lies in a region, which must be inside it. */
export function cropped(picture: BytePicture, { left, top, right, bottom }: Region): BytePicture {
  const part = black(right - left, bottom - top, picture.channels);
  paste(part, picture, -left, -top);
  return part;
}

/** Writes `patch` into `picture` with its upper left corner at (left, top); what lies outside `picture` is left out. */
export function paste(picture: BytePicture, patch: BytePicture, left: number, top: number): void {
  const { width, height, channels, data } = picture;
  const from = Math.max(left, 0);
  const to = Math.min(left + patch.width, width);
  if (from >= to) return;
  for (let y = Math.max(top, 0); y < Math.min(top + patch.height, height); y++) {
    const begin = ((y - top) * patch.width + from - left) * channels;
    const line = patch.data.subarray(begin, begin + (to - from) * channels);
    data.set(line, (y * width + from) * channels);
  }
}
