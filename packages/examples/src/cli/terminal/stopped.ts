/** Thrown when the user stops a command. */
export class Stopped extends Error {
  override name = "Stopped";
}

/** Runs work that Ctrl-C stops by aborting its signal. A second Ctrl-C ends the program. */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = () => abort.abort(new Stopped());
  process.once("SIGINT", stop);
  try {
    return await work(abort.signal);
  } finally {
    process.off("SIGINT", stop);
  }
}
