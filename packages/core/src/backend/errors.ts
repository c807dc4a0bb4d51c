/** The requested backend does not run here, or no backend does. */
export class BackendUnavailableError extends Error {
  override name = "BackendUnavailableError";
}
