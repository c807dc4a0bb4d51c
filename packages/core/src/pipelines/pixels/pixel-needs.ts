import { denoiserBytes, floatBytes } from "../../models/activation-memory.js";
import type { DenoiserSizes } from "../../models/denoiser.js";
import type { DrawingNeeds } from "../drawing/drawing-memory.js";

/** Tensors of the pictures' size that a step holds at least: x before and after, the input and the output. */
const PICTURES_KEPT = 4;

/** The bytes that a text takes. */
export interface TextBytes {
  /** To read it. */
  reading: number;
  /** Its states, for one picture and one batch. */
  states: number;
}

/** The memory to draw pixels [B, H, W, C], with or without text. */
export function pixelNeeds(
  unet: DenoiserSizes,
  [pictures, height, width, channels]: readonly [number, number, number, number],
  isGuided: boolean,
  { reading, states }: TextBytes = { reading: 0, states: 0 },
): DrawingNeeds {
  const batches = isGuided ? 2 : 1;
  return {
    pictures,
    height,
    width,
    trained: unet.sampleSize,
    running: batches * denoiserBytes(unet, height, width),
    kept: PICTURES_KEPT * floatBytes(height, width, channels) + batches * states,
    reading,
  };
}
