/**
 * Thrown by a network's constructor when its config holds something that is unknown, contradictory or not implemented.
 */
export class ModelConfigError extends Error {
  override name = "ModelConfigError";
}

/** Thrown by a network's forward, before any work, when a tensor does not fit the network. */
export class ModelInputError extends Error {
  override name = "ModelInputError";
}
