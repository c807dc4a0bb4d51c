import { cp } from "node:fs/promises";
import { join } from "node:path";
import { CLIPTokenizer } from "@tfjs-diffusion/core";
import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { copyParameters } from "../conditioning.js";
import { loadNetworks, newNetworks, type PortraitNetworks } from "../portraits/networks.js";
import { trainLatentUnet } from "../portraits/unet.js";
import { takeValues } from "./other-vocabulary.js";
import type { UnCLIPStageOptions } from "./prior.js";

/**
 * Stable Diffusion's road: trains the UNet and the first text tower of a portraits model on the second captions. The
 * autoencoder stays as it is; the second tower is the newly trained CLIP's.
 */
export async function* trainUnet2({
  from,
  ...options
}: UnCLIPStageOptions & {
  /** Folder of the portraits model to begin with. */
  from: string;
}): AsyncGenerator<TrainingStep, void> {
  const { settings, clipFolder, folder } = options;
  await cp(join(from, "vae"), join(folder, "vae"), { recursive: true });
  yield* trainLatentUnet({
    ...options,
    kind: PORTRAITS_2,
    vaeFolder: join(from, "vae"),
    begin: () => startFrom(from, settings.seed, clipFolder),
  });
}

async function startFrom(model: string, seed: number, clipFolder: string): Promise<PortraitNetworks> {
  const networks = await newNetworks(seed, clipFolder);
  const { unet, textEncoder, textEncoder2, vae } = await loadNetworks(model);
  const { vocab } = await CLIPTokenizer.fromFolder(join(model, "tokenizer"));
  copyParameters(unet, networks.unet);
  takeValues(networks.textEncoder, textEncoder, vocab);
  for (const network of [unet, textEncoder, textEncoder2, vae]) network.dispose();
  return networks;
}
