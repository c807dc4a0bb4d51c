/** Why a download failed, for code that wants to act on it. */
export type HubFailure =
  /** The name, the revision, the settings or the selection of files is not valid. */
  | "request"
  /** There is no such model, revision or file, or a token is needed to see it. */
  | "not-found"
  /** The token is missing or wrong, or does not allow reading this. */
  | "forbidden"
  /** Too many requests. */
  | "rate-limited"
  /** The hub itself failed. */
  | "server"
  /** The connection cannot be made, broke, or was silent for too long. */
  | "connection"
  /** The bytes received differ from the listing of the hub, in size or in hash. */
  | "damaged"
  /** The cache cannot be written: no space, no permission. */
  | "disk"
  /** HF_HUB_OFFLINE is set, and the cache does not have the files. */
  | "offline";

/** What an error says besides its message. */
interface HubErrorDetails extends ErrorOptions {
  /** Another attempt may succeed. */
  isTemporary?: boolean;
  /** How long the server asks to wait before it, in milliseconds. */
  retryAfter?: number;
}

/**
 * Thrown when a model cannot be downloaded by its name. The message names the address and says what to do; it never
 * contains the token.
 */
export class HubError extends Error {
  override name = "HubError";
  readonly isTemporary: boolean;
  readonly retryAfter: number | undefined;

  constructor(
    readonly failure: HubFailure,
    message: string,
    { isTemporary = false, retryAfter, ...options }: HubErrorDetails = {},
  ) {
    super(message, options);
    this.isTemporary = isTemporary;
    this.retryAfter = retryAfter;
  }
}
