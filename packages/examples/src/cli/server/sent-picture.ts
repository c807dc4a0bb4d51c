import { ImageError } from "@tfjs-diffusion/core";
import { pictureSize } from "@tfjs-diffusion/core/image";
import { ApiError } from "./errors.js";

/** Redrawn share of a picture where a client gives none; AUTOMATIC1111's. */
export const STRENGTH = 0.75;
/** The file of a text in base64, which may be a data URL. */
export function pictureIn(param: string, text: string, sentPixels: number): string {
  const base64 = text.replace(/^data:image\/\w+;base64,/, "");
  if (!/^[A-Za-z0-9+/\s]+=*\s*$/.test(base64)) {
    throw new ApiError(422, `${param}: expected a picture in base64. URLs and paths are not read.`, { param });
  }
  requirePicture(param, Buffer.from(base64, "base64"), sentPixels);
  return base64;
}

/** @throws ApiError for what is no picture, and for one that is too large; its pixels are not unpacked here */
export function requirePicture(param: string, bytes: Uint8Array, mostPixels: number): void {
  try {
    const { width, height } = pictureSize(bytes);
    if (width * height <= mostPixels && width * height > 0) return;
    throw new ImageError(`the picture is ${width}x${height}; at most ${mostPixels} pixels are read.`);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ApiError(400, `Invalid picture in '${param}': ${error.message}`, { param, code: "invalid_image_file" });
  }
}
