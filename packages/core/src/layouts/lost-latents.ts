import type { AutoencoderKLConfig } from "../models/autoencoder/autoencoder-kl-config.js";
import { type CheckpointFamily, PUBLISHED } from "../models/published-configs.js";
import { WeightsFormatError } from "../weights/errors.js";

/** What a pipeline does with latents before they are decoded: the original code has it in configs, not in files. */
const OF_LATENTS = ["scaling_factor", "shift_factor", "latents_mean", "latents_std"] as const;

/** Values of a config that lacks them. */
const DEFAULTS: Partial<AutoencoderKLConfig> = { scaling_factor: 0.18215 };

/**
 * Requires that a single file opens with the scale of latents that a folder's autoencoder has. For an autoencoder of
 * the published sizes, that is the published scale, or the one in the file's marks. Others open only with a `config`,
 * which says it.
 *
 * @throws WeightsFormatError that names the values that would be lost
 */
export function requireLatentsKept(
  folder: string,
  family: CheckpointFamily,
  vae: Partial<AutoencoderKLConfig>,
  marks: ReadonlyMap<string, unknown>,
): void {
  const published = PUBLISHED[family].vae;
  const text = (value: unknown) => JSON.stringify(value ?? null);
  if (text(vae.block_out_channels) !== text(published.block_out_channels) || marks.has("edm_mean")) return;
  const scales = OF_LATENTS.map((key) => [key, text(vae[key] ?? DEFAULTS[key]), text(published[key] ?? DEFAULTS[key])]);
  const lost = scales.filter(([, own, other]) => own !== other);
  if (lost.length === 0) return;
  const values = lost.map(([key, own, other]) => `${key} ${own} (published: ${other})`);
  throw new WeightsFormatError(
    `${folder}/vae: a single file cannot say ${values.join(", ")}, and would decode otherwise. Keep the folder.`,
  );
}
