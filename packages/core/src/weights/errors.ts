/**
 * Thrown for a file that is not what its name says, or is damaged; the message says what it seems to be and what to do.
 */
export class WeightsFormatError extends Error {
  override name = "WeightsFormatError";
}

/** Thrown when a file's tensors are not those of the network they should fill; lists all that differ. */
export class WeightsMismatchError extends Error {
  override name = "WeightsMismatchError";
}

/** Thrown when a file's bytes cannot be had: it is not there, may not be read, or the connection failed. */
export class WeightsReadError extends Error {
  override name = "WeightsReadError";
}
