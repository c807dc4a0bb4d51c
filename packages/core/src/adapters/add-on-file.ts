import { isNode } from "../platform/node-only.js";
import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { fileExists, joinPath, listFolder, localPath } from "../platform/files.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";

/** Which file of a folder, or of a model of the hub, holds the LoRA or the word. */
export interface AddOnFileOptions extends HubModelOptions {
  /**
   * Its name, where the folder holds several. Default: one of the names that diffusers and PEFT give, or the only one
   * there.
   */
  weightName?: string;
}

/** The names that diffusers and PEFT give to the files of LoRAs and learned words. */
const USUAL_NAMES = ["pytorch_lora_weights.safetensors", "adapter_model.safetensors", "learned_embeds.safetensors"];

/**
 * The file that `from` stands for: itself, or the one in a folder, or in the model of the hub of that name, which is
 * downloaded.
 *
 * @throws WeightsFormatError for a folder with none or several, naming what is there; HubError
 */
export async function addOnFile(from: BytesFrom, { weightName, ...hub }: AddOnFileOptions = {}): Promise<BytesFrom> {
  if (!isNode || (typeof from !== "string" && !(from instanceof URL))) return from;
  const place = await localPath(from);
  if (/^\w+:\/\/|^(data|blob):|\.safetensors$/i.test(place)) return from;
  const settings = (weightName ?? "").replace(/[^/]*$/, "adapter_config.json");
  const folder = await modelFolder(place, { ...hub, files: [weightName ?? "*.safetensors", settings] });
  const names = await listFolder(folder);
  if (names.length === 0) return from; // A file, or nothing, of which its reader will complain.
  const chosen = weightName ?? addOnName(names);
  if (chosen !== undefined && (await fileExists(joinPath(folder, chosen)))) return joinPath(folder, chosen);
  throw new WeightsFormatError(
    `${from}: the files of weights in it are ${weightFiles(names).join(", ") || "none"}; expected ` +
      `${weightName ?? USUAL_NAMES.join(" or ")}. Give the name of the right one as { weightName: "…" }.`,
  );
}

/** Which of a folder's files its LoRA or its word is: the one of a usual name, or the only file of weights. */
export function addOnName(names: readonly string[]): string | undefined {
  const weights = weightFiles(names);
  return USUAL_NAMES.find((name) => weights.includes(name)) ?? (weights.length === 1 ? weights[0] : undefined);
}

function weightFiles(names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith(".safetensors"));
}
