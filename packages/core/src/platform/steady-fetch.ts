/** A connection that brings fewer bytes than this within {@link PATIENCE} is given up. */
export const LEAST_BYTES = 1024;

/** How long a server may be silent. Not readonly: tests are less patient. */
export const PATIENCE = { milliseconds: 10_000 };

const listeners = new Set<(bytes: number) => void>();

/** Calls a listener with the size of each part that {@link steadyBytes} reads; returns a function that ends this. */
export function onBytesReceived(listener: (bytes: number) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/**
 * Like `fetch`, for servers that may never answer.
 *
 * @throws Error "no answer in 10 seconds"; the errors of fetch
 */
export async function steadyFetch(url: URL | string, init: RequestInit = {}): Promise<Response> {
  const stop = new AbortController();
  const reason = new Error(`no answer in ${PATIENCE.milliseconds / 1000} seconds`);
  const timer = setTimeout(() => stop.abort(reason), PATIENCE.milliseconds);
  try {
    return await fetch(url, { ...init, signal: stop.signal });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The bytes of an answer, unless they come too slowly.
 *
 * @throws Error "only 12 bytes in 10 seconds"; the errors of the connection
 */
export async function steadyBytes(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let [since, gained] = [performance.now(), 0];
  for (;;) {
    const part = await orSilence(reader.read(), since + PATIENCE.milliseconds - performance.now());
    if (part === undefined) {
      const error = new Error(`only ${gained} bytes in ${PATIENCE.milliseconds / 1000} seconds`);
      await reader.cancel(error).catch(() => undefined);
      throw error;
    }
    if (part.done) return joined(parts);
    parts.push(part.value);
    for (const listener of listeners) listener(part.value.byteLength);
    gained += part.value.byteLength;
    if (gained >= LEAST_BYTES) [since, gained] = [performance.now(), 0];
  }
}

/** The value of a promise, or undefined after so many milliseconds. */
async function orSilence<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), milliseconds)));
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
