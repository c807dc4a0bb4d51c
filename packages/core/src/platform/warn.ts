/**
 * Warns that something was done differently than requested: a prompt was cut, or a model was taken from the cache
 * because the hub cannot be reached. This is the only place where the library prints. Failures are thrown, and progress
 * goes to callbacks. To send warnings elsewhere, replace `console.warn`.
 */
export function warn(message: string): void {
  console.warn(message);
}
