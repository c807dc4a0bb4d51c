/**
 * Yields to the event loop, so that timers, signals and the page can run. A synchronous backend would otherwise never
 * return to it.
 *
 * Browsers use a timer, because animation frames stop in hidden tabs.
 */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => (typeof setImmediate === "function" ? setImmediate(resolve) : setTimeout(resolve)));
}
