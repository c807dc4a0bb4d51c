import { existsSync } from "node:fs";
import { fromCaller } from "./from-caller.js";
import { shippedModel } from "./shipped.js";

/**
 * The model that `text` names: a path relative to where the command was called, a shipped model, or a name on the hub.
 */
export function modelFrom(text: string): string {
  const path = fromCaller(text);
  if (existsSync(path)) return path;
  const isHubName = /^[\w.-]+\/[\w.-]+$/.test(text) && !text.endsWith(".safetensors");
  return shippedModel(text) ?? (isHubName ? text : path);
}
