import type * as NodeFiles from "node:fs/promises";
import type * as NodeUrl from "node:url";
import { importInNode, isNode } from "./node-only.js";

/** Thrown when a file system is needed and there is none, as in a browser. */
export class PlatformError extends Error {
  override name = "PlatformError";
}

/**
 * Thrown when the system refuses to write a file: its folder is missing or not writable, or the disk is full. An
 * earlier file of the same name is left as it was.
 */
export class FileWriteError extends Error {
  override name = "FileWriteError";
}

/** Node's file functions. `purpose` begins the error message where there is no file system. */
export async function nodeFiles(purpose: string): Promise<typeof NodeFiles> {
  if (!isNode) {
    throw new PlatformError(
      `${purpose}: there is no file system here. Give the contents (a Blob, a Uint8Array) or a URL instead.`,
    );
  }
  return importInNode<typeof NodeFiles>("node:fs/promises");
}

/** Joins names with "/", which every system and every URL understands. */
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

/** Whether a path is fetched as an address. In a browser every path is, and it may be relative to the page. */
export function isAddress(path: string): boolean {
  return !isNode || /^(https?|data|blob):/i.test(path);
}

/**
 * @throws PlatformError if an address cannot be reached or read, and for what {@link requireFile} refuses; Node's own
 *   error for a file
 */
export async function readText(path: string): Promise<string> {
  if (!isAddress(path)) {
    await requireFile(path);
    return (await nodeFiles(`Reading ${path}`)).readFile(path, "utf8");
  }
  const response = await fetched(path);
  if (response.ok) return response.text();
  await response.body?.cancel();
  throw new PlatformError(`the server answered ${response.status} ${response.statusText}`.trim());
}

/**
 * Looks before a file is opened: reading a pipe may wait for ever, and a device may never end.
 *
 * @throws PlatformError for a folder, a pipe or a device; whatever Node throws for what is not there
 */
export async function requireFile(path: string | URL): Promise<void> {
  const status = await (await nodeFiles(`Opening ${String(path)}`)).stat(path);
  if (status.isFile()) return;
  throw new PlatformError(
    status.isDirectory() ? "it is a folder" : "it is a pipe or a device and no file; copy what it gives into a file",
  );
}

/**
 * Whether a file exists. For an address: whether the server has something there that is not an HTML page, because some
 * servers answer every request with their page.
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

/** The names in a folder; none if it cannot be read. An address cannot be listed. */
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

/** Removes files from a folder. A file that is missing is no error. */
export async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  const { rm } = await nodeFiles(`Writing ${folder}`);
  for (const name of names) await rm(joinPath(folder, name), { force: true });
}

/** Writes a text file completely or not at all. Creates the folders that it needs. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeWhole(path, [new TextEncoder().encode(text)]);
}

/**
 * Writes a file completely or not at all: under a temporary name in the same folder, flushed to the disk, then renamed.
 * An earlier file of that name stays until the rename, and if anything fails. Creates the folders that it needs.
 *
 * @throws FileWriteError; any error of `chunks`
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
    await rm(temporary, { force: true }).catch(() => undefined); // The first error is thrown below.
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new FileWriteError(`${path} cannot be written: ${message}. Free space, or give another path.`, {
      cause: error,
    });
  }
}

let counter = 0;

/** Flushes a folder, so that a rename in it survives a crash. Windows neither needs nor allows this. */
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
