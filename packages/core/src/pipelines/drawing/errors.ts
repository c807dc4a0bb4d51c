/** Thrown in place of a black picture: the numbers of a drawing became NaN or infinite. */
export class NonFiniteResultError extends Error {
  override name = "NonFiniteResultError";
  constructor(
    message: string,
    /** The step that it was found in, from 0; undefined after the last step. */
    readonly step: number | undefined,
  ) {
    super(message);
  }
}
