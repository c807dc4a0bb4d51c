/** Thrown when something is used after `dispose()` or `close()`. Networks and pipelines throw MissingWeightsError. */
export class DisposedError extends Error {
  override name = "DisposedError";
}

/**
 * @param what the thing, which begins the message
 * @param remedy what to do, as a part of a sentence
 * @throws DisposedError if it was disposed of
 */
export function requireLive(isDisposed: boolean, what: string, remedy: string): void {
  if (isDisposed) throw new DisposedError(`${what}: it was disposed of; ${remedy}.`);
}
