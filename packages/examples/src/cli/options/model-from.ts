import { existsSync } from "node:fs";
import { fromCaller } from "./from-caller.js";
import { shippedModel } from "./shipped.js";

/**
 * A path is meant from where the command was called; what is no path there may be a model of ours, or a name on the
 * hub.
 */
export function modelFrom(text: string): string {
  const path = fromCaller(text);
  if (existsSync(path)) return path;
  const isHubName = /^[\w.-]+\/[\w.-]+$/.test(text) && !text.endsWith(".safetensors");
  return shippedModel(text) ?? (isHubName ? text : path);
}
