import { steadyBytes, steadyFetch } from "./steady-fetch.js";
import type * as NodeFiles from "node:fs/promises";
import type * as NodeUrl from "node:url";
import { PlatformError } from "./platform-error.js";
import { fileAddress, namesInFiles } from "./model-files.js";
import { importInNode, isNode } from "./node-only.js";

/** Node's file functions. `purpose` begins the error message where there is no file system. */
export async function nodeFiles(purpose: string): Promise<typeof NodeFiles> {
  if (!isNode) {
    throw new PlatformError(
      `${purpose}: there is no file system here. Give the contents (a Blob, a Uint8Array) or a URL instead.`,
    );
  }
  return importInNode<typeof NodeFiles>("node:fs/promises");
}

/** Joins names with "/", which works on every system and in URLs. */
export function joinPath(folder: string, ...names: string[]): string {
  return names.reduce((path, name) => (path === "" || /[/\\]$/.test(path) ? path + name : `${path}/${name}`), folder);
}

/** Converts a `file:` address to a path; returns anything else as text. */
export async function localPath(from: string | URL): Promise<string> {
  const text = from instanceof URL ? from.href : from;
  if (!isNode || !/^file:/i.test(text)) return text;
  const { fileURLToPath } = await importInNode<typeof NodeUrl>("node:url");
  return fileURLToPath(text);
}

/** Whether a path is fetched as an address. In a browser all paths are; they may be relative to the page. */
export function isAddress(path: string): boolean {
  return !isNode || /^(https?|data|blob|model-files):/i.test(path);
}

/**
 * Reads a text file, which must be UTF-8: replaced bytes would be other settings, or other tokens.
 *
 * @throws PlatformError if an address cannot be reached or read, for bytes that are not UTF-8, and from {@link
 *   requireFile}; Node's errors for files
 */
export async function readText(path: string): Promise<string> {
  return decodeText(await readAll(path));
}

/** @throws PlatformError for bytes that are not UTF-8 */
export function decodeText(bytes: Uint8Array | ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new PlatformError("it is not text in UTF-8", { cause: error });
  }
}

async function readAll(path: string): Promise<Uint8Array | ArrayBuffer> {
  const address = fileAddress(path);
  if (address === undefined) throw new PlatformError("it is not among the given files");
  const place = await localPath(address);
  if (!isAddress(place)) {
    await requireFile(place);
    return (await nodeFiles(`Reading ${path}`)).readFile(place);
  }
  const response = await fetched(place);
  if (response.ok) return read(response);
  await response.body?.cancel();
  throw new PlatformError(`the server answered ${response.status} ${response.statusText}`.trim());
}

async function read(response: Response): Promise<Uint8Array> {
  try {
    return await steadyBytes(response);
  } catch (error) {
    throw new PlatformError(`the connection failed (${(error as Error).message})`, { cause: error });
  }
}

/**
 * Checks a path before it is opened, because reading a pipe or a device may never end.
 *
 * @throws PlatformError for a folder, a pipe or a device; Node's errors for missing files
 */
export async function requireFile(path: string | URL): Promise<void> {
  const status = await (await nodeFiles(`Opening ${String(path)}`)).stat(path);
  if (status.isFile()) return;
  throw new PlatformError(
    status.isDirectory() ? "it is a folder" : "it is a pipe or a device, not a file; copy its content into a file",
  );
}

/**
 * Whether a file exists. For an address: whether the server answers with something other than an HTML page, because
 * some servers answer every request with a page.
 * In a folder that is given by the addresses of its files: whether it is among them.
 */
export async function fileExists(path: string): Promise<boolean> {
  if (fileAddress(path) !== path) return fileAddress(path) !== undefined;
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

/** The names in a folder. Empty if it cannot be read or is an address. */
export async function listFolder(path: string): Promise<string[]> {
  const given = namesInFiles(path);
  if (given) return given;
  if (isAddress(path)) return [];
  const { readdir } = await nodeFiles(`Looking into ${path}`);
  return readdir(path).catch(() => []);
}

async function fetched(address: string, request?: RequestInit): Promise<Response> {
  try {
    return await steadyFetch(new URL(address, globalThis.location?.href), request);
  } catch (error) {
    const { message, cause } = error as { message: string; cause?: { message?: string } };
    throw new PlatformError(`it cannot be reached: ${cause?.message || message}`, { cause: error });
  }
}
