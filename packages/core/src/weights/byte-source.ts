import { isNode } from "../backend/node-only.js";
import { nodeFiles } from "../platform.js";
import { WeightsFormatError } from "./errors.js";

/** Where a file's bytes come from: parts can be read without the whole. */
export interface ByteSource {
  /** To name it in messages. */
  readonly name: string;
  readonly size: number;
  /** Bytes from `begin` up to `end`. */
  read(begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A path (Node), a Blob or File, bytes in memory, or a URL (https, http, blob, data; file in Node). */
export type BytesFrom = string | URL | Blob | Uint8Array;

export async function openBytes(from: BytesFrom): Promise<ByteSource> {
  if (from instanceof Blob) return blobSource(from);
  if (from instanceof URL || (typeof from === "string" && !isNode)) return openUrl(new URL(from, globalThis.location?.href));
  return typeof from === "string" ? openFile(from) : memorySource(from);
}

function memorySource(bytes: Uint8Array): ByteSource {
  return {
    name: "the given bytes",
    size: bytes.byteLength,
    read: async (begin, end) => bytes.subarray(begin, end),
    close: async () => {},
  };
}

function blobSource(blob: Blob): ByteSource {
  return {
    name: blob instanceof File ? blob.name : "the given blob",
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
    close: async () => {},
  };
}

async function openFile(path: string | URL): Promise<ByteSource> {
  const name = String(path);
  const { open } = await nodeFiles(`Opening ${name}`);
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const read = async (begin: number, end: number): Promise<Uint8Array> => {
      const bytes = new Uint8Array(end - begin);
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesRead } = await file.read(bytes, done, Math.min(bytes.byteLength - done, 2 ** 30), begin + done);
        if (bytesRead === 0) throw new WeightsFormatError(`${name}: it ended at byte ${begin + done} while being read; has it been cut?`);
        done += bytesRead;
      }
      return bytes;
    };
    return { name, size, read, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openUrl(url: URL): Promise<ByteSource> {
  if (url.protocol === "file:") return openFile(url);
  const name = url.href;
  const first = await fetchRange(url, 0, 8);
  const total = first.status === 206 ? /\/(\d+)$/.exec(first.headers.get("content-range") ?? "")?.[1] : undefined;
  if (total === undefined) return { ...memorySource(new Uint8Array(await first.arrayBuffer())), name }; // no ranges there
  await first.body?.cancel();
  const read = async (begin: number, end: number): Promise<Uint8Array> => {
    if (end <= begin) return new Uint8Array();
    const response = await fetchRange(url, begin, end);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const part = response.status === 206 ? bytes : bytes.subarray(begin, end);
    if (part.byteLength !== end - begin) {
      throw new WeightsFormatError(`${name}: ${end - begin} bytes were asked for, ${part.byteLength} came. Try again; the connection may have broken.`);
    }
    return part;
  };
  return { name, size: Number(total), read, close: async () => {} };
}

async function fetchRange(url: URL, begin: number, end: number): Promise<Response> {
  const response = await fetch(url, { headers: { range: `bytes=${begin}-${end - 1}` } });
  if (!response.ok) throw new WeightsFormatError(`${url.href}: the server answered ${response.status} ${response.statusText}. Check the address.`);
  return response;
}
