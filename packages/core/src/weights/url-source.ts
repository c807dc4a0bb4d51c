import { type ByteSource, memorySource } from "./byte-source.js";
import { WeightsReadError } from "./errors.js";
import { steadyBytes, steadyFetch } from "../platform/steady-fetch.js";

/** The largest file to read as a whole from a server without ranges. */
const MOST_BYTES_WHOLE = 2 ** 31;

/** Reads a file at an address in ranges, if the server supports them; otherwise reads the whole file into memory. */
export async function openUrl(url: URL): Promise<ByteSource> {
  const name = shownAddress(url);
  const first = await fetchRange(url, 0, 8);
  const total = contentRange(first)?.total;
  if (total === undefined) {
    const announced = Number(first.headers.get("content-length") ?? 0);
    if (announced > MOST_BYTES_WHOLE) {
      await first.body?.cancel();
      throw new WeightsReadError(
        `${name}: the server does not support HTTP ranges, and the file has ${announced} bytes. Download it, and open the local file.`,
      );
    }
    return memorySource(await bodyOf(first, name), name);
  }
  await bodyOf(first, name); // Read to the end, so that the connection can be reused.
  return {
    name,
    size: total,
    read: (begin, end) => (end > begin ? readRange(url, begin, end, total) : Promise.resolve(new Uint8Array())),
    close: async () => {},
  };
}

async function readRange(url: URL, begin: number, end: number, total: number): Promise<Uint8Array<ArrayBuffer>> {
  const name = shownAddress(url);
  const response = await fetchRange(url, begin, end);
  const sent = contentRange(response);
  const isAsked = sent?.begin === begin && sent.end === end && sent.total === total;
  if (!isAsked) {
    await response.body?.cancel();
    const answer = response.headers.get("content-range") ?? "no content-range";
    throw new WeightsReadError(
      `${name}: bytes ${begin} to ${end} of ${total} were requested, but the server answered ${response.status} with ${answer}. ` +
        "Has the file changed? Open it again.",
    );
  }
  const bytes = await bodyOf(response, name);
  if (bytes.byteLength !== end - begin) {
    throw new WeightsReadError(
      `${name}: ${end - begin} bytes were requested, but ${bytes.byteLength} came. Try again.`,
    );
  }
  return bytes;
}

async function fetchRange(url: URL, begin: number, end: number): Promise<Response> {
  const name = shownAddress(url);
  const response = await steadyFetch(url, { headers: { range: `bytes=${begin}-${end - 1}` } }).catch(
    (error: unknown) => {
      const { message, cause } = error as { message: string; cause?: { message?: string } };
      const reason = cause?.message || message;
      throw new WeightsReadError(`${name} cannot be reached (${reason}). Check the address and the connection.`, {
        cause: error,
      });
    },
  );
  if (!response.ok) {
    await response.body?.cancel();
    throw new WeightsReadError(
      `${name}: the server answered ${response.status} ${response.statusText}. Check the address, and that you may read it.`,
    );
  }
  return response;
}

async function bodyOf(response: Response, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await steadyBytes(response);
  } catch (error) {
    throw new WeightsReadError(`${name}: the connection broke (${(error as Error).message}). Try again.`, {
      cause: error,
    });
  }
}

/** The range of a response, without `end`; undefined if it is the whole file. */
function contentRange(response: Response): { begin: number; end: number; total: number } | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  if (response.status !== 206 || !match) return undefined;
  return { begin: Number(match[1]), end: Number(match[2]) + 1, total: Number(match[3]) };
}

/** An address for messages: without the name, password and query, which may be secret. */
function shownAddress({ protocol, host, pathname }: URL): string {
  return protocol === "data:"
    ? "the given data: address"
    : protocol === "blob:"
      ? "the given blob"
      : `${protocol}//${host}${pathname}`;
}
