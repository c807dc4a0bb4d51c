/** Thrown when the user stops a command. */
export class Stopped extends Error {
  override name = "Stopped";
}

/** Work that Ctrl-C ends, by aborting its signal; pressed once more, Ctrl-C ends the program as ever. */
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
