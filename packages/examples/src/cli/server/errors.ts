/** The reason of an aborted drawing whose client has gone. */
export class ClientGone extends Error {
  override name = "ClientGone";
}

/** An answer other than 2xx: what is wrong with a request, or why the server cannot serve it now. */
export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    /** The HTTP status. */
    readonly status: number,
    message: string,
    readonly details: {
      /** The parameter that is wrong. */
      param?: string;
      /** A short name for programs, such as "model_not_found". */
      code?: string;
      /** When to try again, in seconds. */
      retryAfter?: number;
    } = {},
  ) {
    super(message);
  }
}
