/**
 * Thrown by a model's constructor when its config asks for something that is unknown, contradictory or not built here.
 */
export class ModelConfigError extends Error {
  override name = "ModelConfigError";
}

/** Thrown by a model's forward, before any work, when a tensor does not fit the model. */
export class ModelInputError extends Error {
  override name = "ModelInputError";
}
