/** Thrown when a picture's bytes cannot be read, or a tensor cannot be a picture. */
export class ImageError extends Error {
  override name = "ImageError";
}
