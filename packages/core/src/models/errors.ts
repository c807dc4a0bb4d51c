/**
 * Thrown by a network's constructor for a config with unknown or contradictory values, or with features that no class
 * of this library has.
 */
export class ModelConfigError extends Error {
  override name = "ModelConfigError";
}

/** Thrown by a network's forward, before any work, when a tensor does not fit the network. */
export class ModelInputError extends Error {
  override name = "ModelInputError";
}
