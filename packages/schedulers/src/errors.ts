/** Thrown when a scheduler's config has a value that its method does not know or cannot work with. */
export class SchedulerConfigError extends Error {
  override name = "SchedulerConfigError";
}
