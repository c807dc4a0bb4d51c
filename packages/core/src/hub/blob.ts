import type * as NodeCrypto from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { importInNode } from "../platform/node-only.js";
import { joinPath, nodeFiles } from "../platform/files.js";
import { HubError } from "./errors.js";
import type { HubFile } from "./listing.js";
import { type HeldLock, locked, LockLostError } from "./lock.js";
import { LEAST_BYTES } from "../platform/steady-fetch.js";
import { request, retrying, shown } from "./request.js";
import type { HubSettings } from "./settings.js";

/** A file to download, and its place in the cache. */
export interface BlobRequest {
  address: string;
  file: HubFile;
  /** Folder of the model in the cache. */
  folder: string;
  /** Folder of this model's locks. */
  locks: string;
  signal?: AbortSignal;
  /** Called with the number of bytes of the file that have arrived. */
  onBytes: (bytes: number) => unknown;
}

/** Suffix of a partial download. Python's huggingface_hub uses `.incomplete`, and ignores ours. */
const PART = ".tfjs-part";

/**
 * Downloads a file into the cache, as `blobs/<hash>`, if it is not there yet. It gets that name only when it is
 * complete, checked and flushed to the disk. Continues where an earlier attempt, by this or another process, stopped.
 * Processes that download the same file wait for each other.
 */
export async function fetchBlob(asked: BlobRequest, settings: HubSettings): Promise<string> {
  const { file, folder, locks, signal } = asked;
  const { hex } = file.hash;
  const blob = joinPath(folder, "blobs", hex);
  const { mkdir } = await nodeFiles(`Downloading ${file.path}`);
  if (await hasSize(blob, file.size)) return done(asked, blob);
  try {
    await mkdir(joinPath(folder, "blobs"), { recursive: true });
    await locked(
      joinPath(locks, `${hex}.tfjs-lock`),
      async (lock) => {
        if (!(await hasSize(blob, file.size))) await downloadBlob(asked, blob, lock, settings);
      },
      { signal },
    );
  } catch (error) {
    if (error instanceof LockLostError) return fetchBlob(asked, settings);
    throw onDisk(error, asked);
  }
  return done(asked, blob);
}

/** Converts a file system error to a HubError that names the file and says what to do. */
export function onDisk(error: unknown, { address, folder }: Pick<BlobRequest, "address" | "folder">): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (error instanceof HubError || code === undefined || syscall === undefined) return error;
  return new HubError(
    "disk",
    `${shown(address)} cannot be written to ${folder} (${message}). Free space there, or set HF_HOME to a writable folder.`,
    { cause: error },
  );
}

async function done({ file, onBytes }: BlobRequest, blob: string): Promise<string> {
  await onBytes(file.size);
  return blob;
}

async function hasSize(path: string, size: number): Promise<boolean> {
  const { stat } = await nodeFiles(`Looking for ${path}`);
  return stat(path).then(
    (found) => found.isFile() && found.size === size,
    () => false,
  );
}

async function downloadBlob(asked: BlobRequest, blob: string, lock: HeldLock, settings: HubSettings): Promise<void> {
  const { open, rename } = await nodeFiles(`Downloading ${asked.file.path}`);
  const part = await open(`${blob}${PART}`, "a+").then(async (file) => {
    await file.close();
    return open(`${blob}${PART}`, "r+");
  });
  try {
    const download = await Download.resume(asked, part, lock);
    // After a wrong hash the file is downloaded once more from its first byte, because a kept part may have been
    // damaged.
    if (!(await download.run(settings)) && !(await download.run(settings))) {
      throw new HubError(
        "damaged",
        `${shown(asked.address)}: the bytes received are not the file that the hub lists: its ${asked.file.hash.kind} differs from ${asked.file.hash.hex}. ` +
          "It was discarded. Try again; if that fails too, a proxy or the hub at HF_ENDPOINT changes files.",
      );
    }
    await part.sync();
  } finally {
    await part.close();
  }
  await rename(`${blob}${PART}`, blob);
}

/** A download in progress: the bytes so far, and their running hash. */
class Download {
  #hash!: NodeCrypto.Hash;
  #size = 0;

  private constructor(
    readonly asked: BlobRequest,
    readonly part: FileHandle,
    readonly lock: HeldLock,
    readonly createHash: typeof NodeCrypto.createHash,
  ) {}

  /** Continues a partial download: hashes the bytes that are there. */
  static async resume(asked: BlobRequest, part: FileHandle, lock: HeldLock): Promise<Download> {
    const { createHash } = await importInNode<typeof NodeCrypto>("node:crypto");
    const download = new Download(asked, part, lock, createHash);
    await download.#restart(false);
    if ((await part.stat()).size > asked.file.size) await part.truncate(0);
    const buffer = new Uint8Array(2 ** 20);
    for (;;) {
      asked.signal?.throwIfAborted();
      const { bytesRead } = await part.read(buffer, 0, buffer.byteLength, download.#size);
      if (bytesRead === 0) return download;
      await download.#count(buffer.subarray(0, bytesRead));
    }
  }

  /** Downloads the missing bytes. Returns whether the complete file has the right hash; if not, discards all of it. */
  async run(settings: HubSettings): Promise<boolean> {
    const { file, signal } = this.asked;
    await retrying(
      settings,
      signal,
      async () => {
        if (this.#size < file.size) await this.#receive(settings);
      },
      () => Math.floor(this.#size / LEAST_BYTES), // A few bytes are no progress.
    );
    if (this.#hash.digest("hex") === file.hash.hex) return true;
    await this.#restart(true);
    return false;
  }

  /** One request, for all bytes from the first missing one. */
  async #receive(settings: HubSettings): Promise<void> {
    const { address, file, signal } = this.asked;
    const from = this.#size;
    await request(address, settings, { from, signal }, async (response, body) => {
      // A server may send the whole file in answer to a request for the rest.
      const begin =
        response.status === 206 ? Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1]) : 0;
      if (begin !== this.#size) await this.#restart(true);
      if (begin !== 0 && begin !== from) throw wrong(address, `another part of the file than requested`);
      for await (const chunk of body) {
        if (this.#size + chunk.byteLength > file.size) {
          await this.#restart(true);
          throw wrong(address, `more than the ${file.size} bytes that the hub lists`);
        }
        await this.#write(chunk);
      }
    });
    if (this.#size < file.size) {
      throw new HubError(
        "connection",
        `${shown(address)}: the connection ended after ${this.#size} of ${file.size} bytes. Start again: the bytes received are kept.`,
        { isTemporary: true },
      );
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    this.lock.check();
    for (let written = 0; written < chunk.byteLength;) {
      written += (await this.part.write(chunk, written, chunk.byteLength - written, this.#size + written)).bytesWritten;
    }
    await this.#count(chunk);
  }

  async #count(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#size += chunk.byteLength;
    await this.asked.onBytes(this.#size);
  }

  /** Starts from the first byte; with `forget`, also discards the bytes on the disk. */
  async #restart(forget: boolean): Promise<void> {
    const { kind } = this.asked.file.hash;
    this.#hash = this.createHash(kind === "sha256" ? "sha256" : "sha1");
    if (kind === "git-sha1") this.#hash.update(`blob ${this.asked.file.size}\0`);
    this.#size = 0;
    if (forget) await this.part.truncate(0);
    await this.asked.onBytes(0);
  }
}

function wrong(address: string, what: string): HubError {
  return new HubError(
    "damaged",
    `${shown(address)}: the server sent ${what}. It was discarded. Try again; if that fails too, check HF_ENDPOINT and any proxy.`,
    { isTemporary: true },
  );
}
