import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/**
 * Answers a request in place of the hub; false leaves it to the hub. `count` counts the requests for this path before
 * it.
 */
export type Misbehaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  context: { path: string; count: number; contents: Buffer | undefined },
) => boolean | void;

/** A received request, for tests to check. */
export interface Heard {
  path: string;
  /** The URL as sent; `path` is decoded. */
  url: string;
  authorization: string | undefined;
  range: string | undefined;
}

/** A hub on this machine with one model, "owner/name", that can be told to misbehave. */
export class FakeHub {
  readonly heard: Heard[] = [];
  misbehave: Misbehaviour = () => false;
  /** Changes the listing of the files before it is sent. */
  listing: (entries: object[]) => unknown = (entries) => entries;
  readonly #counts = new Map<string, number>();
  readonly #server = createServer((request, response) => this.#answer(request, response));

  private constructor(readonly files: ReadonlyMap<string, Buffer>) {}

  /** Files larger than 1,000 bytes are listed with SHA-256, as the hub does those of LFS. */
  static async start(files: Record<string, string | Uint8Array>): Promise<FakeHub> {
    const hub = new FakeHub(new Map(Object.entries(files).map(([path, contents]) => [path, Buffer.from(contents)])));
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests for a file's contents. */
  asked(path: string): Heard[] {
    return this.heard.filter((one) => one.path.endsWith(`/${path}`));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url!, this.endpoint).pathname);
    const count = this.#counts.get(path) ?? 0;
    this.#counts.set(path, count + 1);
    this.heard.push({
      url: request.url!,
      path,
      authorization: request.headers.authorization,
      range: request.headers.range,
    });
    const contents = this.files.get(/^\/owner\/name\/resolve\/[^/]+\/(.*)$/.exec(path)?.[1] ?? "");
    if (this.misbehave(request, response, { path, count, contents }) === true) return;
    if (path.startsWith("/api/models/owner/name/revision/")) return json(response, { id: "owner/name", sha: COMMIT });
    if (path === `/api/models/owner/name/tree/${COMMIT}`) return json(response, this.listing(this.entries()));
    if (contents) return sendFile(request, response, contents);
    response.writeHead(404, { "x-error-code": "RepoNotFound" }).end();
  }

  entries(): object[] {
    return [...this.files].map(([path, contents]) => {
      const size = contents.length;
      const oid = createHash("sha1").update(`blob ${size}\0`).update(contents).digest("hex");
      const lfs = { oid: createHash("sha256").update(contents).digest("hex"), size, pointerSize: 130 };
      return size > 1000 ? { type: "file", path, size, oid, lfs } : { type: "file", path, size, oid };
    });
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

/** Sends the whole file, or the requested range. */
export function sendFile(request: IncomingMessage, response: ServerResponse, contents: Buffer): void {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from === 0) return void response.writeHead(200, { "content-length": contents.length }).end(contents);
  const range = `bytes ${from}-${contents.length - 1}/${contents.length}`;
  response.writeHead(206, { "content-range": range, "content-length": contents.length - from });
  response.end(contents.subarray(from));
}
