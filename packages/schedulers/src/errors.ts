/** Thrown for a scheduler's config with a key or a value that its method does not support. */
export class SchedulerConfigError extends Error {
  override name = "SchedulerConfigError";
}
