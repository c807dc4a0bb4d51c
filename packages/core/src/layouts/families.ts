import {
  type CheckpointFamily,
  PUBLISHED,
  type PublishedConfigs,
  type PublishedTextEncoder,
} from "../models/published-configs.js";
import { networksIn } from "../models/network-file.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { SafetensorsFile } from "../weights/safetensors.js";

/** The networks of a family, with their places in a single file. */
export interface FamilyLayout extends Omit<PublishedConfigs, "textEncoders"> {
  /** By their names in a diffusers folder. */
  textEncoders: Partial<Record<"text_encoder" | "text_encoder_2", TextEncoderLayout>>;
  /** The contents of its `scheduler_config.json`. */
  scheduler: Record<string, unknown>;
}

/** A text encoder inside a single file. */
export interface TextEncoderLayout extends PublishedTextEncoder {
  prefix: string;
  /** The naming scheme of its parameters. */
  names: "transformers" | "openclip";
}

export const UNET_PREFIX = "model.diffusion_model.";
export const VAE_PREFIXES = ["first_stage_model.", "vae."] as const;

const BETAS = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear", num_train_timesteps: 1000 };
const PNDM = { _class_name: "PNDMScheduler", ...BETAS, skip_prk_steps: true, set_alpha_to_one: false, steps_offset: 1 };
const DDIM = { _class_name: "DDIMScheduler", ...BETAS, clip_sample: false, set_alpha_to_one: false, steps_offset: 1 };
const EULER = { _class_name: "EulerDiscreteScheduler", ...BETAS, timestep_spacing: "leading", steps_offset: 1 };

type StoredUnder = Pick<TextEncoderLayout, "prefix" | "names">;

function familyLayout(
  family: CheckpointFamily,
  places: Partial<Record<"text_encoder" | "text_encoder_2", StoredUnder>>,
  scheduler: FamilyLayout["scheduler"],
): FamilyLayout {
  const published = PUBLISHED[family];
  const encoders = Object.entries(places).map(([part, place]) => [
    part,
    { ...published.textEncoders[part as "text_encoder"]!, ...place },
  ]);
  return { ...published, textEncoders: Object.fromEntries(encoders) as FamilyLayout["textEncoders"], scheduler };
}

export const FAMILIES: Readonly<Record<CheckpointFamily, FamilyLayout>> = {
  sd1: familyLayout(
    "sd1",
    { text_encoder: { prefix: "cond_stage_model.transformer.", names: "transformers" } },
    { ...PNDM, prediction_type: "epsilon" },
  ),
  sd2: familyLayout(
    "sd2",
    { text_encoder: { prefix: "cond_stage_model.model.", names: "openclip" } },
    { ...DDIM, prediction_type: "v_prediction" },
  ),
  sdxl: familyLayout(
    "sdxl",
    {
      text_encoder: { prefix: "conditioner.embedders.0.transformer.", names: "transformers" },
      text_encoder_2: { prefix: "conditioner.embedders.1.model.", names: "openclip" },
    },
    { ...EULER, prediction_type: "epsilon" },
  ),
  "sdxl-refiner": familyLayout(
    "sdxl-refiner",
    { text_encoder_2: { prefix: "conditioner.embedders.0.model.", names: "openclip" } },
    { ...EULER, prediction_type: "epsilon" },
  ),
};

/**
 * The family of a single file, from the names of its tensors.
 *
 * @throws WeightsFormatError if it holds no UNet in the original layout, or no text encoder that shows the family
 */
export function checkpointFamily(file: SafetensorsFile): CheckpointFamily {
  const { name, tensors } = file;
  const has = (prefix: string) => [...tensors.keys()].some((key) => key.startsWith(prefix));
  if (has(UNET_PREFIX)) {
    // The most specific first: a refiner's only text tower has the name of the base model's first.
    for (const family of ["sdxl", "sdxl-refiner", "sd2", "sd1"] as const) {
      const { textEncoders } = FAMILIES[family];
      if (Object.values(textEncoders).every(({ prefix }) => has(prefix))) return family;
    }
  }
  const alone = [...new Set(networksIn(file).map(({ className }) => className))];
  if (alone.length === 1 && !has(UNET_PREFIX)) {
    throw new WeightsFormatError(
      `${name}: not a complete checkpoint of Stable Diffusion 1, 2 or XL, but one network alone, ${alone[0]}. Open it with ` +
        "loadModel, and give it to a pipeline beside its own networks.",
    );
  }
  throw new WeightsFormatError(
    `${name}: not a complete checkpoint of Stable Diffusion 1, 2 or XL; it has ${tensors.size} tensors, such as ` +
      `${[...tensors.keys()].slice(0, 3).join(", ")}. Give a file with ${UNET_PREFIX}… and its text encoder, or a folder of diffusers.`,
  );
}
