/** Thrown when a file system is needed and there is none, as in a browser. */
export class PlatformError extends Error {
  override name = "PlatformError";
}
