/**
 * Lets timers, signals and the page have their turn: a backend that answers at once never leaves the script.
 *
 * A browser gets a timer, not an animation frame, which would stop in a tab that nobody looks at.
 */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => (typeof setImmediate === "function" ? setImmediate(resolve) : setTimeout(resolve)));
}
