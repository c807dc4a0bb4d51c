import { isNode } from "../backend/node-only.js";
import { fileExists } from "../platform.js";
import { downloadFromHub, type HubOptions, isHubName } from "./download.js";

/** How to find a model that is named "owner/name", on the hub. Without meaning for folders. */
export type HubModelOptions = Pick<HubOptions, "revision" | "token" | "signal" | "onProgress">;

/** The configs and vocabularies of a model that is a folder or has a name, without its weights. */
export function configFolder(from: string): Promise<string> {
  return modelFolder(from, { files: ["*.json", "*.txt"] });
}

/**
 * The local folder of a model: the given one if it is there, else that of the model of this name, downloaded from the hub.
 * What is neither is given back as it is, for the reader of the folder to complain about.
 */
export async function modelFolder(from: string, options: HubOptions = {}): Promise<string> {
  if (!isNode || !isHubName(from) || (await fileExists(from))) return from;
  return downloadFromHub(from, options);
}
