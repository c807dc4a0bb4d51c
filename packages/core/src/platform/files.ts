import type * as NodeFiles from "node:fs/promises";
import type * as NodeUrl from "node:url";
import { importInNode, isNode } from "./node-only.js";

/** Thrown when something that needs a file system is asked for where there is none, as in a browser. */
export class PlatformError extends Error {
  override name = "PlatformError";
}

/**
 * Thrown when the system refuses to write a file: the place is not there or not ours, or the disk is full. What was
 * there before stays.
 */
export class FileWriteError extends Error {
  override name = "FileWriteError";
}

/** Node's file functions. `wanted` says what for, in the error where there are none. */
export async function nodeFiles(wanted: string): Promise<typeof NodeFiles> {
  if (!isNode) {
    throw new PlatformError(
      `${wanted}: there is no file system here. Give the contents (a Blob, a Uint8Array) or a URL instead.`,
    );
  }
  return importInNode<typeof NodeFiles>("node:fs/promises");
}

/** `folder/name/…`; "/" is understood on every system, and in URLs. */
export function joinPath(folder: string, ...names: string[]): string {
  return names.reduce((path, name) => (path === "" || /[/\\]$/.test(path) ? path + name : `${path}/${name}`), folder);
}

/** A `file:` address as the path that it names; anything else as the text it is. */
export async function localPath(from: string | URL): Promise<string> {
  const text = from instanceof URL ? from.href : from;
  if (!isNode || !/^file:/i.test(text)) return text;
  const { fileURLToPath } = await importInNode<typeof NodeUrl>("node:url");
  return fileURLToPath(text);
}

/** Whether a path is an address that is fetched; a page of the web has no others, and they may be relative to it. */
export function isAddress(path: string): boolean {
  return !isNode || /^(https?|data|blob):/i.test(path);
}

/** @throws PlatformError for an address that cannot be reached or read; whatever Node throws for a file */
export async function readText(path: string): Promise<string> {
  if (!isAddress(path)) return (await nodeFiles(`Reading ${path}`)).readFile(path, "utf8");
  const response = await fetched(path);
  if (response.ok) return response.text();
  await response.body?.cancel();
  throw new PlatformError(`the server answered ${response.status} ${response.statusText}`.trim());
}

/**
 * Of addresses: whether the server has something there that is no page. A server of pages may answer with one whatever
 * is asked for.
 */
export async function fileExists(path: string): Promise<boolean> {
  if (isAddress(path)) {
    const head = await fetched(path, { method: "HEAD" });
    const isRefused = head.status === 405 || head.status === 501;
    const response = isRefused ? await fetched(path, { headers: { range: "bytes=0-0" } }) : head;
    await response.body?.cancel();
    return response.ok && !response.headers.get("content-type")?.startsWith("text/html");
  }
  const { access } = await nodeFiles(`Looking for ${path}`);
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The names in a folder; none if it cannot be read, as no server's can. */
export async function listFolder(path: string): Promise<string[]> {
  if (isAddress(path)) return [];
  const { readdir } = await nodeFiles(`Looking into ${path}`);
  return readdir(path).catch(() => []);
}

async function fetched(address: string, request?: RequestInit): Promise<Response> {
  try {
    return await fetch(new URL(address, globalThis.location?.href), request);
  } catch (error) {
    const { message, cause } = error as { message: string; cause?: { message?: string } };
    throw new PlatformError(`it cannot be reached: ${cause?.message || message}`, { cause: error });
  }
}

/** Removes files of a folder, where they are there. */
export async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  const { rm } = await nodeFiles(`Writing ${folder}`);
  for (const name of names) await rm(joinPath(folder, name), { force: true });
}

/** Writes a text file whole or not at all, with the folders it needs. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeWhole(path, [new TextEncoder().encode(text)]);
}

/**
 * Writes a file whole or not at all: under a temporary name beside it, flushed to the disk, then renamed. What was
 * there before stays until then, and if anything goes wrong; folders are made as needed.
 *
 * @throws FileWriteError, and whatever `chunks` throws
 */
export async function writeWhole(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const { mkdir, open, rename, rm } = await nodeFiles(`Writing ${path}`);
  if (isAddress(path)) throw new FileWriteError(`${path} is an address, where nothing can be written. Give a path.`);
  const folder = path.replace(/[^/\\]*$/, "") || ".";
  const temporary = `${path}.${process.pid}.${counter++}.partial`;
  try {
    await mkdir(folder, { recursive: true });
    const file = await open(temporary, "w");
    try {
      for await (const chunk of chunks) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await flushFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // What is wrong is said below.
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new FileWriteError(`${path} cannot be written: ${message}. Make room, or give another place.`, {
      cause: error,
    });
  }
}

let counter = 0;

/** A rename is on the disk only once its folder is; Windows neither needs nor allows this. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { open } = await nodeFiles(`Writing ${path}`);
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeAll(file: NodeFiles.FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    written += (await file.write(chunk, written)).bytesWritten;
  }
}
