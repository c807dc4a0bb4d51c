import { fileExists, isAddress, localPath } from "../platform/files.js";
import { downloadFromHub, type HubOptions, isHubName } from "./download.js";

/** How to find a model that is named "owner/name", on the hub. Without meaning for folders. */
export type HubModelOptions = Pick<HubOptions, "revision" | "token" | "signal" | "onProgress">;

/** The configs and vocabularies of a model that is a folder or has a name, without its weights. */
export function configFolder(from: string): Promise<string> {
  return modelFolder(from, { files: ["*.json", "*.txt"] });
}

/**
 * The folder of a model: the given one (a path, a `file:` address, or the address of a folder that a server shows) if
 * it is there, else that of the model of this name, downloaded from the hub. What is neither is given back as it is,
 * for the reader of the folder to complain about.
 */
export async function modelFolder(from: string | URL, options: HubOptions = {}): Promise<string> {
  const folder = await folderPath(from);
  if (isAddress(folder) || !isHubName(folder) || (await fileExists(folder))) return folder;
  return downloadFromHub(folder, options);
}

/** @throws TypeError for what names no folder */
async function folderPath(from: string | URL): Promise<string> {
  const text = from instanceof URL ? from.href : from;
  const wanted = 'give the path of a folder, its address, or the name of a model on the hub ("owner/name")';
  if (typeof text !== "string" || text === "") {
    throw new TypeError(`${text === "" ? "An empty path" : `Where to read from is ${String(text)}`}; ${wanted}.`);
  }
  if (/^(data|blob):/i.test(text)) throw new TypeError(`A ${text.split(":")[0]}: address is a file; ${wanted}.`);
  if (/^https?:/i.test(text) && URL.canParse(text) && new URL(text).username !== "") {
    throw new TypeError(`The address of ${new URL(text).host} holds a name, which no browser sends; ${wanted}.`);
  }
  if (/^https?:/i.test(text) && /[?#]/.test(text)) {
    throw new TypeError(
      `${text.replace(/[?#].*/s, "")} is followed by ? or #, behind which no file can be named; ${wanted}.`,
    );
  }
  return localPath(text);
}
