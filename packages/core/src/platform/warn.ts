/**
 * Reports what went on in another way than was asked for: a prompt that was cut, a model taken from the cache because
 * the hub cannot be reached. This is the only place where the library prints anything; what fails throws instead, and
 * progress is given to callbacks. Replace `console.warn` to send warnings elsewhere.
 */
export function warn(message: string): void {
  console.warn(message);
}
