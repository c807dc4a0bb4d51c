import { fileExists, isAddress, localPath } from "../platform/files.js";
import { HubError } from "./errors.js";
import type { HubOptions } from "./download.js";
import { isHubName } from "./name.js";
import { folderOfFiles, isModelFiles, type ModelPlace } from "../platform/model-files.js";

/** How to download a model that is given as "owner/name" on the hub. Ignored for folders. */
export type HubModelOptions = Pick<HubOptions, "revision" | "token" | "signal" | "onProgress">;

/**
 * The folder with a model's configs and vocabularies, without its weights, given as a folder or as a name on the hub.
 */
export function configFolder(from: string): Promise<string> {
  return modelFolder(from, { files: ["*.json", "*.txt"] });
}

/**
 * The folder with a model's configs only, to look at before the weights are downloaded. Undefined for a model of the
 * hub that has none; the download of its weights says what is wrong.
 */
export async function configsOf(from: ModelPlace, options: HubModelOptions): Promise<string | undefined> {
  try {
    return await modelFolder(from, { ...options, onProgress: undefined, files: ["*.json"] });
  } catch (error) {
    if (error instanceof HubError && error.failure === "request") return undefined;
    throw error;
  }
}

/**
 * The folder of a model. If `from` is an existing folder (a path, a `file:` address, or an address on a server), that
 * folder; of the addresses of its files, a name for their folder. Else, if it has the form "owner/name", the folder of
 * that model, downloaded from the hub. Anything else is returned unchanged; reading the folder will report that it is
 * missing.
 */
export async function modelFolder(from: ModelPlace, options: HubOptions = {}): Promise<string> {
  const folder = await folderPath(from);
  if (isAddress(folder)) return folder;
  const { recoverFolder } = await import("../platform/replace-folder.js");
  await recoverFolder(folder);
  if (!isHubName(folder) || (await fileExists(folder))) return folder;
  const { downloadFromHub } = await import("./download.js");
  return downloadFromHub(folder, options);
}

/** @throws TypeError if `from` cannot name a folder */
async function folderPath(from: ModelPlace): Promise<string> {
  if (isModelFiles(from)) return localPath(folderOfFiles(from));
  const text = from instanceof URL ? from.href : from;
  const wanted =
    'give the path of a folder, its address, the addresses of its files, or the name of a model on the hub ("owner/name")';
  if (typeof text !== "string" || text === "") {
    throw new TypeError(`${text === "" ? "An empty path" : `Where to read from is ${String(text)}`}; ${wanted}.`);
  }
  if (/^(data|blob):/i.test(text)) throw new TypeError(`A ${text.split(":")[0]}: address is a file; ${wanted}.`);
  if (/^https?:/i.test(text) && URL.canParse(text) && new URL(text).username !== "") {
    throw new TypeError(
      `The address of ${new URL(text).host} contains a user name, which browsers do not send; ${wanted}.`,
    );
  }
  if (/^https?:/i.test(text) && /[?#]/.test(text)) {
    throw new TypeError(
      `${text.replace(/[?#].*/s, "")} is followed by ? or #, after which no file name can be appended; ${wanted}.`,
    );
  }
  return localPath(text);
}
