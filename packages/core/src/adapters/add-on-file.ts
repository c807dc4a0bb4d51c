import { isNode } from "../platform/node-only.js";
import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { fileExists, joinPath, listFolder, localPath } from "../platform/files.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";

/** How to find the file of a LoRA or a learned word in a folder or in a model of the hub. */
export interface AddOnFileOptions extends HubModelOptions {
  /**
   * The name of the file, if there are several. Default: one of the names that diffusers and PEFT use, or the only file
   * of weights.
   */
  weightName?: string;
}

/** The usual names of LoRAs and learned words in diffusers and PEFT. */
const USUAL_NAMES = ["pytorch_lora_weights.safetensors", "adapter_model.safetensors", "learned_embeds.safetensors"];

/**
 * The file that `from` names: `from` itself, or the file in a folder, or the file in a model of the hub, which is
 * downloaded.
 *
 * @throws WeightsFormatError for a folder with no or several such files, listing them; HubError for downloads
 */
export async function addOnFile(from: BytesFrom, { weightName, ...hub }: AddOnFileOptions = {}): Promise<BytesFrom> {
  if (!isNode || (typeof from !== "string" && !(from instanceof URL))) return from;
  const place = await localPath(from);
  if (/^\w+:\/\/|^(data|blob):|\.safetensors$/i.test(place)) return from;
  const settings = (weightName ?? "").replace(/[^/]*$/, "adapter_config.json");
  const folder = await modelFolder(place, { ...hub, files: [weightName ?? "*.safetensors", settings] });
  const names = await listFolder(folder);
  if (names.length === 0) return from; // A file; if it does not exist, its reader will throw.
  const chosen = weightName ?? addOnName(names);
  if (chosen !== undefined && (await fileExists(joinPath(folder, chosen)))) return joinPath(folder, chosen);
  throw new WeightsFormatError(
    `${from}: the files of weights in it are ${weightFiles(names).join(", ") || "none"}; expected ` +
      `${weightName ?? USUAL_NAMES.join(" or ")}. Give the name of the right one as { weightName: "…" }.`,
  );
}

/** The file of a LoRA or a word among the names in a folder: one with a usual name, or the only file of weights. */
export function addOnName(names: readonly string[]): string | undefined {
  const weights = weightFiles(names);
  return USUAL_NAMES.find((name) => weights.includes(name)) ?? (weights.length === 1 ? weights[0] : undefined);
}

function weightFiles(names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith(".safetensors"));
}
