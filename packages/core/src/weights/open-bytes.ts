import { isAddress } from "../platform/files.js";
import { fileAddress, isModelFiles, type ModelFiles } from "../platform/model-files.js";
import { blobSource, type ByteSource, memorySource } from "./byte-source.js";
import { openFile } from "./file-source.js";
import { openUrl } from "./url-source.js";

/**
 * A path (Node), an address (https, http, blob, data; file in Node) as text or URL, a Blob or File, or bytes in memory.
 */
export type BytesFrom = string | URL | Blob | Uint8Array;

/**
 * Whether this is a file of weights and not a folder. Blobs and bytes always are files. What is not a file is a
 * ModelPlace, which may also be text.
 */
export function isSingleFile(from: BytesFrom | ModelFiles): from is BytesFrom {
  if (from instanceof Blob || from instanceof Uint8Array) return true;
  if (isModelFiles(from)) return false;
  const text = String(from);
  const path = /^https?:/i.test(text) ? text.replace(/[?#].*/s, "") : text;
  return /^(data|blob):|\.(safetensors|ckpt|pt|pth|bin)$/i.test(path);
}

/**
 * @throws WeightsReadError if the file cannot be read; PlatformError for a path in a browser; TypeError for a value of
 *   another type
 */
export async function openBytes(given: BytesFrom): Promise<ByteSource> {
  if (given instanceof Blob) return blobSource(given);
  if (given instanceof Uint8Array) return memorySource(given);
  const from = typeof given === "string" ? (fileAddress(given) ?? given) : given;
  if (typeof from !== "string" && !(from instanceof URL)) {
    throw new TypeError(
      `${Object.prototype.toString.call(from)}; expected a path, an address, a Blob or a Uint8Array.`,
    );
  }
  const isFileAddress = /^file:/i.test(String(from));
  if (typeof from === "string" && !isAddress(from) && !isFileAddress) return openFile(from);
  const url = new URL(from, globalThis.location?.href);
  return isFileAddress ? openFile(url) : openUrl(url);
}
