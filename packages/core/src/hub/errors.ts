/** Why a download failed, for code that wants to act on it. */
export type HubFailure =
  /** The name, the revision, the settings or the wish for files make no sense. */
  | "request"
  /** There is no such model, revision or file, or it is hidden from who has no token. */
  | "not-found"
  /** The token is missing, wrong, or not allowed to read this. */
  | "forbidden"
  /** Too many requests. */
  | "rate-limited"
  /** The hub itself fails. */
  | "server"
  /** The connection cannot be made, breaks or stands still. */
  | "connection"
  /** What came is not what the hub announced, by size or by hash. */
  | "damaged"
  /** The cache cannot be written: no space, no permission. */
  | "disk"
  /** HF_HUB_OFFLINE is set, and the cache does not hold what was asked for. */
  | "offline";

/** What is known besides the message. */
interface HubErrorDetails extends ErrorOptions {
  /** Another attempt may succeed. */
  isTemporary?: boolean;
  /** How long the server wants to be left alone before that, in milliseconds. */
  retryAfter?: number;
}

/**
 * Thrown when a model cannot be had by its name; the message names the address and says what to do. Never holds the
 * token.
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
