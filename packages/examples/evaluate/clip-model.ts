import { loadModel } from "@tfjs-diffusion/core";
import { type CLIPModel } from "@tfjs-diffusion/core/models";
import { UsageError } from "../src/cli/options/usage-error.js";
import { packagePath } from "../src/package-folder.js";
import { assembleClip } from "../train/portraits/vision.js";

/**
 * The CLIP for measuring pictures of a kind; the caller owns it.
 *
 * @param folder of a complete CLIP; default, for portraits: the shipped model's text tower and the vision tower trained
 *   for it
 * @throws UsageError if no CLIP of this kind is shipped
 */
export async function openClip(kind: string, folder?: string): Promise<CLIPModel> {
  if (folder !== undefined) return (await loadModel(folder)) as CLIPModel;
  if (kind !== "portraits") {
    const trained = `runs/${kind}/clip-both`;
    throw new UsageError(`No CLIP of the ${kind} is shipped: give --clip, ${trained} after npm run train:${kind}.`);
  }
  return assembleClip(packagePath("weights", kind), packagePath("weights", `${kind}-vision`));
}
