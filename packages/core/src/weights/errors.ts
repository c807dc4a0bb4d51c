/** Thrown if a file is damaged, or is not what its name says. The message says what it probably is and what to do. */
export class WeightsFormatError extends Error {
  override name = "WeightsFormatError";
}

/** Thrown when the tensors of a file are not those of the network. Lists all differences. */
export class WeightsMismatchError extends Error {
  override name = "WeightsMismatchError";
}

/** Thrown when a file cannot be read: it is missing, reading is not allowed, or the connection failed. */
export class WeightsReadError extends Error {
  override name = "WeightsReadError";
}
