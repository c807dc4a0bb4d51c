/**
 * Whether a value is a promise, from a function that must be synchronous. Its rejection is then handled: otherwise it
 * would end the process, past the error that the caller gets for the promise.
 */
export function isRefusedPromise(value: unknown): boolean {
  if (typeof (value as PromiseLike<unknown> | undefined)?.then !== "function") return false;
  (value as PromiseLike<unknown>).then(undefined, () => undefined);
  return true;
}

/** @throws TypeError for the promise of an asynchronous `onTruncate`: encoding is synchronous and cannot wait */
export function requireSynchronous(returned: unknown): void {
  if (!isRefusedPromise(returned)) return;
  throw new TypeError(
    "onTruncate returned a promise; it must not be asynchronous, because encoding cannot wait for it.",
  );
}
