/** Thrown for a scheduler's config with a key or a value that its method does not support. */
export class SchedulerConfigError extends Error {
  override name = "SchedulerConfigError";
}

/** A value in an error message; one that a program gives may be no JSON. */
export function shown(value: unknown): string {
  if (typeof value !== "string" && (typeof value !== "object" || value === null)) return String(value);
  try {
    return JSON.stringify(value).slice(0, 200);
  } catch {
    return "an object that is no JSON";
  }
}
