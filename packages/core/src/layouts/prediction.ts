import type { SafetensorsFile } from "../weights/safetensors.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { FAMILIES } from "./families.js";

/** The prediction type of a UNet, and its origin. */
export interface PredictionGuess {
  type: string;
  /** "stated" by the checkpoint, or "guessed" from the publication of its family. */
  certainty: "stated" | "guessed";
  reason: string;
}

/**
 * `global_step` of Stable Diffusion 2 base (512 pixels), by which diffusers recognises it: the only one of its family
 * that predicts noise.
 */
const SD2_BASE_STEPS = 875_000;

/** The prediction type of a single file, stated or guessed. Borrows the file. */
export async function predictionOf(file: SafetensorsFile, family: CheckpointFamily): Promise<PredictionGuess> {
  const marked = markedPrediction(file);
  if (marked) return marked;
  const key = file.metadata["modelspec.predict_key"] ?? file.metadata["modelspec.prediction_type"];
  if (key) {
    const type = /^v/i.test(key) ? "v_prediction" : "epsilon";
    return { type, certainty: "stated", reason: `its metadata says "${key}"` };
  }
  const steps = await trainedSteps(file);
  if (family === "sd2" && steps === SD2_BASE_STEPS)
    return {
      type: "epsilon",
      certainty: "guessed",
      reason: `it was trained for ${steps} steps, as the 512 pixel base was`,
    };
  const type = FAMILIES[family].scheduler.prediction_type as string;
  const doubt = family === "sd2" ? "; its 512 pixel base predicts epsilon and has the same tensors" : "";
  return { type, certainty: "guessed", reason: `${family} was published with it${doubt}` };
}

/** What the marks say, if they say it: see `scheduler-marks`. */
function markedPrediction({ tensors }: SafetensorsFile): PredictionGuess | undefined {
  const stated = (type: string, mark: string) =>
    ({ type, certainty: "stated", reason: `it has the mark ${mark}` }) as const;
  if (tensors.has("edm_mean")) return stated("epsilon", "edm_mean");
  if (tensors.has("edm_vpred.sigma_max")) return stated("v_prediction", "edm_vpred.sigma_max");
  return tensors.has("v_pred") ? stated("v_prediction", "v_pred") : undefined;
}

async function trainedSteps(file: SafetensorsFile): Promise<number | undefined> {
  const info = file.tensors.get("global_step");
  const isNumber = info?.shape.every((size) => size === 1);
  return isNumber ? Number((await file.read("global_step"))[0]) : undefined;
}

/** Height and width in pixels of the pictures a family was trained on. */
export function pictureSizeOf(family: CheckpointFamily, predictionType: string): number {
  const isBase = family === "sd2" && predictionType === "epsilon";
  return isBase ? 512 : (FAMILIES[family].unet.sample_size as number) * 8;
}
