import { SchedulerConfigError, shown } from "./errors.js";
import type { PlanRequest } from "./scheduler.js";

/** How {@link spacedTimesteps} distributes the steps over the trained timesteps. */
export type TimestepSpacing = "leading" | "trailing" | "linspace";

/**
 * Which of the T trained timesteps to visit in n steps, from the noisiest (Lin et al. 2024, table 2): "leading" counts
 * whole strides from 0 and adds `offset`, "trailing" counts them back from T, "linspace" spreads them from T - 1 to 0.
 *
 * @param round rounds the timesteps of "linspace"
 */
export function spacedTimesteps(
  spacing: TimestepSpacing,
  n: number,
  T: number,
  offset: number,
  round: (t: number) => number = roundHalfEven,
): number[] {
  const range = Array.from({ length: n }, (_, i) => i);
  switch (spacing) {
    case "leading":
      return range.map((i) => (n - 1 - i) * Math.floor(T / n) + offset);
    case "trailing":
      return range.map((i) => roundHalfEven(T - i * (T / n)) - 1);
    case "linspace":
      return range.map((i) => (n === 1 ? 0 : round(((n - 1 - i) * (T - 1)) / (n - 1))));
    default:
      throw new SchedulerConfigError(
        `timestep_spacing ${shown(spacing)} is unknown; it must be one of leading, trailing, linspace.`,
      );
  }
}

/** @throws RangeError unless n is a whole number from 1 to T */
export function requireStepCount(n: unknown, T: number): asserts n is number {
  if (typeof n !== "number" || !Number.isInteger(n) || n < 1 || n > T) {
    throw new RangeError(
      `plan(${shown(n)}): the number of steps must be a whole number from 1 to ${T}, the number of training timesteps. ` +
        "Fewer steps are faster, more steps are more accurate; 20 to 50 are usual.",
    );
  }
}

/** @throws RangeError unless the timesteps are whole numbers from T - 1 to 0, in descending order */
export function requireTimesteps(timesteps: readonly number[], T: number): void {
  const bad = timesteps.findIndex(
    (t, i) => !Number.isInteger(t) || t < 0 || t >= T || (i > 0 && t >= timesteps[i - 1]!),
  );
  if (timesteps.length === 0 || bad >= 0) {
    throw new RangeError(
      `plan({ timesteps }): ${timesteps.length === 0 ? "the list is empty" : `entry ${bad} is ${timesteps[bad]}`}; ` +
        `give whole numbers from ${T - 1} down to 0, each smaller than the one before.`,
    );
  }
}

/** @throws RangeError if steps_offset moves the spaced timesteps beyond the trained ones */
export function requireWithin(spaced: readonly number[], T: number, offset: number): void {
  if (spaced[0]! > T - 1) {
    throw new RangeError(
      `plan(${spaced.length}): with steps_offset ${offset} the first timestep is ${spaced[0]}, and the noisiest trained one is ${T - 1}. ` +
        "Plan fewer steps, or lower steps_offset.",
    );
  }
}

/** Rounds halves to the even neighbour, as numpy does. */
export function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/**
 * Checks that a request has exactly one of the allowed entries.
 * @throws RangeError otherwise
 */
export function requireRequest(
  request: PlanRequest,
  ...allowed: readonly ("steps" | "timesteps" | "sigmas")[]
): Request {
  const given = typeof request === "object" && request !== null ? request : { steps: request };
  const named = Object.keys(given) as (keyof typeof given)[];
  const known: readonly string[] = ["steps", "timesteps", "sigmas"];
  if (named.length === 1 && known.includes(named[0]!) && !allowed.includes(named[0]!)) {
    throw new RangeError(
      `plan: this sampler does not take ${named[0]}, only ${allowed.join(" or ")}. ` +
        `Give ${allowed.length === 1 ? "that" : "one of them"}, or use another sampler, such as EulerDiscreteScheduler.`,
    );
  }
  if (named.length !== 1 || !allowed.includes(named[0]!)) {
    throw new RangeError(
      `plan: the request has ${named.join(" and ") || "nothing"}; give exactly one of ${allowed.join(", ")}` +
        `${allowed.includes("steps") ? " (steps as a plain number: plan(20))" : ""}.`,
    );
  }
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, plainList(name, value)]));
}

/** A number as it is; a list or typed array as a list. */
function plainList(name: string, value: unknown): unknown {
  if (name === "steps") return value;
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && "length" in value) return Array.from(value as Float64Array);
  throw new RangeError(`plan({ ${name} }): ${String(value)} is no list; give a list of numbers, or a typed array.`);
}

interface Request {
  readonly steps?: number;
  readonly timesteps?: readonly number[];
  readonly sigmas?: readonly number[];
}

/**
 * @throws RangeError unless the noise levels are finite, descending, and above 0 except for the last, which may equal
 * the one before it
 */
export function requireSigmas(sigmas: readonly number[]): void {
  const last = sigmas.length - 1;
  const bad = sigmas.findIndex(
    (sigma, i) =>
      !Number.isFinite(sigma) ||
      sigma < 0 ||
      (i < last && sigma === 0) ||
      sigma > (sigmas[i - 1] ?? Infinity) ||
      (i < last && sigma === sigmas[i - 1]),
  );
  if (sigmas.length < 2 || bad >= 0) {
    throw new RangeError(
      `plan({ sigmas }): ${bad < 0 ? `${sigmas.length} noise levels are too few` : `entry ${bad} is ${sigmas[bad]}`}; ` +
        "give two or more in descending order, the last usually 0.",
    );
  }
}
