import type { SafetensorsFile } from "../weights/safetensors.js";
import { type CheckpointFamily, FAMILIES } from "./families.js";

/** What the UNet was trained to predict, and how that is known. */
export interface PredictionGuess {
  type: string;
  /** "stated" where the checkpoint says so, "guessed" from what its family was published with. */
  certainty: "stated" | "guessed";
  reason: string;
}

/**
 * `global_step` of Stable Diffusion 2's 512 pixel base, by which diffusers knows it: it alone of its family predicts
 * noise.
 */
const SD2_BASE_STEPS = 875_000;

/** What a single file says, or leaves to guess, of what its UNet predicts. Borrows the file. */
export async function predictionOf(file: SafetensorsFile, family: CheckpointFamily): Promise<PredictionGuess> {
  const key = file.metadata["modelspec.predict_key"] ?? file.metadata["modelspec.prediction_type"];
  if (key) {
    const type = /^v/i.test(key) ? "v_prediction" : "epsilon";
    return { type, certainty: "stated", reason: `its metadata says "${key}"` };
  }
  if (file.tensors.has("v_pred"))
    return { type: "v_prediction", certainty: "stated", reason: "it has the mark v_pred" };
  const steps = await trainedSteps(file);
  if (family === "sd2" && steps === SD2_BASE_STEPS)
    return {
      type: "epsilon",
      certainty: "guessed",
      reason: `it was trained for ${steps} steps, as the 512 pixel base was`,
    };
  const type = FAMILIES[family].scheduler.prediction_type as string;
  const doubt = family === "sd2" ? "; its 512 pixel base predicts epsilon and has the same tensors" : "";
  return { type, certainty: "guessed", reason: `${family} was published so${doubt}` };
}

async function trainedSteps(file: SafetensorsFile): Promise<number | undefined> {
  const info = file.tensors.get("global_step");
  const isNumber = info?.shape.every((size) => size === 1);
  return isNumber ? Number((await file.read("global_step"))[0]) : undefined;
}

/** Height and width in pixels that a family was trained for. */
export function pictureSizeOf(family: CheckpointFamily, predictionType: string): number {
  const isBase = family === "sd2" && predictionType === "epsilon";
  return isBase ? 512 : (FAMILIES[family].unet.sample_size as number) * 8;
}
