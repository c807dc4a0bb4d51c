import { LEAST_BYTES } from "../platform/steady-fetch.js";
import { HubError } from "./errors.js";
import type { HubSettings } from "./settings.js";

/** Status codes after which a request is repeated later. */
const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);
/** A longer wait than this many milliseconds becomes an error. */
const LONGEST_WAIT = 60_000;
const MOST_REDIRECTS = 8;

/** Options of a request. */
export interface RequestOptions {
  /** The first byte to request, to get the rest of a file. */
  from?: number;
  signal?: AbortSignal;
}

/**
 * Requests an address once and passes the response to `read`. The token is sent only to the hub's own origin, even if
 * the hub redirects. `read` must take the bytes from `body`, which throws when no bytes arrive for `settings.timeout`
 * milliseconds, or fewer than {@link LEAST_BYTES}.
 *
 * @throws HubError for any status but 2xx, and for a broken or silent connection; the signal's reason when it is
 *   aborted
 */
export async function request<T>(
  address: string,
  settings: HubSettings,
  { from = 0, signal }: RequestOptions,
  read: (response: Response, body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const abort = () => stop.abort(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const silence = () => stop.abort(new Error(`no bytes for ${settings.timeout / 1000} seconds`));
  let timer = setTimeout(silence, settings.timeout);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(silence, settings.timeout);
  };
  /** Turns an error of the network into a HubError. */
  const failed = (error: unknown): never => {
    signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    const { message, cause } = error as { message: string; cause?: { message?: string } };
    const reason = `${cause?.message || message}`;
    throw new HubError(
      "connection",
      `${shown(address)}: the connection failed (${reason}). Check the network and HF_ENDPOINT, and start again: the bytes received are kept.`,
      { isTemporary: true },
    );
  };
  async function* body(response: Response): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    let [waited, gained] = [0, 0];
    for (;;) {
      const since = performance.now();
      const { done, value } = await reader.read().catch(failed);
      if (done) return;
      heard();
      waited += performance.now() - since;
      gained += value.byteLength;
      if (gained >= LEAST_BYTES) waited = gained = 0;
      else if (waited > settings.timeout)
        failed(new Error(`only ${gained} bytes in ${(waited / 1000).toFixed(1)} seconds`));
      yield value;
      heard();
    }
  }
  try {
    const response = await follow(address, settings, from, stop.signal).catch(failed);
    heard();
    if (!response.ok) throw refusal(response, address, settings);
    return await read(response, body(response));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    stop.abort(); // Stops a response that was not read to its end.
  }
}

/** Follows redirects by hand, so that the token is never sent to another origin. */
async function follow(address: string, settings: HubSettings, from: number, signal: AbortSignal): Promise<Response> {
  const origin = new URL(settings.endpoint).origin;
  let url = new URL(address);
  for (let i = 0; i <= MOST_REDIRECTS; i++) {
    // Sizes and byte ranges are of the uncompressed file.
    const headers = new Headers({ "accept-encoding": "identity" });
    if (from > 0) headers.set("range", `bytes=${from}-`);
    if (settings.token && url.origin === origin) headers.set("authorization", `Bearer ${settings.token}`);
    const response = await fetch(url, { headers, signal, redirect: "manual" });
    const location = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
    await response.body?.cancel();
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    const isAllowed = next?.protocol === "https:" || (next?.protocol === "http:" && url.protocol === "http:");
    if (!isAllowed) {
      throw new HubError(
        "server",
        `${shown(address)}: the hub redirects to an address that is not allowed${next ? ` (${next.protocol}//${next.host})` : ""}. Check HF_ENDPOINT.`,
      );
    }
    url = next!;
  }
  throw new HubError("server", `${shown(address)}: more than ${MOST_REDIRECTS} redirects. Check HF_ENDPOINT.`);
}

/** An address for messages, without its query, which may be secret or long. */
export function shown(address: string): string {
  const url = new URL(address);
  return url.origin + url.pathname;
}

function refusal(response: Response, address: string, settings: HubSettings): HubError {
  const { status } = response;
  const at = `${shown(address)}: the hub answered ${status}`;
  const details = { isTemporary: TEMPORARY.has(status), retryAfter: wait(response.headers.get("retry-after")) };
  const code = response.headers.get("x-error-code");
  if (status === 401 && settings.token === undefined) {
    return new HubError(
      "forbidden",
      `${at}. There is no such model, or it is private or gated: check the name, or set HF_TOKEN to a token that may read it (https://huggingface.co/settings/tokens).`,
    );
  }
  if (status === 401) {
    return new HubError(
      "forbidden",
      `${at}: the token in HF_TOKEN is wrong, has expired, or may not read this. Check the name, or make a new token (https://huggingface.co/settings/tokens).`,
    );
  }
  if (status === 403 || code === "GatedRepo") {
    return new HubError(
      "forbidden",
      `${at}. If the model is gated, accept its conditions on its page in a browser; then set HF_TOKEN to a token that may read it.`,
    );
  }
  if (status === 404 || status === 410) {
    const what = { RevisionNotFound: "revision", EntryNotFound: "file", RepoNotFound: "model" }[code ?? ""];
    return new HubError(
      "not-found",
      `${at}: there is no such ${what ?? "model or revision"}. Check its name, and HF_TOKEN if it is private.`,
    );
  }
  if (status === 416) {
    return new HubError(
      "damaged",
      `${at}: the file there ends before the bytes that are missing, so it is shorter than the hub lists. Try later; check HF_ENDPOINT and any proxy.`,
    );
  }
  if (status === 429) {
    const seconds = details.retryAfter === undefined ? "" : ` It asks to wait ${details.retryAfter / 1000} seconds.`;
    return new HubError(
      "rate-limited",
      `${at}: too many requests.${seconds} Try later, or set HF_TOKEN, which allows more.`,
      { ...details, isTemporary: (details.retryAfter ?? 0) <= LONGEST_WAIT },
    );
  }
  return new HubError(
    "server",
    `${at}. Try later; the bytes received are kept. If it happens again, check HF_ENDPOINT.`,
    details,
  );
}

/** A Retry-After header, which holds seconds or a date, in milliseconds. */
function wait(header: string | null): number | undefined {
  if (header === null) return undefined;
  const milliseconds = /^\d+$/.test(header.trim()) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, Math.round(milliseconds)) : undefined;
}

/**
 * Repeats an attempt after temporary failures, with pauses that double. `gained` returns the bytes that failed attempts
 * have kept: after each MiB gained, the count of failures starts again.
 */
export async function retrying<T>(
  settings: HubSettings,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
  gained: () => number = () => 0,
): Promise<T> {
  let before = gained();
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (gained() - before >= 2 ** 20) failures = 1;
      before = gained();
      if (!(error instanceof HubError) || !error.isTemporary || failures >= settings.attempts) throw error;
      await pause(Math.max(error.retryAfter ?? 0, settings.pause * 2 ** (failures - 1)), signal);
    }
  }
}

/** Resolves after `milliseconds`; rejects with the signal's reason when the signal is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
