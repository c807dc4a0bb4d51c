/** Thrown for what a platform cannot do, such as files in a browser, or reading at once on WebGPU in Node. */
export class PlatformError extends Error {
  override name = "PlatformError";
}
